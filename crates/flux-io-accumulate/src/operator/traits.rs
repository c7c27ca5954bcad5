//! What a policy asks of each row, so that rows do not ask the policy.

use super::Due;
use crate::need::Need;
use crate::policy::{After, Identity, Keep, OnLimit, Policy, Then};
use crate::table::Beside;
use crate::timers::Entry;

/// What the policy asks of each row, looked up once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    /// What rows of the table hold of the fragments, [`ALL`], [`MASK`] or [`COUNT`].
    pub(super) kept: u8,
    /// The bits that are needed, or how many fragments.
    pub(super) need_mask: u64,
    pub(super) variables: u32,
    pub(super) identity: Identity,
    /// Deadlines, in nanoseconds.
    pub(super) ttl: Option<i64>,
    pub(super) idle: Option<i64>,
    pub(super) timeout: Option<u64>,
    pub(super) quiet: Option<u64>,
    pub(super) flush: Option<u64>,
    /// Whether keys are kept in their order of use.
    pub(super) lru: bool,
    /// Whether a limit over all keys is looked at after each row.
    pub(super) limits: bool,
    pub(super) key_limits: bool,
    /// Whether fragments declare bounds.
    pub(super) bounded: bool,
    pub(super) tombs: bool,
    pub(super) tails: bool,
    pub(super) watches: bool,
    pub(super) on_expire: (u32, Then),
}

/// Heads hold the first word of the set of variables, tails the rest.
pub(super) const ALL: u8 = 0;
/// One word of single variables, all of them needed; nothing is kept in tails row by row.
pub(super) const MASK: u8 = 1;
/// Heads hold how many fragments there are, no two of which are told apart; nothing is kept in tails
/// row by row.
pub(super) const COUNT: u8 = 2;

impl Traits {
    pub(super) fn of(p: &Policy, need: &Need, budget: bool) -> Self {
        let nanos = |d: std::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let identity = identity_of(p, need);
        let limits = p.max_bytes.is_some() || p.max_items.is_some() || budget;
        let lru = (limits || p.max_keys.is_some()) && matches!(p.on_limit, OnLimit::Evict(_));
        let key_limits = p.max_key_items.is_some() || p.max_key_bytes.is_some();
        let tombs = p.after != After::Remove;
        let times = p.has_deadline();
        let lean = !(p.weighed || lru || limits || key_limits)
            && p.inactive_after.is_none()
            && p.idle_timeout.is_none()
            && !matches!(p.after, After::Tombstone(Keep::For(_)));
        let (kept, need_mask) = match (identity, need.inline_mask(), need.count()) {
            (Identity::Variable, Some(mask), _) if lean => (MASK, mask),
            (Identity::Each, _, Some(n)) if lean => (COUNT, u64::from(n)),
            _ => (ALL, 0),
        };
        Self {
            kept,
            need_mask,
            variables: u32::try_from(need.groups()).unwrap_or(u32::MAX),
            identity,
            ttl: p.expire_after.map(flux_io_core::nanos_i64),
            idle: p.inactive_after.map(flux_io_core::nanos_i64),
            timeout: p.timeout.map(nanos),
            quiet: p.idle_timeout.map(nanos),
            flush: p.flush_after.map(nanos),
            lru,
            limits,
            key_limits,
            bounded: need.bounds() > 0,
            tombs,
            tails: kept == ALL || times || tombs,
            watches: p.inactive_after.is_some()
                || p.timeout.is_some()
                || p.idle_timeout.is_some()
                || p.flush_after.is_some()
                || matches!(p.after, After::Tombstone(Keep::For(_))),
            on_expire: p.on_expire.parts(),
        }
    }

    #[inline]
    pub(super) const fn events(&self) -> bool {
        self.ttl.is_some() || self.idle.is_some()
    }

    #[inline]
    pub(super) const fn clocks(&self) -> bool {
        self.timeout.is_some() || self.quiet.is_some() || self.flush.is_some()
    }

    pub(super) const fn beside(&self) -> Beside {
        let extra = self.extra_bytes();
        Beside { tails: self.tails, watches: self.watches, uses: self.lru, extra }
    }

    /// Bytes a slot beside the table: at most twice the entries (see [`Timers::sweep`]), in
    /// buffers up to twice as large, for each clock; and its place in the queue of leaving keys.
    pub(super) const fn extra_bytes(&self) -> u64 {
        let clocks = self.events() as u64 + self.clocks() as u64;
        clocks * 4 * size_of::<Entry>() as u64 + size_of::<Due>() as u64
    }
}

/// What tells fragments of a key apart: variables, unless the requirement names none.
pub(super) fn identity_of(p: &Policy, need: &Need) -> Identity {
    if p.identity == Identity::Variable && !need.names_variables() {
        Identity::SourceSeq
    } else {
        p.identity
    }
}
