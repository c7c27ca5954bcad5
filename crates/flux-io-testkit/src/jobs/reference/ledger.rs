//! The ledger of the reference model: where every fragment ended.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why a key left as a partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum PartialCause {
    /// An event-time deadline.
    #[error("ttl")]
    Ttl,
    /// The processing-time deadline.
    #[error("latency")]
    Latency,
    /// It could hold no more.
    #[error("capacity")]
    Capacity,
    /// It made room for another key.
    #[error("evicted")]
    Evicted,
    /// The input ended.
    #[error("end")]
    End,
}

/// Why a fragment is in no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum DeadLetter {
    /// It could not be parsed.
    #[error("poison")]
    Poison,
    /// A field had the wrong type.
    #[error("type")]
    Type,
    /// It was too large.
    #[error("oversize")]
    Oversize,
    /// It had no key.
    #[error("no_key")]
    NoKey,
    /// A limit refused it.
    #[error("refused_key")]
    RefusedKey,
    /// Its key ran out of time or of input.
    #[error("expired")]
    Expired,
    /// Its key made room.
    #[error("evicted")]
    Evicted,
}

/// Which policy dropped a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum DropCause {
    /// `Leave::Drop` of a key that ran out of time or of input.
    #[error("expire_drop")]
    ExpireDrop,
}

/// The class of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Class {
    /// In a complete result.
    #[error("complete")]
    Complete,
    /// In a partial result.
    #[error("partial({0})")]
    Partial(PartialCause),
    /// Same key and identity as one that was counted.
    #[error("duplicate")]
    Duplicate,
    /// New, for a key that had left.
    #[error("late")]
    Late,
    /// In no result.
    #[error("dead_letter({0})")]
    DeadLetter(DeadLetter),
    /// Forgotten, as the policy says.
    #[error("dropped({0})")]
    Dropped(DropCause),
    /// In a key that is open.
    #[error("open")]
    Open,
}

/// Counts of fragments by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Rows that entered.
    pub entered: u64,
    /// Fragments by class; a class without fragments is not in the map.
    pub classes: BTreeMap<Class, u64>,
}

impl Ledger {
    /// How many fragments are in `class`.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        self.classes.get(&class).copied().unwrap_or(0)
    }

    /// How many fragments left in a partial, whatever its cause.
    #[must_use]
    pub fn partial(&self) -> u64 {
        let partials = self.classes.iter().filter(|(class, _)| matches!(class, Class::Partial(_)));
        partials.map(|(_, count)| count).sum()
    }

    /// Whether every row that entered is in exactly one class.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.entered == self.classes.values().sum::<u64>()
    }

    pub(super) fn add(&mut self, class: Class, fragments: usize) {
        if fragments > 0 {
            *self.classes.entry(class).or_default() += fragments as u64;
        }
    }
}
