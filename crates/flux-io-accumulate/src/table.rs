//! Open keys: an index beside dense rows with recycled slots.
//!
//! A row holds what every fragment reads and the state beside it, so that a fragment finds both in
//! one page: of the three arrays that they were once, each cost a walk of page tables (W5). The tail
//! holds what only some policies ask for (deadlines, order of use, bounds, large sets); policies
//! that ask for none of it have no tails at all.

mod tail;

use crate::index::{CELL, Index, NONE, tag};
use crate::purse::Purse;
use std::collections::VecDeque;

pub(crate) use tail::{More, Tail, Watch};

/// What every fragment of a key reads and writes. The fields that are read first come first, so
/// that they lie in the line that a lookup asks for.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Row<K, S> {
    /// The key; `None` while the slot is free.
    pub(crate) key: Option<K>,
    /// Bits 0 to 63 of its variables.
    pub(crate) mask: u64,
    /// Its place in the index.
    pub(crate) tag: u32,
    /// Counts the slot's lives, so that a stored deadline knows its own.
    pub(crate) life: u32,
    pub(crate) state: S,
}

/// What is kept beside each row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) tails: bool,
    pub(crate) watches: bool,
    /// The order of use.
    pub(crate) uses: bool,
    /// Bytes a slot of what stands elsewhere (timers, queues).
    pub(crate) extra: u64,
}

