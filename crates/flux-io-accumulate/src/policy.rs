//! The policy of an accumulator as plain data: what is required, how long a key may wait, how it
//! leaves, what stays of it, and how much may be held. Closures are not here (see `assembly`).

mod fault;
mod words;

use crate::need::Need;
use crate::require::Require;
use flux_io_core::AccumulationDescriptor;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use fault::PolicyFault;
pub(crate) use words::policy_words;

/// What makes two fragments of a key the same fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Their variable.
    #[default]
    Variable,
    /// Their source and sequence number there; one variable may then come in several fragments.
    SourceSeq,
    /// What [`flux_io_core::Accumulate::identity`] says.
    Id,
    /// Each is its own: none is ever taken for a copy of another. For aggregates over feeds that do
    /// not repeat themselves (counts, sums, extremes): nothing is remembered per fragment, so a key
    /// costs the same however many fragments it has.
    Each,
}

/// How a key leaves that was not completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// As a partial result.
    #[default]
    Partial,
    /// As a dead letter with what was assembled as its original.
    DeadLetter,
    /// Without a result; counted as `dropped.expire_drop`.
    Drop,
    /// The run fails.
    Abort,
}

/// What happens when a deadline passes (B33).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExpire {
    /// A partial result.
    #[default]
    Partial,
    /// A dead letter, cause `expired`.
    DeadLetter,
    /// Nothing; counted as `dropped.expire_drop`.
    Drop,
    /// The deadline moves by its own length, so many times a key; then the other.
    Extend {
        /// How often.
        times: u32,
        /// What follows the last time.
        then: Then,
    },
    /// The run fails.
    Abort,
}

impl OnExpire {
    pub(crate) const fn parts(self) -> (u32, Then) {
        match self {
            Self::Partial => (0, Then::Partial),
            Self::DeadLetter => (0, Then::DeadLetter),
            Self::Drop => (0, Then::Drop),
            Self::Abort => (0, Then::Abort),
            Self::Extend { times, then } => (times, then),
        }
    }
}

/// How long a tombstone is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until the watermark is this far past the later of the key's newest event time and the
    /// moment of its leaving: its event-time deadline if it left by one, else the watermark.
    For(Duration),
    /// To the end of input.
    ToEnd,
}

/// What stays of a key that has left, whatever the reason (B69).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: a fragment of the key opens it again as generation 0, a copy too.
    Remove,
    /// Its generation number: a fragment of the key opens it again as the next generation.
    Reset,
    /// A tombstone {key, identities}: copies are duplicates, new fragments are late.
    Tombstone(Keep),
}

/// What happens to a new fragment of a key that lies under a tombstone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLate {
    /// It is emitted alone, as `Outcome::Late`.
    #[default]
    SideOutput,
    /// It is counted as late and forgotten.
    Drop,
    /// It opens the key again, as the next generation.
    NewGeneration,
    /// The result is emitted again with it, as `Outcome::Corrected`; of a key that left without a
    /// result, alone. Needs a state codec, since the state must outlive its result.
    Correct,
}

/// What happens to a copy of a fragment that was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// It is counted as duplicate.
    #[default]
    Count,
    /// It becomes a dead letter, cause `conflict`, and is counted as that.
    DeadLetter,
}

/// What happens to a row without a key (B76).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnUnkeyed {
    /// It becomes a dead letter, cause `no_key`.
    #[default]
    DeadLetter,
    /// It counts as of this key, given by its bytes, together with rows that carry it.
    Default(Vec<u8>),
}

/// What happens to open keys when the input ends (B72).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEnd {
    /// They leave as partials, in ascending key bytes.
    #[default]
    Partial,
    /// They leave as dead letters, cause `expired`.
    DeadLetter,
    /// They leave without a result.
    Drop,
    /// They stay open: the next run goes on from a snapshot.
    Keep,
}

/// How a key leaves that makes room for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvictTo {
    /// As a partial result, reason `evicted`.
    #[default]
    Partial,
    /// As a dead letter, cause `evicted`.
    DeadLetter,
}

/// What happens when a limit or the memory budget is reached (B32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    /// The key that has gone longest without a new fragment leaves, never the one just touched
    /// while there is another.
    Evict(EvictTo),
    /// New keys are refused as dead letters, cause `refused_key`; an open key that outgrows the
    /// limit leaves as a partial, reason `capacity`.
    Refuse,
}

impl Default for OnLimit {
    fn default() -> Self {
        Self::Evict(EvictTo::Partial)
    }
}

/// How many new keys may open: a token bucket on the engine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewKeys {
    /// Keys a second.
    pub per_second: u32,
    /// Keys at once.
    pub burst: u32,
}

/// Tombstones kept when nothing else is said.
pub const DEFAULT_TOMBSTONES: u64 = 1 << 20;
/// The largest number of a numbered variable when nothing else is said: 128 KiB of bits a key and
/// numbered variable.
pub const DEFAULT_MAX_INDEX: u32 = 1 << 20;

