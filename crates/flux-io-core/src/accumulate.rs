//! Keyed accumulation as vocabulary: outcomes, causes, the ledger, and the contract of an
//! accumulator. The operator itself lives in `flux-io-accumulate`.

use crate::column::Column;
use crate::error::{DeadCause, Original, RowError, StageError};
use crate::key::Key;
use crate::sync::{Arc, Mutex, lock};
use crate::time::{Moment, Timestamp};
use std::collections::BTreeMap;
use std::fmt;

/// What leaves an accumulator for a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<K, T> {
    /// Everything that was required is there.
    Complete {
        /// The key.
        key: K,
        /// What was assembled.
        value: T,
        /// How it came about.
        headers: Headers,
    },
    /// It left before it was complete.
    Partial {
        /// The key.
        key: K,
        /// What was assembled so far.
        value: T,
        /// How it came about: what is missing, the score, and why it left.
        headers: Headers,
    },
    /// A new fragment of a key that had already left.
    Late {
        /// The key.
        key: K,
        /// The fragment alone, merged into an empty state.
        value: T,
        /// How it came about.
        headers: Headers,
    },
    /// The result of a key that had left, corrected by fragments that came late.
    Corrected {
        /// The key.
        key: K,
        /// The corrected value.
        value: T,
        /// How it came about.
        headers: Headers,
    },
}

impl<K, T> Outcome<K, T> {
    /// The key.
    pub const fn key(&self) -> &K {
        match self {
            Self::Complete { key, .. }
            | Self::Partial { key, .. }
            | Self::Late { key, .. }
            | Self::Corrected { key, .. } => key,
        }
    }

    /// The value.
    pub const fn value(&self) -> &T {
        match self {
            Self::Complete { value, .. }
            | Self::Partial { value, .. }
            | Self::Late { value, .. }
            | Self::Corrected { value, .. } => value,
        }
    }

    /// How it came about.
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Complete { headers, .. }
            | Self::Partial { headers, .. }
            | Self::Late { headers, .. }
            | Self::Corrected { headers, .. } => headers,
        }
    }

    /// Whether everything required was there.
    pub const fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }
}

/// How an outcome came about. The names of the text form are those of the original documents:
/// `acc.completeness`, `acc.missingVars`, `acc.spilled`, `acc.reason`.
#[derive(Clone, Debug, PartialEq)]
pub struct Headers {
    /// Progress, 0 to 1: 1 exactly when complete; informative only.
    pub completeness: f32,
    /// Variables that were required and did not come, in the order of the requirement; `None`
    /// when nothing is missing. Shared and built only for outcomes that miss something.
    pub missing: Option<Box<[Missing]>>,
    /// Whether any fragment had been spilled.
    pub spilled: bool,
    /// Why it left.
    pub reason: Reason,
    /// Fragments counted into the value.
    pub fragments: u32,
    /// Which life of the key this is: 0 for the first, rising when a key comes back. Key and
    /// generation identify an emission (B77).
    pub generation: u32,
}

impl Headers {
    /// The missing variables as text, comma separated, as `acc.missingVars` has them.
    #[must_use]
    pub fn missing_vars(&self) -> String {
        let names = self.missing.as_deref().unwrap_or_default();
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The four headers under their names.
    #[must_use]
    pub fn to_text(&self) -> [(&'static str, String); 4] {
        [
            ("acc.completeness", format!("{}", self.completeness)),
            ("acc.missingVars", self.missing_vars()),
            ("acc.spilled", self.spilled.to_string()),
            ("acc.reason", self.reason.as_str().to_owned()),
        ]
    }
}

/// A variable that did not come: a name, or a name with its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The variable's name.
    pub name: Arc<str>,
    /// Its number, for variables that come once a line; `None` for single ones.
    pub index: Option<u32>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(i) => write!(f, "{}:{i}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Why a key left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Everything required was there.
    Complete,
    /// Its absolute deadline passed.
    Ttl,
    /// Nothing came for it for the allowed gap, or its first-flush latency passed.
    Latency,
    /// A per-key limit (items, bytes) was reached.
    Capacity,
    /// It made room for others, or was flushed by request.
    Evicted,
    /// Its spilled bytes were lost.
    SpillFailure,
    /// The run was stopped.
    Shutdown,
    /// The input ended.
    End,
    /// It had left before; this came late.
    Late,
    /// User code panicked on it; its fragments became dead letters.
    Poison,
}

impl Reason {
    /// The word used in `acc.reason` and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Ttl => "ttl",
            Self::Latency => "latency",
            Self::Capacity => "capacity",
            Self::Evicted => "evicted",
            Self::SpillFailure => "spill_failure",
            Self::Shutdown => "shutdown",
            Self::End => "end",
            Self::Late => "late",
            Self::Poison => "poison",
        }
    }
}

/// Which policy dropped a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropCause {
    /// `on_expire = Drop`.
    ExpireDrop,
    /// A queue dropped its oldest.
    DropOldest,
    /// A queue refused the newest.
    DropNewest,
    /// An error policy skipped it.
    Skip,
    /// Flow control shed it.
    Shed,
}

