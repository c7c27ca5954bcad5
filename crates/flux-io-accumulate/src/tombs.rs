//! What is remembered of keys that have left: a bounded table of tombstones, oldest out first.

use crate::index::{CELL, Index};
use crate::need::{Need, Seen, UNKNOWN};
use crate::operator::drop_quietly;
use crate::pool::Lease;
use crate::purse::Purse;
use crate::set::Bits;
use crate::table::{More, Tail};
use crate::timers::{Entry, Timers};
use flux_io_core::Reason;
use std::collections::VecDeque;

/// A tombstone: one cache line for a key of a word or two.
#[derive(Debug)]
pub(crate) struct Tomb<K> {
    /// The key; `None` while the row is free.
    pub(crate) key: Option<K>,
    /// Bits 0 to 63 of the variables counted, late ones included.
    pub(crate) mask: u64,
    /// When it is over, as an ordered event time.
    pub(crate) dies: u64,
    pub(crate) rest: Option<Box<Rest>>,
    pub(crate) tag: u32,
    /// Counts the row's lives.
    pub(crate) life: u32,
    pub(crate) generation: u32,
    /// Fragments it left with.
    pub(crate) fragments: u32,
    /// The first bound that was declared.
    pub(crate) bound: u32,
    /// Why it left.
    pub(crate) reason: Reason,
    /// Whether a result was emitted.
    pub(crate) emitted: bool,
}

/// What few tombstones need.
#[derive(Debug)]
pub(crate) struct Rest {
    /// New fragments since it left.
    pub(crate) late: u32,
    /// Of all its fragments, those that a bound declared by a late one rules out.
    pub(crate) beyond: u32,
    /// The second bound.
    pub(crate) second: u32,
    pub(crate) more: Option<Box<More>>,
    /// The state it left with, written by the accumulator; kept for corrections.
    pub(crate) saved: Option<Box<[u8]>>,
}

impl Default for Rest {
    fn default() -> Self {
        Self { late: 0, beyond: 0, second: UNKNOWN, more: None, saved: None }
    }
}

impl<K> Tomb<K> {
    fn more(&self) -> Option<&More> {
        self.rest.as_ref()?.more.as_deref()
    }

    /// New fragments since it left.
    pub(crate) fn late(&self) -> u32 {
        self.rest.as_ref().map_or(0, |r| r.late)
    }

    /// Members of its result, with late ones.
    pub(crate) fn members(&self) -> u32 {
        let beyond = self.rest.as_ref().map_or(0, |r| r.beyond);
        self.fragments.saturating_add(self.late()).saturating_sub(beyond)
    }

    /// The state it left with, where it was kept.
    pub(crate) fn saved(&self) -> Option<&[u8]> {
        self.rest.as_ref()?.saved.as_deref()
    }

    /// Its set of variables.
    pub(crate) fn bits(&self) -> Bits<'_> {
        Bits { first: self.mask, rest: self.more().map_or(&[], |m| m.words.as_slice()) }
    }

    /// Whether it has met a fragment of this variable.
    pub(crate) fn has_bit(&self, bit: u64) -> bool {
        self.bits().has(bit) || self.more().is_some_and(|m| m.refused.contains(&bit))
    }

    /// Whether it has met a fragment of this identity.
    pub(crate) fn has_id(&self, id: (u64, u64)) -> bool {
        self.more().is_some_and(|m| m.ids.contains(&id))
    }

    /// The first bounds, and all `n` of them.
    pub(crate) fn bounds<'a>(&'a self, n: usize, first: &'a mut [u32; 2]) -> &'a [u32] {
        if n > first.len() {
            return self.more().map_or(&[], |m| &m.bounds);
        }
        *first = [self.bound, self.rest.as_ref().map_or(UNKNOWN, |r| r.second)];
        &first[..n]
    }

    /// What is known of the key now.
    pub(crate) fn seen<'a>(&'a self, need: &Need, first: &'a mut [u32; 2]) -> Seen<'a> {
        let (bits, bounds) = (self.bits(), self.bounds(need.bounds(), first));
        Seen { bits, vars: bits.count(), fragments: self.members().into(), bounds }
    }

    /// Lends the set, bounds and identities to a tail, so that one piece of code writes them.
    pub(crate) fn with_tail<R>(&mut self, act: impl FnOnce(&mut Tail, &mut u64) -> R) -> R {
        let mut tail = Tail::default();
        tail.bounds[0] = self.bound;
        if let Some(rest) = &mut self.rest {
            tail.bounds[1] = rest.second;
            tail.more = rest.more.take();
        }
        let r = act(&mut tail, &mut self.mask);
        self.bound = tail.bounds[0];
        if self.rest.is_some() || tail.more.is_some() || tail.bounds[1] != UNKNOWN {
            let rest = self.rest.get_or_insert_default();
            rest.second = tail.bounds[1];
            rest.more = tail.more;
        }
        r
    }

    /// Heap bytes behind it, the key's aside.
    fn heap_bytes(&self) -> u64 {
        let rest = |r: &Rest| {
            size_of::<Rest>()
                + r.more.as_deref().map_or(0, More::heap_bytes)
                + r.saved.as_ref().map_or(0, |s| s.len())
        };
        self.rest.as_deref().map_or(0, rest) as u64
    }
}

