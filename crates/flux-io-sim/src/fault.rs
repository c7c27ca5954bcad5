//! The faults a simulated run knows, as sets, and in how many places they took effect.

use std::fmt;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $class:ident;)*) => {
        /// Something that goes wrong, or merely otherwise than in a quiet run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every fault, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// A short name for reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub(crate) const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

/// Where a fault is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// At a call of a wrapped source, sink, stage or disk.
    Call,
    /// At a step of the engine.
    Step,
    /// Follows from others; only counted.
    Effect,
}

faults! {
    /// A source gives fewer rows than it was asked for, or none at once.
    ShortFill = "short fill", Call;
    /// A source lets wait before it gives rows.
    SlowFill = "slow fill", Call;
    /// A source fails in a way that passes; never more than twice in a row.
    TransientFill = "transient fill error", Call;
    /// A source fails for good.
    FailFill = "fill error", Call;
    /// A source gives its last rows once more.
    Duplicate = "duplicate delivery", Call;
    /// A sink takes its time.
    SlowWrite = "slow write", Call;
    /// A sink fails in a way that passes, before it took a row; never more than twice in a row.
    TransientWrite = "transient write error", Call;
    /// A sink takes some rows and fails in a way that passes.
    PartialWrite = "partial write", Call;
    /// A sink fails for good.
    FailWrite = "write error", Call;
    /// A sink takes some rows or none, leaves the others and says that all is well.
    LeaveRows = "rows left by a sink", Call;
    /// A stage panics at a drawn call, before it has touched its input.
    Panic = "panic", Call;
    /// A call to somewhere else takes its time.
    SlowCall = "slow call", Call;
    /// A call to somewhere else fails in a way that passes.
    FailCall = "call error", Call;
    /// A call to somewhere else is never answered.
    LostCall = "lost call", Call;
    /// A disk operation fails, is cut short, or lies.
    Disk = "disk fault", Call;
    /// A task is polled although nobody woke it.
    Spurious = "spurious poll", Step;
    /// Time passes while tasks are ready (up to a minute).
    SlowStep = "slow step", Step;
    /// The machine sleeps for eight hours.
    Suspend = "suspend", Step;
    /// The wall clock jumps back or forth; the engine's time does not.
    WallJump = "wall clock jump", Step;
    /// A checkpoint is asked for.
    Barrier = "barrier", Step;
    /// A new version of the policies is announced.
    Policy = "policy version", Step;
    /// One of the commands that the test registered is sent.
    Command = "command", Step;
    /// The run is asked to drain, once.
    Drain = "drain", Step;
    /// The run is aborted, once.
    Abort = "abort", Step;
    /// The process dies at this step: every task is gone, what was durable stays, the plan is made
    /// anew and restored from its last complete checkpoint. At most four times a run.
    Crash = "crash", Step;
    /// A blocking job ran later than anything else could.
    LateJob = "late job", Effect;
    /// The future of a waiting source was dropped and made anew.
    DroppedFill = "dropped fill", Effect;
}

/// A set of faults that a simulation may draw from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// No fault at all: schedules and sizes only.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// What must change no result of any correct pipeline: delays, short fills, spurious polls,
    /// clock jumps, barriers and policy versions.
    #[must_use]
    pub const fn harmless() -> Self {
        Self::none()
            .with(Fault::ShortFill)
            .with(Fault::SlowFill)
            .with(Fault::SlowWrite)
            .with(Fault::Spurious)
            .with(Fault::SlowStep)
            .with(Fault::Suspend)
            .with(Fault::WallJump)
            .with(Fault::Barrier)
            .with(Fault::Policy)
    }

    /// Every fault. The oracle must then expect runs that fail, drain and abort.
    #[must_use]
    pub const fn all() -> Self {
        Self(u32::MAX)
    }

    /// The set with `f`.
    #[must_use]
    pub const fn with(self, f: Fault) -> Self {
        Self(self.0 | 1 << f as u8)
    }

    /// The set without `f`.
    #[must_use]
    pub const fn without(self, f: Fault) -> Self {
        Self(self.0 & !(1 << f as u8))
    }

    /// Whether `f` is in the set.
    #[must_use]
    pub const fn has(self, f: Fault) -> bool {
        self.0 >> f as u8 & 1 == 1
    }
}

/// How often each fault took effect.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Effects([u64; 32]);

impl Effects {
    /// Times that `f` took effect.
    #[must_use]
    pub const fn of(&self, f: Fault) -> u64 {
        self.0[f as usize]
    }

    /// Faults that took effect, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        Fault::ALL.iter().map(|f| (*f, self.of(*f))).filter(|x| x.1 > 0)
    }

    pub(crate) const fn add(&mut self, f: Fault) {
        self.0[f as usize] += 1;
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(k, n)| (k.as_str(), n))).finish()
    }
}
