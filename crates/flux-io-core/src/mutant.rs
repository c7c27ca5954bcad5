//! Known faults of the protocol, for the test of the simulator: one at a time, asked for by name,
//! and only in builds with `--cfg flux_io_mutants`. In every other build `mutant!`
//! is the word `false` and nothing of this is compiled.

/// Whether a known fault is switched on; the word `false` unless built with `--cfg flux_io_mutants`.
#[cfg(not(flux_io_mutants))]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        false
    };
}

/// Whether a known fault is switched on in this thread or, by `FLUX_IO_MUTANT`, in this process.
#[cfg(flux_io_mutants)]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutant::Mutant::$name.is_on()
    };
}

#[cfg(flux_io_mutants)]
pub use faults::Mutant;

#[cfg(flux_io_mutants)]
mod faults {
    use std::cell::Cell;
    use std::sync::OnceLock;

    macro_rules! mutants {
        ($($(#[doc = $what:literal])* $name:ident,)*) => {
            /// A known fault.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
            #[repr(u8)]
            pub enum Mutant { $($(#[doc = $what])* $name,)* }

            impl Mutant {
                /// Every fault.
                pub const ALL: &'static [Self] = &[$(Self::$name,)*];

                /// What is wrong.
                #[must_use]
                pub const fn what(self) -> &'static str {
                    match self { $(Self::$name => concat!($($what,)*),)* }
                }
            }
        };
    }

    mutants! {
        /// nobody wakes the receiver of a control
        LostWakeUp,
        /// the credit of a batch that carries a watermark is never given back
        CreditLeak,
        /// a watermark goes before the rows that wait in an edge
        ControlOvertakes,
        /// rows that a full edge drops are counted neither as sent nor as dropped
        DropNotCounted,
        /// a batch given back keeps its rows
        SpareKeepsRows,
        /// an idle input holds the watermark (deadlock c)
        IdleHoldsWatermark,
        /// an input that ended holds the watermark
        EndedHoldsWatermark,
        /// a mark inside a batch is not lowered to what the other inputs promise
        MarkNotMerged,
        /// a barrier goes on when the first input has it
        BarrierNotAligned,
        /// a demanding merge keeps its other ports shut while one waits at a barrier (L-3)
        BarrierStarves,
        /// the turn stays with an instance that has ended
        TurnStaysWithEnded,
        /// a batch that a sink refused for now is written behind the next one
        OrderLostAfterRetry,
        /// a call that failed after it had emitted is made again
        EmittedCallRepeated,
        /// the dead letters of the call that fails the run are lost
        DeadLetterLostOnAbort,
        /// a timer set anew is armed beside the old one
        TimersWithoutCancel,
        /// the clock is not read again after a wait for input
        ClockCachedOverWait,
        /// a sleep starts again at each poll
        RelativeSleep,
        /// the future of a waiting source is dropped at each deadline and made anew
        FutureRemade,
        /// the promise of a source goes before the rows it was made behind
        MarkBeforeRows,
        /// a restored source starts from its beginning
        SourceNotRewound,
        /// a sink commits at the barrier
        CommitAtBarrier,
        /// a restored sink does not settle what was prepared
        RecoverForgotten,
        /// an epoch is complete when the first task has acknowledged it
        AckTooEarly,
        /// rows that a source gave before its future was dropped are lost
        DropLosesRows,
        /// only the first instance of a stage keeps its snapshot
        SnapshotOfOneShard,
        /// nobody wakes a stage that waits before it tries again
        HoldForgotten,
        /// a shard without rows in a batch does not learn its watermark
        ShardMarkLost,
        /// a key that is completed stays in the table, and its deadline emits it again
        DoubleEmission,
        /// a late fragment takes the tombstone of its key away
        ResurrectedKey,
        /// an eviction forgets the deadlines of all keys
        TimerLostOnEviction,
        /// a fragment of a key that has left is not counted as duplicate, nor as a fragment
        LedgerForgets,
        /// the identity of a late fragment is not remembered
        LateForgotten,
        /// a deadline fires behind the watermark instead of at it
        DeadlineOffByOne,
        /// a snapshot leaves the tombstones out
        TombsNotSaved,
        /// the mark at which the output was full is not passed on
        MarkLostOnYield,
        /// a row at which the output was full is handled again
        RowTwiceOnYield,
        /// keys of one deadline leave in the order of the table
        TiesUnordered,
        /// the file of a snapshot is not synced
        PartNotSynced,
        /// the directory is not synced behind a rename
        DirectoryNotSynced,
        /// at its limit the accumulator waits for room instead of making it (deadlock a)
        WaitsAtLimit,
        /// a barrier leaves a branch by its first port only
        BarrierSkipsBranch,
        /// the last flow of a broadcast gets the watermarks of a batch before its rows
        BranchMarkFirst,
        /// a branch does not say which numbers it has passed where it gives no row
        PassedNotTold,
        /// a row that no route takes is dropped and not counted
        UnroutedNotCounted,
        /// what a zip has over is dropped and not counted
        LeftoverNotCounted,
        /// a zip gives a row alone when its own side has ended, not the other one
        ZipEndsTheWrongSide,
        /// a restored zip has forgotten the rows of its right side
        ZipRestoresLeft,
        /// a merge by time does not look at the inputs where times are equal
        TieOfInputsLost,
        /// a merge by time that is restored full takes from no input
        FullAfterRestore,
        /// a watermark passes rows that wait for the numbers before theirs
        MarkPassesHeld,
        /// a restored resequencer counts from 0 again
        NumbersFromStart,
        /// a result that needed more than one attempt goes behind the next one
        RetriedResultLate,
        /// a row is tried less often when the row before it in its place was tried again
        AttemptsNotReset,
        /// the time limit of a call that is to be made again is not taken back
        LimitOutlivesCall,
        /// a watermark stands before the row in front of it when calls are made
        MarkBeforeCall,
        /// a watermark between calls in any order waits for none of them
        MarkOvertakesCalls,
        /// an end that calls in flight held back is not looked at when they are done
        EndOverlooked,
        /// a retry whose wait is over wakes its task also while calls stand before it
        HoldSpins,
        /// a checkpoint asked for while another one is under way is emitted at once
        CutsOverlap,
        /// rows that a sink leaves in the batch count as taken
        LeftRowsPassed,
        /// a join by id waits for inputs that have ended
        EndedInputAwaited,
        /// a panic in an accumulator's closure costs the row behind it, too
        PanicCostsNextRow,
    }

    thread_local! {
        static HERE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// The fault that `FLUX_IO_MUTANT` names for every thread.
    fn everywhere() -> Option<Mutant> {
        static NAMED: OnceLock<Option<Mutant>> = OnceLock::new();
        *NAMED.get_or_init(|| {
            let name = std::env::var("FLUX_IO_MUTANT").ok()?;
            Mutant::ALL.iter().copied().find(|m| format!("{m:?}") == name)
        })
    }

    impl Mutant {
        /// Whether it is switched on.
        #[must_use]
        pub fn is_on(self) -> bool {
            HERE.get().or_else(everywhere) == Some(self)
        }

        /// Switches a fault on in this thread, in place of another, or none.
        pub fn set(mutant: Option<Self>) {
            HERE.set(mutant);
        }
    }
}

#[cfg(not(flux_io_mutants))]
const _: () = assert!(!crate::mutant!(Any), "a build without the cfg has no fault");