impl DropCause {
    /// The word used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExpireDrop => "expire_drop",
            Self::DropOldest => "drop_oldest",
            Self::DropNewest => "drop_newest",
            Self::Skip => "skip",
            Self::Shed => "shed",
        }
    }
}

/// The final class of a fragment that entered an accumulator. Exactly one each; the first
/// emission of a key fixes the class of its fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Counted into a complete result.
    Complete,
    /// Counted into a partial result, and why it left.
    Partial(Reason),
    /// Same key and same fragment identity as one already counted.
    Duplicate,
    /// New, but its key had left.
    Late,
    /// A dead letter.
    DeadLetter(DeadCause),
    /// Dropped by the policy named.
    Dropped(DropCause),
    /// Still held.
    Open,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::Partial(r) => write!(f, "partial.{}", r.as_str()),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Late => f.write_str("late"),
            Self::DeadLetter(c) => write!(f, "dead_letter.{c}"),
            Self::Dropped(c) => write!(f, "dropped.{}", c.as_str()),
            Self::Open => f.write_str("open"),
        }
    }
}

/// Fragments by final class. Each class is counted where it happens, `open` by walking the table;
/// the sum is checked against rows counted by the driver, never computed by subtraction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    counts: BTreeMap<Class, u64>,
    /// Fragments that came in, counted by the accumulator at its door.
    pub fragments: u64,
    /// Tombstones forced out by their bound: duplicates of those keys may reopen them.
    pub tombstones_evicted: u64,
    /// Keys opened.
    pub keys_opened: u64,
    /// Results emitted, by kind: complete, partial, late, corrected.
    pub emitted: [u64; 4],
}

impl Ledger {
    /// Adds `n` fragments to a class.
    pub fn add(&mut self, class: Class, n: u64) {
        if n > 0 {
            *self.counts.entry(class).or_default() += n;
        }
    }

    /// Fragments of one class.
    #[must_use]
    pub fn get(&self, class: Class) -> u64 {
        self.counts.get(&class).copied().unwrap_or(0)
    }

    /// Every class that occurred, with its count.
    pub fn classes(&self) -> impl Iterator<Item = (Class, u64)> {
        self.counts.iter().map(|(c, n)| (*c, *n))
    }

    /// Fragments of all partial classes.
    #[must_use]
    pub fn partial(&self) -> u64 {
        self.sum(|c| matches!(c, Class::Partial(_)))
    }

    /// Fragments of all dead-letter classes.
    #[must_use]
    pub fn dead_letters(&self) -> u64 {
        self.sum(|c| matches!(c, Class::DeadLetter(_)))
    }

    /// Fragments of all dropped classes.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sum(|c| matches!(c, Class::Dropped(_)))
    }

    /// The sum over all classes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether the classes account for every fragment that came in.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.total() == self.fragments
    }

    /// Adds another shard's ledger.
    pub fn merge(&mut self, other: &Self) {
        for (c, n) in &other.counts {
            self.add(*c, *n);
        }
        self.fragments += other.fragments;
        self.tombstones_evicted += other.tombstones_evicted;
        self.keys_opened += other.keys_opened;
        for (a, b) in self.emitted.iter_mut().zip(other.emitted) {
            *a += b;
        }
    }

    fn sum(&self, which: impl Fn(&Class) -> bool) -> u64 {
        self.counts.iter().filter(|(c, _)| which(c)).map(|(_, n)| n).sum()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fragments", self.fragments)?;
        self.counts.iter().try_for_each(|(c, n)| write!(f, ", {c} {n}"))
    }
}

/// What an accumulator holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// Keys open.
    pub keys: u64,
    /// Fragments held.
    pub items: u64,
    /// Bytes charged for state, index, timers and tombstones.
    pub bytes: u64,
    /// Tombstones kept.
    pub tombstones: u64,
    /// Keys spilled.
    pub spilled_keys: u64,
}

/// Where a key stands: the answer of `why(key)`.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Never seen, or its tombstone is gone.
    Unknown,
    /// Still open.
    Open {
        /// Fragments held.
        fragments: u32,
        /// What is missing.
        missing: Vec<Missing>,
        /// Progress, 0 to 1.
        score: f32,
        /// When it will expire by event time.
        deadline: Option<Timestamp>,
        /// When it will expire by the engine's clock.
        timeout: Option<Moment>,
    },
    /// It has left.
    Left {
        /// Why.
        reason: Reason,
        /// Fragments it had then.
        fragments: u32,
        /// Late fragments since.
        late: u32,
    },
}

/// A request to an accumulator from outside the row order.
#[derive(Clone, Debug)]
pub enum Command {
    /// Emit this key (by its bytes) now, as at eviction.
    FlushKey(Vec<u8>),
    /// Emit every open key now, in ascending key bytes.
    FlushAll,
    /// Say where a key (by its bytes) stands; the answer goes to the reply.
    Why(Vec<u8>, Reply<Why>),
}

/// A place for one answer.
#[derive(Clone, Debug, Default)]
pub struct Reply<T>(Arc<Mutex<Option<T>>>);

