//! The policy of the reference model: what a key needs, how long it waits, how it leaves.

use std::collections::BTreeSet;

/// What a key needs to be complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Required {
    /// The variables `0..k`.
    Static(u32),
    /// The header, and what it declares: for its number `n` (its payload), the variables
    /// `base + 1 ..= base + n` of each base.
    Declared {
        /// The header's variable.
        header: u32,
        /// The groups of variables; for orders 0 (shipped) and 7 (received).
        bases: Vec<u32>,
    },
}

/// What makes two fragments of a key the same fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Their variable: the default.
    Variable,
    /// Their `ident`; one variable may then come in several fragments.
    Ident,
}

/// What becomes of the fragments of a key that leaves without being complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// A partial result.
    Partial,
    /// Dead letters.
    DeadLetter,
    /// Nothing is emitted.
    Drop,
}

/// What happens at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// A key leaves as a partial.
    Partial,
    /// A key leaves as `dead_letter(evicted)`.
    DeadLetter,
    /// The new fragment is `dead_letter(refused_key)` and nobody leaves.
    Refuse,
}

/// What is kept of a key that has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Remove,
    /// Its generation number.
    Reset,
    /// Its identities and generation.
    Tombstone(Tombstone),
}

/// How long a tombstone stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstone {
    /// To the end of input.
    ToEnd,
    /// So many units of event time after leaving.
    EventTime(i64),
    /// So many units of the clock after leaving.
    Clock(i64),
}

/// What happens to a new fragment for a key under a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It is emitted by itself.
    SideOutput,
    /// It is counted and forgotten.
    Drop,
    /// It opens the key again.
    NewGeneration,
    /// The result is emitted again with it.
    Corrected,
}

/// A whole policy. Start from [`Policy::new`] and set what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What completes a key.
    pub required: Required,
    /// What makes a duplicate.
    pub identity: Identity,
    /// Event-time deadline, counted from the first arrived fragment's event time.
    pub ttl: Option<i64>,
    /// Event-time deadline, counted from the largest event time counted.
    pub inactivity: Option<i64>,
    /// Processing-time deadline, counted from the clock at the first arrival.
    pub clock_ttl: Option<i64>,
    /// How many firings of a key's deadlines only extend them.
    pub extend: u32,
    /// How a key leaves when a deadline fires for good.
    pub on_expire: Leave,
    /// What is kept of a key that has left.
    pub after: After,
    /// What happens to late fragments.
    pub late: Late,
    /// How open keys leave at the end of input.
    pub on_end: Leave,
    /// The most open keys.
    pub max_keys: Option<u64>,
    /// The most fragments an open key holds.
    pub max_items: Option<u64>,
    /// The most bytes an open key holds.
    pub max_bytes: Option<u64>,
    /// What happens at one of the three limits.
    pub over_limit: OverLimit,
}

impl Policy {
    /// No deadline, no limit, tombstones to the end, late fragments to the side output, partials
    /// at the end.
    #[must_use]
    pub fn new(required: Required) -> Self {
        Self {
            required,
            identity: Identity::Variable,
            ttl: None,
            inactivity: None,
            clock_ttl: None,
            extend: 0,
            on_expire: Leave::Partial,
            after: After::Tombstone(Tombstone::ToEnd),
            late: Late::SideOutput,
            on_end: Leave::Partial,
            max_keys: None,
            max_items: None,
            max_bytes: None,
            over_limit: OverLimit::Partial,
        }
    }

    /// The required variables of a key, given what its header declares (if it came).
    #[must_use]
    pub fn required(&self, declared: Option<u64>) -> BTreeSet<u32> {
        match (&self.required, declared) {
            (Required::Static(count), _) => (0..*count).collect(),
            (Required::Declared { header, .. }, None) => BTreeSet::from([*header]),
            (Required::Declared { header, bases }, Some(n)) => {
                let n = u32::try_from(n).unwrap_or(u32::MAX);
                let lines = bases.iter().flat_map(|base| (1..=n).map(move |i| base + i));
                lines.chain([*header]).collect()
            }
        }
    }

    /// The required variables that are not among `present`, ascending.
    #[must_use]
    pub fn missing(&self, declared: Option<u64>, present: &BTreeSet<u32>) -> Vec<u32> {
        self.required(declared).difference(present).copied().collect()
    }

    /// How complete a key is: (required variables present, required variables).
    ///
    /// While the header is missing, what it would declare is guessed from the largest line seen:
    /// (variables present, 1 + groups x largest line), which is never the whole.
    #[must_use]
    pub fn score(&self, declared: Option<u64>, present: &BTreeSet<u32>) -> (u64, u64) {
        if let (Required::Declared { bases, .. }, None) = (&self.required, declared) {
            let lines = |var: u32| bases.iter().filter_map(move |base| var.checked_sub(*base));
            let line = |var: u32| lines(var).filter(|&line| line > 0).min();
            let largest = present.iter().filter_map(|&var| line(var)).max().unwrap_or(0);
            return (present.len() as u64, 1 + bases.len() as u64 * u64::from(largest));
        }
        let required = self.required(declared);
        (required.intersection(present).count() as u64, required.len() as u64)
    }
}
