//! Open keys: an index beside dense rows with recycled slots.
//!
//! Heads are dense and apart from the states, so that a lookup touches one line of each. The tail
//! holds what only some policies ask for (deadlines, order of use, bounds, large sets); policies
//! that ask for none of it have no tails at all.

use crate::index::{CELL, Index, NONE, tag};
use crate::purse::Purse;
use crate::set::{Bits, Words};
use std::collections::BTreeSet;

/// What every fragment of a key reads.
#[derive(Debug)]
pub(crate) struct Head<K> {
    /// The key; `None` while the slot is free.
    pub(crate) key: Option<K>,
    /// Bits 0 to 63 of its variables.
    pub(crate) mask: u64,
    /// Its place in the index.
    pub(crate) tag: u32,
    /// Counts the slot's lives, so that a stored deadline knows its own.
    pub(crate) life: u32,
}

/// What only some policies read.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) fragments: u32,
    /// Distinct variables.
    pub(crate) vars: u32,
    pub(crate) generation: u32,
    /// How often its deadlines were extended.
    pub(crate) extended: u32,
    /// Greatest event time seen.
    pub(crate) newest: i64,
    /// Absolute event-time deadline.
    pub(crate) ttl_at: i64,
    /// Event-time inactivity deadline.
    pub(crate) idle_at: i64,
    /// The same by the engine's clock, and the first flush.
    pub(crate) timeout_at: u64,
    pub(crate) quiet_at: u64,
    pub(crate) flush_at: u64,
    /// Heap bytes charged for the state and the rest of the key.
    pub(crate) heap: u64,
    /// Neighbours in the order of use.
    pub(crate) older: u32,
    pub(crate) newer: u32,
    /// The first bounds.
    pub(crate) bounds: [u32; 2],
    pub(crate) more: Option<Box<More>>,
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
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            fragments: 0,
            vars: 0,
            generation: 0,
            extended: 0,
            newest: i64::MIN,
            ttl_at: i64::MAX,
            idle_at: i64::MAX,
            timeout_at: u64::MAX,
            quiet_at: u64::MAX,
            flush_at: u64::MAX,
            heap: 0,
            older: NONE,
            newer: NONE,
            bounds: [crate::need::UNKNOWN; 2],
            more: None,
        }
    }
}

impl Tail {
    /// The set of variables, with the head's mask.
    pub(crate) fn bits(&self, mask: u64) -> Bits<'_> {
        Bits { first: mask, rest: self.more.as_ref().map_or(&[], |m| m.words.as_slice()) }
    }

    /// The bounds, all `n` of them.
    pub(crate) fn bounds(&self, n: usize) -> &[u32] {
        if n <= self.bounds.len() {
            return &self.bounds[..n];
        }
        self.more.as_ref().map_or(&[], |m| &m.bounds)
    }

    /// Notes a bound; the first declaration counts.
    pub(crate) fn declare(&mut self, which: usize, of: usize, value: u32) {
        let place = if of <= self.bounds.len() {
            self.bounds.get_mut(which)
        } else {
            let more = self.more.get_or_insert_default();
            more.bounds.resize(of, crate::need::UNKNOWN);
            more.bounds.get_mut(which)
        };
        if let Some(b) = place.filter(|b| **b == crate::need::UNKNOWN) {
            *b = value;
        }
    }

    /// Heap bytes of the tail itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        // A node of a `BTreeSet` holds 5 to 11 entries; 4/3 is the mean slack of a random fill.
        let ids = |m: &More| m.ids.len() * 16 * 4 / 3;
        let more = |m: &More| size_of::<More>() + m.words.bytes() + m.bounds.len() * 4 + ids(m);
        self.more.as_deref().map_or(0, more)
    }
}

/// The open keys.
#[derive(Debug)]
pub(crate) struct Table<K, S> {
    pub(crate) index: Index,
    pub(crate) heads: Vec<Head<K>>,
    pub(crate) states: Vec<S>,
    pub(crate) tails: Vec<Tail>,
    free: Vec<u32>,
    len: usize,
    with_tails: bool,
    seed: u64,
    /// Least and most recently used.
    oldest: u32,
    newest: u32,
    /// Bytes charged a slot, beside the index.
    slot_bytes: u64,
    /// Most keys open at once since the table was last empty.
    peak: usize,
    /// Calls since then without a key.
    idle: u32,
}

/// Slots made at first.
const FIRST: usize = 16;
/// Slots that are worth giving back when no key is open.
const WORTH: usize = 4096;
/// Calls that an empty table of a busy operator is kept for. Where keys come and go in waves (all
/// of an hour, then all of the next), the next wave finds its memory there instead of growing anew
/// from nothing; measured in docs/benchmarks.md, W5.
const KEPT: u32 = 64;

impl<K, S> Table<K, S> {
    /// An empty table; `extra` bytes a slot are charged for what stands beside it (timers).
    pub(crate) fn new(with_tails: bool, seed: u64, extra: u64) -> Self {
        let tail = if with_tails { size_of::<Tail>() } else { 0 };
        // Four bytes for the list of free slots.
        let slot_bytes = (size_of::<Head<K>>() + size_of::<S>() + tail + 4) as u64 + extra;
        Self {
            index: Index::default(),
            heads: Vec::new(),
            states: Vec::new(),
            tails: Vec::new(),
            free: Vec::new(),
            len: 0,
            with_tails,
            seed,
            oldest: NONE,
            newest: NONE,
            slot_bytes,
            peak: 0,
            idle: 0,
        }
    }

