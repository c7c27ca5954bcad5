//! Keyed accumulation with event time, written to be read: the executable specification that
//! accumulators are compared with.
//!
//! Everything is a plain ordered map and every question is answered by looking at all keys. There
//! are no batches: the model takes one [`Event`] after the other, which is what "the result of
//! batch size 1" means. The rules, each of which has a test of its own:
//!
//! **Entering.**
//! 1. A fragment that alone is larger than the bytes a key may hold is `dead_letter(oversize)`.
//! 2. Its identity is its variable, or its `ident` where the policy says so. A fragment whose
//!    identity its key has counted already is a `duplicate`, whether the key is open or lies under
//!    a tombstone, whatever its payload, and it touches nothing: no deadline, no rank of use.
//! 3. A fragment with a new identity for a key under a tombstone is late, and the policy
//!    ([`Late`]) says what happens. Side output, drop and correction count it as `late` and add its
//!    identity to the tombstone, so that its copy is a duplicate. A new generation opens the key
//!    again with nothing but this fragment in it, and the tombstone is gone.
//! 4. A fragment of a key that is neither open nor under a tombstone opens it, even if its event
//!    time lies below the watermark.
//! 5. A variable that the key does not require is kept and counted like any other.
//!
//! **Limits**, looked at before the fragment is kept, so that no limit is ever exceeded:
//!
//! 6. Items and bytes a key: a fragment that would exceed one makes its key leave first (as
//!    [`OverLimit`] says, a partial with cause `capacity`); then it is judged anew by rules 3 and
//!    4. Or the fragment is refused.
//! 7. Keys: before one key too many is opened, the open key that has gone longest without a counted
//!    fragment leaves (a partial with cause `evicted`). Or the fragment is refused, as it also is
//!    when there is no key to evict. Tombstones are no open keys.
//!
//! **Leaving.**
//! 8. A key leaves as complete right after the row that completes it; a key that is complete and
//!    due at once is complete.
//! 9. A watermark `w` promises that no fragment with `ts <= w` is still to come. A deadline `d`
//!    fires when `w >= d`; a fragment with `ts == d` is in time if it comes before that mark.
//!    Watermarks and clock never fall: a lower one is ignored.
//! 10. Event deadlines: `ttl` after the event time of the key's first *arrived* fragment, and
//!     `inactivity` after the largest event time counted; the earlier of the two fires. Clock
//!     deadline: `clock_ttl` after the clock at the first fragment's arrival. Each fires by itself.
//! 11. Deadlines that one mark makes due fire in the order of (deadline, key bytes). Keys are
//!     `u64`, whose big-endian bytes sort like the numbers.
//! 12. Right after a row is applied, its own key's deadlines are looked at with the watermark and
//!     clock that hold then (event first): so a key that was opened too late leaves before any
//!     later row.
//! 13. A firing extends the deadline by its own length while the policy allows (`extend` times a
//!     key); then the key leaves as `on_expire` says: a partial with cause `ttl` (event) or
//!     `latency` (clock), `dead_letter(expired)`, or `dropped(expire_drop)`.
//! 14. The end of input fires no deadline. Every open key leaves, in ascending order, as `on_end`
//!     says: a partial with cause `end`, `dead_letter(expired)` or `dropped(expire_drop)`. What
//!     comes after the end is ignored and not counted.
//!
//! **After leaving.**
//! 15. `Remove` forgets the key: it may open again as generation 0. `Reset` keeps its generation
//!     number alone: it may open again as the next generation. `Tombstone` keeps key, identities
//!     and generation.
//! 16. A tombstone with an event-time length dies when the watermark reaches the moment of leaving
//!     plus that length, where the moment is the larger of the watermark and the key's largest
//!     counted event time; one with a clock length when the clock reaches the clock at leaving plus
//!     that length. That is looked at after every event, so a length of 0 keeps no tombstone for
//!     the next event.
//! 17. `Corrected` emits the key anew with the late fragment in it, under the same generation, if
//!     the key left as complete or partial; if it left as dead letter or dropped, there is nothing
//!     to correct and the late fragment goes to the side output.
//!
//! **Ledger.** Each fragment that entered has exactly one class; what left is counted when it left
//! (so the first emission fixes its class), what is open by walking the table.