/// The policy. Start from [`Policy::new`] and say what differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What a key needs to be complete.
    pub require: Require,
    /// What makes a duplicate. A requirement that names no variable goes by source and sequence.
    pub identity: Identity,
    /// Absolute deadline: this long after the event time of the fragment that opened the key.
    pub expire_after: Option<Duration>,
    /// Inactivity: this long after the greatest event time seen of the key.
    pub inactive_after: Option<Duration>,
    /// Absolute deadline by the engine's clock, from the key's opening.
    pub timeout: Option<Duration>,
    /// Inactivity by the engine's clock, from the key's last new fragment.
    pub idle_timeout: Option<Duration>,
    /// A partial leaves this long after the key's opening, by the engine's clock.
    pub flush_after: Option<Duration>,
    /// What happens at a deadline.
    pub on_expire: OnExpire,
    /// What stays of a key that has left.
    pub after: After,
    /// What happens to late fragments.
    pub on_late: OnLate,
    /// What happens to copies.
    pub on_duplicate: OnDuplicate,
    /// What happens to rows without a key.
    pub on_unkeyed: OnUnkeyed,
    /// What happens to open keys at the end of input.
    pub on_end: OnEnd,
    /// Open keys, in all instances together, as the next two.
    pub max_keys: Option<u64>,
    /// Bytes of open keys: their share of the table and the heap behind their states.
    pub max_bytes: Option<u64>,
    /// Fragments held, over all keys.
    pub max_items: Option<u64>,
    /// Fragments of one key; reaching it flushes the key (B71).
    pub max_key_items: Option<u64>,
    /// Bytes of one key's state, heap included; reaching it flushes the key.
    pub max_key_bytes: Option<u64>,
    /// The gate for new keys, one for all instances.
    pub new_keys: Option<NewKeys>,
    /// What happens at a limit.
    pub on_limit: OnLimit,
    /// Tombstones kept, in all instances together; over it the oldest goes.
    pub max_tombstones: u64,
    /// Largest number of a numbered variable and largest bound; above it a row is a dead letter.
    pub max_index: u32,
    /// Whether the accumulator's `weight` is asked after each fragment.
    pub weighed: bool,
    /// Whether the accumulator has a codec for its state.
    pub durable: bool,
}

impl Policy {
    /// No deadline, no limit, tombstones to the end of input, late fragments to the side output,
    /// partials at the end.
    #[must_use]
    pub const fn new(require: Require) -> Self {
        Self {
            require,
            identity: Identity::Variable,
            expire_after: None,
            inactive_after: None,
            timeout: None,
            idle_timeout: None,
            flush_after: None,
            on_expire: OnExpire::Partial,
            after: After::Tombstone(Keep::ToEnd),
            on_late: OnLate::SideOutput,
            on_duplicate: OnDuplicate::Count,
            on_unkeyed: OnUnkeyed::DeadLetter,
            on_end: OnEnd::Partial,
            max_keys: None,
            max_bytes: None,
            max_items: None,
            max_key_items: None,
            max_key_bytes: None,
            new_keys: None,
            on_limit: OnLimit::Evict(EvictTo::Partial),
            max_tombstones: DEFAULT_TOMBSTONES,
            max_index: DEFAULT_MAX_INDEX,
            weighed: true,
            durable: true,
        }
    }