    /// Open keys.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of one slot.
    pub(crate) const fn slot_bytes(&self) -> u64 {
        self.slot_bytes
    }

    /// The tag of a hash in this table.
    #[inline(always)]
    pub(crate) fn tag(&self, hash: u64) -> u32 {
        tag(hash, self.seed)
    }

    /// The slot of the key that `is` accepts.
    #[inline(always)]
    pub(crate) fn find(&self, tag: u32, is: impl Fn(&K) -> bool) -> u32 {
        self.index.find(tag, |s| self.holds(s, &is))
    }

    /// Whether a slot is open and its key accepted.
    #[inline(always)]
    pub(crate) fn holds(&self, slot: u32, is: impl Fn(&K) -> bool) -> bool {
        self.heads.get(slot as usize).is_some_and(|h| h.key.as_ref().is_some_and(is))
    }

    /// Makes sure that one more key can be opened; `false` when the budget refuses.
    pub(crate) fn make_room(&mut self, purse: &mut Purse) -> bool {
        self.room_in_index(purse) && (!self.free.is_empty() || self.room_in_rows(purse))
    }

    fn room_in_index(&mut self, purse: &mut Purse) -> bool {
        if self.index.roomy() {
            return true;
        }
        let old = self.index.capacity() as u64 * CELL;
        if !purse.charge(old * 2) {
            return self.index.fits();
        }
        self.index.grow();
        purse.release(old);
        true
    }

    fn room_in_rows(&mut self, purse: &mut Purse) -> bool {
        let (len, cap) = (self.heads.len(), self.heads.capacity().min(self.states_capacity()));
        if len < cap {
            return true;
        }
        // Old and new stand side by side while rows move: both are charged.
        let held = self.charged_slots();
        let steps = [(len * 2).max(FIRST), len + len / 4 + 1, len + 1];
        let Some(to) = steps.into_iter().find(|n| purse.charge(*n as u64 * self.slot_bytes)) else {
            return false;
        };
        self.heads.reserve_exact(to - len);
        self.states.reserve_exact(to - len);
        self.free.reserve_exact(to);
        if self.with_tails {
            self.tails.reserve_exact(to - len);
        }
        purse.release(held * self.slot_bytes);
        true
    }

    /// A state without bytes has endless capacity.
    fn states_capacity(&self) -> usize {
        self.states.capacity()
    }

    const fn charged_slots(&self) -> u64 {
        self.heads.capacity() as u64
    }

    /// Bytes charged for the table itself.
    pub(crate) const fn fixed_bytes(&self) -> u64 {
        self.charged_slots() * self.slot_bytes + self.index.capacity() as u64 * CELL
    }

    /// The last key has left: gives the memory back, unless it is little, or more than a quarter of
    /// the slots were open at once since the table was last empty: then it is kept for a while (see
    /// [`Table::rest`]). Returns whether it did: slots and lives begin anew.
    pub(crate) fn shrink(&mut self, purse: &mut Purse) -> bool {
        if self.len > 0 || self.heads.len() < WORTH {
            return false;
        }
        let used = std::mem::take(&mut self.peak);
        self.idle = 0;
        used * 4 <= self.heads.len() && self.free_all(purse)
    }

    /// A call begins. Gives the memory back when no key was open for many calls. Returns whether it
    /// did.
    #[inline]
    pub(crate) fn rest(&mut self, purse: &mut Purse) -> bool {
        if self.len > 0 || self.heads.len() < WORTH {
            return false;
        }
        self.idle += 1;
        self.idle > KEPT && self.free_all(purse)
    }

    fn free_all(&mut self, purse: &mut Purse) -> bool {
        purse.release(self.fixed_bytes());
        let fresh = Self::new(self.with_tails, self.seed, 0);
        *self = Self { slot_bytes: self.slot_bytes, ..fresh };
        true
    }

    /// The slot that the `n`th key opened from now on will most likely get (from 1).
    #[inline(always)]
    pub(crate) fn next_free(&self, n: usize) -> usize {
        let free = self.free.len();
        self.free.get(free.wrapping_sub(n)).map_or(self.heads.len() + n, |s| *s as usize)
    }

    /// Opens a key in room made before.
    pub(crate) fn open(&mut self, tag: u32, key: K, fresh: impl FnOnce() -> S) -> u32 {
        let slot = match self.free.pop() {
            Some(s) => s,
            None => {
                self.heads.push(Head { key: None, mask: 0, tag, life: 0 });
                self.states.push(fresh());
                if self.with_tails {
                    self.tails.push(Tail::default());
                }
                (self.heads.len() - 1) as u32
            }
        };
        let head = &mut self.heads[slot as usize];
        head.key = Some(key);
        head.mask = 0;
        head.tag = tag;
        self.index.insert(tag, slot);
        self.len += 1;
        self.peak = self.peak.max(self.len);
        slot
    }