/// The open keys.
#[derive(Debug)]
pub(crate) struct Table<K, S> {
    pub(crate) index: Index,
    pub(crate) rows: Vec<Row<K, S>>,
    pub(crate) tails: Vec<Tail>,
    watches: Vec<Watch>,
    /// Lent where there are no watches.
    no_watch: Watch,
    free: Vec<u32>,
    len: usize,
    beside: Beside,
    seed: u64,
    /// The order of use, least recent first: slots with the stamp of that use. A slot used again
    /// has a later stamp; its earlier entries are dropped where they are met.
    uses: VecDeque<(u32, u32)>,
    stamp: u32,
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
/// Entries of the order of use for each open key above which the stale ones are swept out, and
/// entries that are never worth it.
const USES: usize = 4;
const FEW: usize = 64;

impl<K, S> Table<K, S> {
    /// An empty table.
    pub(crate) fn new(beside: Beside, seed: u64) -> Self {
        let each = [
            size_of::<Row<K, S>>(),
            if beside.tails { size_of::<Tail>() } else { 0 },
            if beside.watches { size_of::<Watch>() } else { 0 },
            if beside.uses { (USES + 1) * size_of::<(u32, u32)>() } else { 0 },
            // Its place in the list of free slots.
            size_of::<u32>(),
        ];
        Self {
            index: Index::default(),
            rows: Vec::new(),
            tails: Vec::new(),
            watches: Vec::new(),
            no_watch: Watch::default(),
            free: Vec::new(),
            len: 0,
            beside,
            seed,
            uses: VecDeque::new(),
            stamp: 0,
            slot_bytes: each.iter().sum::<usize>() as u64 + beside.extra,
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
    pub(crate) fn find(&self, tag: u32, is: impl Fn(u32, &K) -> bool) -> u32 {
        self.index.find(tag, |s| self.holds(s, |k| is(s, k)))
    }

    /// Whether a slot is open and its key accepted.
    #[inline(always)]
    pub(crate) fn holds(&self, slot: u32, is: impl Fn(&K) -> bool) -> bool {
        self.rows.get(slot as usize).is_some_and(|h| h.key.as_ref().is_some_and(is))
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
        let len = self.rows.len();
        if len < self.rows.capacity() {
            return true;
        }
        // Old and new stand side by side while rows move: both are charged.
        let held = self.charged_slots();
        let steps = [(len * 2).max(FIRST), len + len / 4 + 1, len + 1];
        let Some(to) = steps.into_iter().find(|n| purse.charge(*n as u64 * self.slot_bytes)) else {
            return false;
        };
        self.rows.reserve_exact(to - len);
        self.free.reserve_exact(to);
        if self.beside.tails {
            self.tails.reserve_exact(to - len);
        }
        if self.beside.watches {
            self.watches.reserve_exact(to - len);
        }
        purse.release(held * self.slot_bytes);
        true
    }

    const fn charged_slots(&self) -> u64 {
        self.rows.capacity() as u64
    }

    /// Bytes charged for the table itself.
    pub(crate) const fn fixed_bytes(&self) -> u64 {
        self.charged_slots() * self.slot_bytes + self.index.capacity() as u64 * CELL
    }

    /// The last key has left: gives the memory back, unless it is little, or more than a quarter of
    /// the slots were open at once since the table was last empty: then it is kept for a while (see
    /// [`Table::rest`]). Returns whether it did: slots and lives begin anew.
    pub(crate) fn shrink(&mut self, purse: &mut Purse) -> bool {
        if self.len > 0 || self.rows.len() < WORTH {
            return false;
        }
        let used = std::mem::take(&mut self.peak);
        self.idle = 0;
        used * 4 <= self.rows.len() && self.free_all(purse)
    }

    /// A call begins. Gives the memory back when no key was open for many calls. Returns whether it
    /// did.
    #[inline]
    pub(crate) fn rest(&mut self, purse: &mut Purse) -> bool {
        if self.len > 0 || self.rows.len() < WORTH {
            return false;
        }
        self.idle += 1;
        self.idle > KEPT && self.free_all(purse)
    }

    fn free_all(&mut self, purse: &mut Purse) -> bool {
        purse.release(self.fixed_bytes());
        *self = Self::new(self.beside, self.seed);
        true
    }

    /// Opens a key in room made before.
    pub(crate) fn open(&mut self, tag: u32, key: K, fresh: impl FnOnce() -> S) -> u32 {
        let slot = match self.free.pop() {
            Some(s) => s,
            None => {
                self.rows.push(Row { key: None, mask: 0, tag, life: 0, state: fresh() });
                if self.beside.tails {
                    self.tails.push(Tail::default());
                }
                if self.beside.watches {
                    self.watches.push(Watch::default());
                }
                (self.rows.len() - 1) as u32
            }
        };
        let row = &mut self.rows[slot as usize];
        row.key = Some(key);
        row.mask = 0;
        row.tag = tag;
        self.index.insert(tag, slot);
        self.len += 1;
        self.peak = self.peak.max(self.len);
        slot
    }

    /// Closes a slot whose state was made fresh; gives its key and tail.
    pub(crate) fn close(&mut self, slot: u32) -> Option<K> {
        let row = &mut self.rows[slot as usize];
        let key = row.key.take()?;
        row.life = row.life.wrapping_add(1);
        self.index.remove(row.tag, slot);
        self.free.push(slot);
        self.len -= 1;
        Some(key)
    }

    /// Closes a slot for good: no fresh state could be made for it.
    #[cold]
    pub(crate) fn retire(&mut self, slot: u32) -> Option<K> {
        let key = self.close(slot);
        if self.free.last() == Some(&slot) {
            self.free.pop();
        }
        key
    }

    /// Slots of open keys.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().enumerate().filter(|(_, h)| h.key.is_some()).map(|(i, _)| i as u32)
    }

    /// The slot that the `n`-th key from now will be opened in, to be asked for beforehand.
    #[inline]
    pub(crate) fn next_slot(&self, n: usize) -> usize {
        match self.free.len().checked_sub(n + 1) {
            Some(i) => self.free[i] as usize,
            None => self.rows.len() + n - self.free.len(),
        }
    }

    /// The times of a key; the default ones where none are kept.
    pub(crate) fn watch(&self, slot: u32) -> Watch {
        self.watches.get(slot as usize).copied().unwrap_or_default()
    }

    /// A key's tail and times, to be changed; where no times are kept, changes are lost.
    #[inline]
    pub(crate) fn timed(&mut self, slot: u32) -> (&mut Tail, &mut Watch) {
        let watch = if self.beside.watches {
            &mut self.watches[slot as usize]
        } else {
            self.no_watch = Watch::default();
            &mut self.no_watch
        };
        (&mut self.tails[slot as usize], watch)
    }

    /// Takes what stands beside a closed slot, leaving it fresh.
    pub(crate) fn take_beside(&mut self, slot: u32) -> Option<(Tail, Watch)> {
        let tail = std::mem::take(self.tails.get_mut(slot as usize)?);
        let watch = self.watches.get_mut(slot as usize).map(std::mem::take);
        Some((tail, watch.unwrap_or_default()))
    }

    /// The open key that has gone longest without a new fragment, `spare` aside; [`NONE`] when
    /// there is none.
    pub(crate) fn least_used(&mut self, spare: u32) -> u32 {
        while let Some((slot, stamp)) = self.uses.front().copied() {
            if self.tails[slot as usize].used == stamp {
                break;
            }
            self.uses.pop_front();
        }
        self.by_use().find(|s| *s != spare).unwrap_or(NONE)
    }

    /// From the least to the most recently used.
    pub(crate) fn by_use(&self) -> impl Iterator<Item = u32> {
        let valid = |(slot, stamp): &(u32, u32)| self.tails[*slot as usize].used == *stamp;
        self.uses.iter().filter(move |u| valid(u)).map(|u| u.0)
    }

    /// Makes a key the most recently used.
    #[inline]
    pub(crate) fn touch(&mut self, slot: u32) {
        self.stamp = self.stamp.wrapping_add(1).max(1);
        self.tails[slot as usize].used = self.stamp;
        if let Some(last) = self.uses.back_mut().filter(|u| u.0 == slot) {
            last.1 = self.stamp;
            return;
        }
        if self.uses.len() > self.len * USES + FEW {
            self.sweep_uses();
        }
        self.uses.push_back((slot, self.stamp));
    }

    /// Drops stale entries of the order of use; every entry is looked at about once in its life.
    #[cold]
    fn sweep_uses(&mut self) {
        let tails = &self.tails;
        self.uses.retain(|(slot, stamp)| tails[*slot as usize].used == *stamp);
    }
}

#[cfg(test)]
mod tests;