    /// What is wrong with the policy, all of it at once.
    ///
    /// # Errors
    /// Every [`PolicyFault`] found.
    pub fn validate(&self) -> Result<(), Vec<PolicyFault>> {
        let mut faults = Vec::new();
        if let Err(e) = Need::compile(&self.require) {
            faults.push(PolicyFault::Require(e));
        }
        let zero = [
            ("max_keys", self.max_keys == Some(0)),
            ("max_bytes", self.max_bytes == Some(0)),
            ("max_items", self.max_items == Some(0)),
            ("max_key_items", self.max_key_items == Some(0)),
            ("max_key_bytes", self.max_key_bytes == Some(0)),
            ("max_index", self.max_index == 0),
            ("new_keys", self.new_keys.is_some_and(|g| g.burst == 0 || g.per_second == 0)),
        ];
        faults.extend(zero.iter().filter(|z| z.1).map(|z| PolicyFault::Zero { word: z.0 }));
        if self.on_end == OnEnd::Keep && !self.has_deadline() && !self.has_limit() {
            faults.push(PolicyFault::NeverLeaves);
        }
        if self.on_late == OnLate::Correct && self.keeps_tombstones() && !self.durable {
            faults.push(PolicyFault::CorrectNeedsCodec);
        }
        if matches!(self.on_expire, OnExpire::Extend { times: 0, .. }) {
            faults.push(PolicyFault::Zero { word: "on_expire extend" });
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// What the plan should say beside it: lawful, but to be known.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut w = Vec::new();
        if !self.has_deadline() && !self.has_limit() {
            w.push("no deadline and no limit: on an endless input, keys that are never completed are held for ever".to_owned());
        }
        match self.after {
            After::Tombstone(Keep::ToEnd) if self.max_tombstones == u64::MAX => {}
            After::Tombstone(Keep::For(_)) => {
                w.push("duplicates of departed keys may reopen them once their tombstone is over".to_owned());
            }
            After::Tombstone(Keep::ToEnd) => w.push(format!(
                "duplicates of departed keys may reopen them when there are more than {} tombstones",
                self.max_tombstones
            )),
            After::Remove | After::Reset => {
                w.push("duplicates of departed keys reopen them".to_owned());
            }
        }
        if !self.weighed && (self.max_bytes.is_some() || self.max_key_bytes.is_some()) {
            w.push("byte limits count no heap behind the states; give `.weigh(..)`".to_owned());
        }
        w
    }

    /// The parts of the policy that depend on the schedule rather than on the data: for these only
    /// conservation is promised, not equality across engines.
    #[must_use]
    pub fn schedule_dependent(&self) -> Vec<String> {
        let parts = [
            ("new-key gate", self.new_keys.is_some()),
            ("timeout", self.timeout.is_some()),
            ("idle timeout", self.idle_timeout.is_some()),
            ("flush after", self.flush_after.is_some()),
        ];
        let limits = [
            ("key", self.max_keys.is_some()),
            ("byte", self.max_bytes.is_some()),
            ("item", self.max_items.is_some()),
            ("tombstone", self.keeps_tombstones() && self.max_tombstones < DEFAULT_TOMBSTONES),
        ];
        let parts = parts.iter().filter(|p| p.1).map(|p| p.0.to_owned());
        let limit = |l: &(&str, bool)| {
            let of = "limit, which key meets it first with several instances";
            format!("{} {of} (`workers = 1` makes it a function of the data)", l.0)
        };
        parts.chain(limits.iter().filter(|l| l.1).map(limit)).collect()
    }

    /// What the order of arrival decides, in words: where a requirement can be met with fragments to
    /// spare, where keys come back, at limits, and of copies that differ. Elsewhere order changes no
    /// outcome.
    #[must_use]
    pub fn order_dependent(&self) -> Vec<String> {
        let mut said = Vec::new();
        self.require.to_spare(&mut said);
        let generations = self.after == After::Reset
            || (self.keeps_tombstones() && self.on_late == OnLate::NewGeneration);
        let limits =
            self.has_limit() || self.max_key_items.is_some() || self.max_key_bytes.is_some();
        let parts = [
            ("which fragments one generation of a key holds", generations),
            ("what is held when a limit is reached", limits),
            ("which of two bounds that differ counts: the first", self.require.has_bounds()),
            ("which of copies that differ counts: the first", self.identity != Identity::Each),
        ];
        said.extend(parts.iter().filter(|p| p.1).map(|p| p.0.to_owned()));
        said
    }

    /// The policy, word by word, for the plan.
    #[must_use]
    pub fn describe(&self) -> AccumulationDescriptor {
        let mut policy = BTreeMap::new();
        let mut say = |word: &str, value: String| _ = policy.insert(word.to_owned(), value);
        say("require", self.require.to_string());
        say("identity", format!("{:?}", self.identity));
        say("on_expire", format!("{:?}", self.on_expire));
        say("after", format!("{:?}", self.after));
        say("on_late", format!("{:?}", self.on_late));
        say("on_duplicate", format!("{:?}", self.on_duplicate));
        say("on_unkeyed", format!("{:?}", self.on_unkeyed));
        say("on_end", format!("{:?}", self.on_end));
        say("on_limit", format!("{:?}", self.on_limit));
        say("max_tombstones", self.max_tombstones.to_string());
        let durations = [
            ("expire_after", self.expire_after),
            ("inactive_after", self.inactive_after),
            ("timeout", self.timeout),
            ("idle_timeout", self.idle_timeout),
            ("flush_after", self.flush_after),
        ];
        let limits = [
            ("max_keys", self.max_keys),
            ("max_bytes", self.max_bytes),
            ("max_items", self.max_items),
            ("max_key_items", self.max_key_items),
            ("max_key_bytes", self.max_key_bytes),
        ];
        durations.iter().for_each(|(w, d)| _ = d.map(|d| say(w, format!("{d:?}"))));
        limits.iter().for_each(|(w, n)| _ = n.map(|n| say(w, n.to_string())));
        if let Some(g) = self.new_keys {
            say("new_keys", format!("{} a second, {} at once", g.per_second, g.burst));
        }
        let progress_weights = self.require.weights().clone();
        AccumulationDescriptor { policy, progress_weights, engine_hint: None }
    }

    /// Whether any deadline is set.
    #[must_use]
    pub const fn has_deadline(&self) -> bool {
        self.expire_after.is_some()
            || self.inactive_after.is_some()
            || self.timeout.is_some()
            || self.idle_timeout.is_some()
            || self.flush_after.is_some()
    }

    /// Whether the number of open keys or their bytes are limited.
    #[must_use]
    pub const fn has_limit(&self) -> bool {
        self.max_keys.is_some() || self.max_bytes.is_some() || self.max_items.is_some()
    }

    const fn keeps_tombstones(&self) -> bool {
        matches!(self.after, After::Tombstone(_))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.describe().policy;
        let words: Vec<String> = text.iter().map(|(w, v)| format!("{w} = {v}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// The words that are also fields.
impl Policy {
    policy_words!();
}

#[cfg(test)]
mod tests;