impl<T> Reply<T> {
    /// An empty place.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// Puts the answer.
    pub fn put(&self, answer: T) {
        *lock(&self.0) = Some(answer);
    }

    /// Takes the answer, if it is there.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        lock(&self.0).take()
    }
}

/// A fragment's variable: its bit in the key's set. Names become bits when the plan is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Var {
    /// Number of the variable's group in the requirement (0 for the first).
    pub group: u16,
    /// Its number inside the group, from 1; 0 for a variable that comes once.
    pub index: u32,
}

impl Var {
    /// The single variable of group `group`.
    #[must_use]
    pub const fn one(group: u16) -> Self {
        Self { group, index: 0 }
    }

    /// Number `index` (from 1) of group `group`.
    #[must_use]
    pub const fn nth(group: u16, index: u32) -> Self {
        Self { group, index }
    }
}

/// When a fragment came: by its own time, by the promise made so far, and by the engine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The fragment's event time.
    pub time: Timestamp,
    /// The watermark before it.
    pub watermark: Timestamp,
    /// The engine's time.
    pub now: Moment,
}

/// An accumulator's verdict on a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Completeness {
    /// Not yet; progress 0 to 1, informative only.
    Incomplete {
        /// Progress.
        score: f32,
    },
    /// Emit it now.
    Complete,
    /// Give it up now, as if its deadline had passed.
    Expired,
}

/// How fragments become a value: the extension interface for completeness of a user's own.
///
/// What a policy built from closures implements, and what a user may implement by hand.
///
/// # Laws
/// - `update` of distinct variables commutes, as far as completeness goes: any order of arrival
///   gives the same verdict.
/// - `update` is called at most once per fragment identity and life of a key.
/// - An `Err` of `update` leaves the state as it was.
/// - `load(save(s))` equals `s`.
///
/// # Panics
/// What a panic costs is the stage's error policy's; under a policy that goes on, one in `var`,
/// `bound` or `identity` costs the row, and one in anything that is given a state costs that key: all
/// its fragments become dead letters (`poison`), and the state is dropped unread. Nothing is called
/// again for the same row.
pub trait Accumulate<C: Column>: Clone + Send + Sync {
    /// The key's type.
    type Key: Key;
    /// What is held per key.
    type State: Send + 'static;
    /// What is emitted.
    type Out: Send + 'static;

    /// The state of a key before its first fragment.
    fn init(&self) -> Self::State;
    /// Which variable a row is.
    ///
    /// # Errors
    /// A row that names no variable becomes a dead letter with the cause given.
    fn var(&self, row: C::Ref<'_>) -> Result<Var, RowError>;
    /// The bound a row declares, if it does: which (its number in the requirement) and how many.
    /// A header that says "3 lines follow" declares 3 for `lines`. The first declaration counts; a row
    /// that declares another number is a dead letter (`conflict`).
    fn bound(&self, row: C::Ref<'_>) -> Option<(u16, u32)> {
        let _ = row;
        None
    }
    /// The identity of a fragment by its producer's own number, asked for only when the policy goes
    /// by such an id (instead of the variable, or source and sequence number).
    fn identity(&self, row: C::Ref<'_>) -> u64 {
        let _ = row;
        0
    }
    /// A verdict of the accumulator's own after an update; `None` leaves it to the requirement.
    fn check(&self, state: &Self::State, at: At) -> Option<Completeness> {
        let _ = (state, at);
        None
    }
    /// Merges a row into the state; it may take the row's fields.
    ///
    /// # Errors
    /// A row that contradicts the state becomes a dead letter (`conflict`) or what the error says.
    fn update(&self, state: &mut Self::State, row: C::Mut<'_>, at: At) -> Result<(), RowError>;
    /// Makes the value; the state is replaced by a fresh one.
    fn finish(&self, key: &Self::Key, state: &mut Self::State) -> Self::Out;
    /// Takes the fragments back whose variable is of `group` and numbered above `last`, which a bound
    /// declared after them rules out: their originals, in the order they came. `None` = it cannot, and
    /// the value keeps what was merged.
    fn take_back(&self, state: &mut Self::State, group: u16, last: u32) -> Option<Vec<Original>> {
        let _ = (state, group, last);
        None
    }
    /// Whether [`Accumulate::take_back`] can; for the plan.
    fn takes_back(&self) -> bool {
        false
    }
    /// Heap bytes behind the state, for the budget and the byte limits.
    fn weight(&self, state: &Self::State) -> usize {
        let _ = state;
        0
    }
    /// Writes the state, for a snapshot or a spill.
    ///
    /// # Errors
    /// When the accumulator has no codec; the planner refuses checkpoints then.
    fn save(&self, state: &Self::State, to: &mut Vec<u8>) -> Result<(), StageError> {
        let _ = (state, to);
        Err(StageError::permanent("this accumulator has no state codec; give it `.durable(..)`"))
    }
    /// Reads a state back.
    ///
    /// # Errors
    /// When the bytes are not of such a state.
    fn load(&self, from: &[u8]) -> Result<Self::State, StageError> {
        let _ = from;
        Err(StageError::permanent("this accumulator has no state codec; give it `.durable(..)`"))
    }
}