    /// Closes a slot whose state was made fresh; gives its key and tail.
    pub(crate) fn close(&mut self, slot: u32) -> Option<K> {
        let head = &mut self.heads[slot as usize];
        let key = head.key.take()?;
        head.life = head.life.wrapping_add(1);
        self.index.remove(head.tag, slot);
        self.free.push(slot);
        self.len -= 1;
        Some(key)
    }

    /// Slots of open keys.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.heads.iter().enumerate().filter(|(_, h)| h.key.is_some()).map(|(i, _)| i as u32)
    }

    /// The key that has gone longest without a new fragment, `spare` aside.
    pub(crate) fn least_used(&self, spare: u32) -> u32 {
        if self.oldest == spare && spare != NONE {
            return self.tails[spare as usize].newer;
        }
        self.oldest
    }

    /// From the least to the most recently used.
    pub(crate) fn by_use(&self) -> impl Iterator<Item = u32> {
        let next = |s: &u32| Some(self.tails[*s as usize].newer).filter(|n| *n != NONE);
        std::iter::successors(Some(self.oldest).filter(|n| *n != NONE), next)
    }

    /// Takes a key out of the order of use.
    pub(crate) fn unlink(&mut self, slot: u32) {
        let Tail { older, newer, .. } = self.tails[slot as usize];
        match older {
            NONE if self.oldest == slot => self.oldest = newer,
            NONE => return,
            o => self.tails[o as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            n => self.tails[n as usize].older = older,
        }
        let tail = &mut self.tails[slot as usize];
        (tail.older, tail.newer) = (NONE, NONE);
    }

    /// Makes a key the most recently used.
    pub(crate) fn touch(&mut self, slot: u32) {
        if self.newest == slot {
            return;
        }
        self.unlink(slot);
        match self.newest {
            NONE => self.oldest = slot,
            n => self.tails[n as usize].newer = slot,
        }
        self.tails[slot as usize].older = self.newest;
        self.newest = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: u32) -> Table<u32, ()> {
        let mut t = Table::new(true, 5, 0);
        let mut purse = Purse::default();
        for k in 0..keys {
            assert!(t.make_room(&mut purse));
            let tag = t.tag(u64::from(k));
            let s = t.open(tag, k, || ());
            t.touch(s);
        }
        assert_eq!(purse.used(), t.fixed_bytes() - 16, "the first cells are free");
        t
    }

    /// Row 116.
    #[test]
    fn slots_are_recycled() {
        let mut t = table(100);
        for k in 0..50 {
            let slot = t.find(t.tag(u64::from(k)), |x| *x == k);
            t.unlink(slot);
            assert_eq!(t.close(slot), Some(k));
        }
        let made = t.heads.len();
        for k in 100..150 {
            let tag = t.tag(k.into());
            let slot = t.open(tag, k, || ());
            t.touch(slot);
        }
        assert_eq!((t.heads.len(), t.len(), t.slots().count()), (made, 100, 100));
        assert_eq!(t.find(t.tag(3), |k| *k == 3), NONE);
    }

    #[test]
    fn an_empty_table_gives_its_memory_back() {
        let mut t = table(WORTH as u32);
        let mut purse = Purse::default();
        assert!(purse.charge(t.fixed_bytes()));
        assert!(!t.shrink(&mut purse) && !t.rest(&mut purse));
        for s in 0..WORTH as u32 {
            t.unlink(s);
            _ = t.close(s);
        }
        assert!(!t.shrink(&mut purse), "the next wave may need it");
        let rests = (0..=KEPT).position(|_| t.rest(&mut purse));
        assert_eq!((rests, purse.used(), t.len()), (Some(KEPT as usize), 0, 0));
        assert_eq!(t.heads.capacity(), 0);
    }

    #[test]
    fn a_table_that_has_become_too_large_gives_its_memory_back_at_once() {
        let mut t = table(WORTH as u32);
        let mut purse = Purse::default();
        assert!(purse.charge(t.fixed_bytes()));
        for s in 0..WORTH as u32 {
            t.unlink(s);
            _ = t.close(s);
        }
        assert!(!t.shrink(&mut purse));
        let slot = t.open(t.tag(1), 1, || ());
        _ = t.close(slot);
        assert!(t.shrink(&mut purse));
        assert_eq!((purse.used(), t.heads.capacity()), (0, 0));
    }

    /// Row 122.
    #[test]
    fn order_of_use_is_exact() {
        let mut t = table(5);
        t.touch(0);
        t.touch(2);
        t.touch(2);
        assert_eq!(t.by_use().collect::<Vec<_>>(), [1, 3, 4, 0, 2]);
        assert_eq!((t.least_used(NONE), t.least_used(1)), (1, 3));
        t.unlink(3);
        t.unlink(3);
        t.unlink(1);
        t.unlink(2);
        assert_eq!(t.by_use().collect::<Vec<_>>(), [4, 0]);
        t.unlink(0);
        t.unlink(4);
        assert_eq!((t.by_use().count(), t.least_used(NONE)), (0, NONE));
    }
}
