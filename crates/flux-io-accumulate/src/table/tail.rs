//! What stands beside a key's row for the policies that ask for it.

use crate::need::UNKNOWN;
use crate::set::{Bits, Words};
use std::collections::{BTreeMap, BTreeSet};

/// What only some policies read: one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Tail {
    pub(crate) fragments: u64,
    /// Distinct variables.
    pub(crate) vars: u32,
    pub(crate) generation: u32,
    /// How often its deadlines were extended.
    pub(crate) extended: u32,
    /// Absolute event-time deadline.
    pub(crate) ttl_at: i64,
    /// Heap bytes charged for the state and the rest of the key.
    pub(crate) heap: u64,
    /// The first bounds.
    pub(crate) bounds: [u32; 2],
    /// When it was used last, in the order of use; 0 = it has no place there.
    pub(super) used: u32,
    pub(crate) more: Option<Box<More>>,
}

/// The times of a key beside its absolute event-time deadline; few policies ask for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    /// Greatest event time seen.
    pub(crate) newest: i64,
    /// Event-time inactivity deadline.
    pub(crate) idle_at: i64,
    /// Deadlines by the engine's clock: absolute, inactivity, first flush.
    pub(crate) timeout_at: u64,
    pub(crate) quiet_at: u64,
    pub(crate) flush_at: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            newest: i64::MIN,
            idle_at: i64::MAX,
            timeout_at: u64::MAX,
            quiet_at: u64::MAX,
            flush_at: u64::MAX,
        }
    }
}

/// What few keys need.
#[derive(Debug, Default)]
pub(crate) struct More {
    /// Variables from bit 64 on.
    pub(crate) words: Words,
    /// Identities of fragments, where they are not their variables.
    pub(crate) ids: BTreeSet<(u64, u64)>,
    /// All bounds, when there are more than two.
    pub(crate) bounds: Vec<u32>,
    /// Variables of fragments that were met but are no members: copies of those are duplicates.
    pub(crate) refused: BTreeSet<u64>,
    /// Further fragments of one numbered variable, where variables do not tell fragments apart.
    pub(crate) repeats: BTreeMap<u64, u64>,
}

impl More {
    /// Heap bytes, its own box included.
    pub(crate) fn heap_bytes(&self) -> usize {
        // A node of a `BTreeSet` holds 5 to 11 entries; 4/3 is the mean slack of a random fill.
        let entries = self.ids.len() * 16 + self.refused.len() * 8 + self.repeats.len() * 16;
        size_of::<Self>() + self.words.bytes() + self.bounds.len() * 4 + entries * 4 / 3
    }
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            fragments: 0,
            vars: 0,
            generation: 0,
            extended: 0,
            ttl_at: i64::MAX,
            heap: 0,
            bounds: [UNKNOWN; 2],
            used: 0,
            more: None,
        }
    }
}

impl Tail {
    /// The set of variables, with the row's mask.
    #[inline]
    pub(crate) fn bits(&self, mask: u64) -> Bits<'_> {
        Bits { first: mask, rest: self.more.as_ref().map_or(&[], |m| m.words.as_slice()) }
    }

    /// The bounds, all `n` of them.
    #[inline]
    pub(crate) fn bounds(&self, n: usize) -> &[u32] {
        if n <= self.bounds.len() {
            return &self.bounds[..n];
        }
        self.more.as_ref().map_or(&[], |m| &m.bounds)
    }

    /// Notes a bound; the first declaration counts. Returns whether this is the first.
    #[inline]
    pub(crate) fn declare(&mut self, which: usize, of: usize, value: u32) -> bool {
        let place = if of <= self.bounds.len() {
            self.bounds.get_mut(which)
        } else {
            let more = self.more.get_or_insert_default();
            more.bounds.resize(of, UNKNOWN);
            more.bounds.get_mut(which)
        };
        match place.filter(|b| **b == UNKNOWN) {
            Some(b) => {
                *b = value;
                true
            }
            None => false,
        }
    }

    /// Whether a fragment of this variable was met but is no member.
    #[inline]
    pub(crate) fn refused(&self, bit: u64) -> bool {
        self.more.as_ref().is_some_and(|m| m.refused.contains(&bit))
    }

    /// Heap bytes of the tail itself.
    #[inline]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.more.as_deref().map_or(0, More::heap_bytes)
    }
}