/// The tombstones of one instance.
#[derive(Debug)]
pub(crate) struct Tombs<K> {
    index: Index,
    rows: Vec<Tomb<K>>,
    free: Vec<u32>,
    /// Oldest first; entries of tombstones that are gone are dropped where they are met.
    queue: VecDeque<(u32, u32)>,
    deaths: Timers,
    len: usize,
    /// How many there may be.
    pub(crate) lease: Lease,
    key_heap: fn(&K) -> usize,
    /// Tombstones that had to go before their time.
    pub(crate) evicted: u64,
}

/// Entries of the queue that are never worth a sweep.
const FEW: usize = 64;

impl<K> Tombs<K> {
    /// Room for as many as `lease` allows.
    pub(crate) fn new(lease: Lease, key_heap: fn(&K) -> usize) -> Self {
        Self {
            index: Index::default(),
            rows: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            deaths: Timers::default(),
            len: 0,
            lease,
            key_heap,
            evicted: 0,
        }
    }

    /// Heap bytes behind a tombstone.
    fn heap_of(&self, tomb: &Tomb<K>) -> u64 {
        let key = tomb.key.as_ref().map_or(0, self.key_heap) as u64;
        tomb.heap_bytes().saturating_add(key)
    }

    /// Bytes of one row with its places in queue, free list and timers.
    const fn row_bytes() -> u64 {
        (size_of::<Tomb<K>>() + 4 + 2 * size_of::<(u32, u32)>() + 2 * size_of::<Entry>()) as u64
    }

    /// Tombstones kept.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Asks for the cell of `tag`.
    #[inline(always)]
    pub(crate) fn prefetch(&self, tag: u32) {
        self.index.prefetch(tag);
    }

    /// The row of the key that `is` accepts.
    pub(crate) fn find(&self, tag: u32, is: impl Fn(&K) -> bool) -> u32 {
        let holds =
            |s: u32| self.rows.get(s as usize).is_some_and(|t| t.key.as_ref().is_some_and(&is));
        self.index.find(tag, holds)
    }

    /// A tombstone to read.
    pub(crate) fn get(&self, row: u32) -> &Tomb<K> {
        &self.rows[row as usize]
    }

    /// A tombstone to add to; what it grew by is owed.
    pub(crate) fn change<R>(
        &mut self,
        row: u32,
        purse: &mut Purse,
        act: impl FnOnce(&mut Tomb<K>) -> R,
    ) -> R {
        let tomb = &mut self.rows[row as usize];
        let before = tomb.heap_bytes();
        let r = act(tomb);
        let after = tomb.heap_bytes();
        if after >= before {
            _ = purse.owe(after - before);
        } else {
            purse.release(before - after);
        }
        r
    }

    /// Keeps a tombstone; the oldest go while there are too many or the budget refuses. One that
    /// cannot be kept at all counts as evicted too.
    pub(crate) fn insert(&mut self, tomb: Tomb<K>, purse: &mut Purse) {
        while !self.lease.covers(self.len as u64 + 1) {
            if !self.evict_oldest(purse) {
                self.evicted += 1;
                drop_quietly(tomb);
                return;
            }
        }
        let heap = self.heap_of(&tomb);
        while !(self.make_room(purse) && purse.charge(heap)) {
            if !self.evict_oldest(purse) {
                self.evicted += 1;
                drop_quietly(tomb);
                return;
            }
        }
        self.put(tomb);
    }

    fn put(&mut self, tomb: Tomb<K>) {
        let (tag, dies) = (tomb.tag, tomb.dies);
        let row = match self.free.pop() {
            Some(row) => {
                let life = self.rows[row as usize].life;
                self.rows[row as usize] = Tomb { life, ..tomb };
                row
            }
            None => {
                self.rows.push(Tomb { life: 0, ..tomb });
                (self.rows.len() - 1) as u32
            }
        };
        let life = self.rows[row as usize].life;
        self.index.insert(tag, row);
        self.len += 1;
        if dies < u64::MAX {
            self.deaths.push(Entry { at: dies, slot: row, life });
        }
        if self.queue.len() > 2 * self.len + FEW {
            let rows = &self.rows;
            self.queue.retain(|(r, l)| rows[*r as usize].life == *l);
        }
        self.queue.push_back((row, life));
    }