mod job;
mod ledger;
mod model;
mod policy;
pub mod random;

use std::fmt;

pub use job::{JobRun, flights_policy, orders_policy, run_job};
pub use ledger::{Class, DeadLetter, DropCause, Ledger, PartialCause};
pub use model::Model;
pub use policy::{After, Identity, Late, Leave, OverLimit, Policy, Required, Tombstone};

/// One fragment of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fragment {
    /// The key of the thing.
    pub key: u64,
    /// The variable, as a bit number.
    pub var: u32,
    /// Event time in the unit of watermarks and deadlines (nanoseconds in the jobs).
    pub ts: i64,
    /// Identity of the fragment, where the policy does not take the variable.
    pub ident: u64,
    /// What it carries; in the header of a data-dependent required set the number it declares.
    pub payload: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What happens to an accumulator, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A fragment arrives.
    Fragment(Fragment),
    /// A row arrives that is no fragment; it is only counted.
    Dead(DeadLetter),
    /// A watermark takes its place between two rows.
    Watermark(i64),
    /// The processing-time clock is read.
    Clock(i64),
    /// The input ends.
    End,
}

/// What an accumulator emits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    /// The key.
    pub key: u64,
    /// How often the key was opened before, as far as it is remembered; 0 for a refused fragment
    /// of a key that is neither open nor under a tombstone.
    pub generation: u32,
    /// What it is.
    pub kind: Kind,
    /// The fragments in it, by (variable, identity).
    pub fragments: Vec<Fragment>,
}

/// What kind of result is emitted. Duplicates and drops emit nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The key has all it requires.
    Complete,
    /// The key left without.
    Partial {
        /// Required variables that are absent, ascending; the header alone if it is absent.
        missing: Vec<u32>,
        /// Present and wanted: see [`Policy::score`].
        score: (u64, u64),
        /// Why it left.
        cause: PartialCause,
    },
    /// A fragment that came after its key had left; side output.
    Late,
    /// A result that was emitted before, with a late fragment in it.
    Corrected {
        /// What is absent even so.
        missing: Vec<u32>,
    },
    /// Fragments that end in no result.
    DeadLetter(DeadLetter),
}

impl fmt::Display for Out {
    /// One line: `key#generation kind variables [without missing]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} ", self.key, self.generation)?;
        match &self.kind {
            Kind::Complete => f.write_str("complete")?,
            Kind::Partial { cause, .. } => write!(f, "partial({cause})")?,
            Kind::Late => f.write_str("late")?,
            Kind::Corrected { .. } => f.write_str("corrected")?,
            Kind::DeadLetter(cause) => write!(f, "dead_letter({cause})")?,
        }
        for fragment in &self.fragments {
            write!(f, " {}", fragment.var)?;
        }
        match &self.kind {
            Kind::Partial { missing, .. } | Kind::Corrected { missing } if !missing.is_empty() => {
                f.write_str(" without")?;
                missing.iter().try_for_each(|var| write!(f, " {var}"))
            }
            _ => Ok(()),
        }
    }
}

/// The built-in watermark generator: before each row the largest event time seen, this row's included,
/// less the lag, less one unit.
#[derive(Debug, Clone)]
pub struct WatermarkGenerator {
    lag: i64,
    last: Option<i64>,
}

impl WatermarkGenerator {
    /// A generator for a stream whose event times fall behind by at most `lag` units.
    #[must_use]
    pub fn new(lag: i64) -> Self {
        Self { lag, last: None }
    }

    /// The watermark that stands right before a row with this event time, if it is a new one.
    pub fn before(&mut self, ts: i64) -> Option<i64> {
        let mark = ts.saturating_sub(self.lag).saturating_sub(1);
        let rises = self.last.is_none_or(|last| mark > last);
        rises.then(|| *self.last.insert(mark))
    }
}

/// The whole run of `events`: everything emitted, in order, and the ledger at its end.
pub fn run(policy: Policy, events: impl IntoIterator<Item = Event>) -> (Vec<Out>, Ledger) {
    let mut model = Model::new(policy);
    let outs = events.into_iter().flat_map(|event| model.step(event)).collect();
    (outs, model.ledger())
}