    fn make_room(&mut self, purse: &mut Purse) -> bool {
        if !self.index.roomy() {
            let old = self.index.capacity() as u64 * CELL;
            if purse.charge(old * 2) {
                self.index.grow();
                purse.release(old);
            } else if !self.index.fits() {
                return false;
            }
        }
        let len = self.rows.len();
        if !self.free.is_empty() || len < self.rows.capacity() {
            return true;
        }
        let steps = [(len * 2).max(16), len + len / 4 + 1];
        let Some(to) = steps.into_iter().find(|n| purse.charge(*n as u64 * Self::row_bytes()))
        else {
            return false;
        };
        let held = self.rows.capacity() as u64;
        self.rows.reserve_exact(to - len);
        self.free.reserve_exact(to);
        purse.release(held * Self::row_bytes());
        true
    }

    fn evict_oldest(&mut self, purse: &mut Purse) -> bool {
        while let Some((row, life)) = self.queue.pop_front() {
            if self.rows[row as usize].life == life {
                drop_quietly(self.take(row, purse));
                self.evicted += 1;
                return true;
            }
        }
        false
    }

    /// Takes a tombstone out.
    pub(crate) fn take(&mut self, row: u32, purse: &mut Purse) -> Option<Tomb<K>> {
        let heap = self.heap_of(&self.rows[row as usize]);
        let t = &mut self.rows[row as usize];
        let out = Tomb { key: Some(t.key.take()?), rest: t.rest.take(), ..*t };
        t.life = t.life.wrapping_add(1);
        self.index.remove(out.tag, row);
        self.free.push(row);
        self.len -= 1;
        purse.release(heap);
        self.lease.settle(self.len as u64);
        Some(out)
    }

    /// Ends the tombstones whose time is over at the watermark `to`.
    #[inline]
    pub(crate) fn bury(&mut self, to: u64, scratch: &mut Vec<Entry>, purse: &mut Purse) {
        scratch.clear();
        self.deaths.advance(to, scratch);
        for e in scratch.drain(..) {
            if self.rows[e.slot as usize].life == e.life {
                drop_quietly(self.take(e.slot, purse));
            }
        }
        let rows = &self.rows;
        self.deaths.sweep(self.len, |e| rows[e.slot as usize].life == e.life);
    }

    /// All tombstones, oldest first.
    pub(crate) fn by_age(&self) -> impl Iterator<Item = &Tomb<K>> {
        let row = |(r, l): &(u32, u32)| Some(&self.rows[*r as usize]).filter(|t| t.life == *l);
        self.queue.iter().filter_map(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tomb(key: u32, dies: u64) -> Tomb<u32> {
        Tomb {
            key: Some(key),
            tag: key,
            life: 0,
            mask: 1,
            generation: 0,
            fragments: 1,
            bound: UNKNOWN,
            reason: Reason::Complete,
            emitted: true,
            dies,
            rest: None,
        }
    }

    fn keys(t: &Tombs<u32>) -> Vec<u32> {
        t.by_age().filter_map(|t| t.key).collect()
    }

    #[test]
    fn a_tombstone_of_a_small_key_is_one_cache_line() {
        assert_eq!((size_of::<Tomb<u64>>(), size_of::<Tail>()), (64, 64));
    }

    #[test]
    fn the_oldest_goes_first_and_is_counted() {
        let (mut t, mut purse) = (Tombs::new(Lease::alone(3), |_| 0), Purse::default());
        for k in 0..5 {
            t.insert(tomb(k, u64::MAX), &mut purse);
        }
        assert_eq!((keys(&t), t.evicted, t.len()), (vec![2, 3, 4], 2, 3));
        let row = t.find(3, |k| *k == 3);
        assert_eq!(t.take(row, &mut purse).and_then(|t| t.key), Some(3));
        t.insert(tomb(9, u64::MAX), &mut purse);
        assert_eq!((keys(&t), t.evicted), (vec![2, 4, 9], 2));
        assert_eq!(t.find(3, |k| *k == 3), crate::index::NONE);
        let mut none = Tombs::new(Lease::alone(0), |_| 0);
        none.insert(tomb(1, u64::MAX), &mut purse);
        assert_eq!((none.len(), none.evicted), (0, 1));
    }

    #[test]
    fn tombstones_end_at_their_time() {
        let (mut t, mut purse) = (Tombs::new(Lease::alone(100), |_| 0), Purse::default());
        for k in 0..50 {
            t.insert(tomb(k, 100 + u64::from(k)), &mut purse);
        }
        t.bury(109, &mut Vec::new(), &mut purse);
        assert_eq!((t.len(), t.evicted, keys(&t)[0]), (40, 0, 10));
        t.bury(1_000, &mut Vec::new(), &mut purse);
        assert_eq!(t.len(), 0);
    }
}
