//! Deadlines of many keys on one clock: a radix heap with lazily dropped entries.
//!
//! Time only moves forward, and a deadline that is already due is never stored. So an entry lies in
//! the bucket of the highest bit in which it differs from the time `last` of the last firing, and
//! moves to lower buckets only: at most 64 times in its life, in practice a few. Storing is O(1);
//! moving the time costs nothing until the earliest deadline is reached. Source: Ahuja, Mehlhorn,
//! Orlin, Tarjan, "Faster algorithms for the shortest path problem", J. ACM 37, 1990 (radix heaps).
//!
//! An entry names a slot and its generation; when the key has left, the generation has moved on and
//! the entry is dropped where it is met. [`Timers::sweep`] keeps such entries below the live ones.

use flux_io_core::Timestamp;

/// One stored deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When, as an ordered number.
    pub(crate) at: u64,
    /// Whose.
    pub(crate) slot: u32,
    /// Which life of the slot.
    pub(crate) life: u32,
}

/// Entries per live key above which dead ones are swept out.
const SLACK: usize = 2;
/// Entries that are never worth a sweep.
const FEW: usize = 64;

/// The deadlines.
#[derive(Debug)]
pub(crate) struct Timers {
    last: u64,
    buckets: [Vec<Entry>; 65],
    /// Smallest `at` of each bucket that holds anything.
    mins: [u64; 65],
    /// Which buckets hold anything, by bit.
    full: u128,
    len: usize,
    /// No entry lies before this.
    next: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            last: 0,
            buckets: std::array::from_fn(|_| Vec::new()),
            mins: [u64::MAX; 65],
            full: 0,
            len: 0,
            next: u64::MAX,
        }
    }
}

impl Timers {
    /// Stores a deadline.
    #[inline]
    pub(crate) fn push(&mut self, e: Entry) {
        // What should be due already waits for the next firing.
        let b =
            if e.at <= self.last { 0 } else { 64 - (e.at ^ self.last).leading_zeros() as usize };
        self.buckets[b].push(e);
        self.mins[b] = if self.full >> b & 1 == 0 { e.at } else { self.mins[b].min(e.at) };
        self.full |= 1 << b;
        self.len += 1;
        self.next = self.next.min(e.at);
    }

    /// No deadline lies before this moment; `None` when none is stored.
    #[inline]
    pub(crate) const fn next(&self) -> Option<u64> {
        if self.len == 0 { None } else { Some(self.next) }
    }

    /// Entries stored, dead ones included.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Moves every entry with `at <= to` to `due`, in no order.
    #[inline]
    pub(crate) fn advance(&mut self, to: u64, due: &mut Vec<Entry>) {
        if self.len > 0 && to >= self.next {
            self.fire(to, due);
        }
    }

    #[inline(never)]
    fn fire(&mut self, to: u64, due: &mut Vec<Entry>) {
        let before = due.len();
        let top = if to <= self.last { 0 } else { 64 - (to ^ self.last).leading_zeros() as usize };
        // Buckets below `top` agree with `last` in the bit where `to` is larger: all are due.
        let mut below = self.full & ((1 << top) - 1);
        if top == 0 {
            below = self.full & 1;
        }
        while below != 0 {
            let b = below.trailing_zeros() as usize;
            below &= below - 1;
            due.append(&mut self.buckets[b]);
            self.full &= !(1 << b);
        }
        self.len -= due.len() - before;
        self.last = self.last.max(to);
        if top > 0 && self.full >> top & 1 == 1 {
            self.full &= !(1 << top);
            let split = std::mem::take(&mut self.buckets[top]);
            self.len -= split.len();
            for e in &split {
                if e.at <= to { due.push(*e) } else { self.push(*e) }
            }
            self.keep_buffer(top, split);
        }
        self.find_next();
    }

    /// A bucket that was taken apart gets its buffer back, so that steady work allocates nothing.
    #[inline]
    fn keep_buffer(&mut self, b: usize, mut buffer: Vec<Entry>) {
        if self.buckets[b].is_empty() {
            buffer.clear();
            self.buckets[b] = buffer;
        }
    }

    fn find_next(&mut self) {
        let lowest = self.full.trailing_zeros() as usize;
        self.next = if self.full == 0 { u64::MAX } else { self.mins[lowest] };
    }

    /// Drops the entries that `live` disowns, when there are many for `keys` live keys: amortised
    /// O(1) an entry.
    #[inline]
    pub(crate) fn sweep(&mut self, keys: usize, live: impl Fn(&Entry) -> bool) {
        if self.len <= keys * SLACK + FEW {
            return;
        }
        self.len = 0;
        for b in 0..self.buckets.len() {
            let bucket = &mut self.buckets[b];
            bucket.retain(&live);
            if bucket.capacity() > 4 * bucket.len() + FEW {
                bucket.shrink_to(2 * bucket.len());
            }
            self.len += bucket.len();
            match bucket.iter().map(|e| e.at).min() {
                Some(min) => self.mins[b] = min,
                None => self.full &= !(1 << b),
            }
        }
        self.find_next();
    }

    /// Forgets every deadline; the time stays.
    pub(crate) fn clear(&mut self) {
        let last = self.last;
        *self = Self { last, ..Self::default() };
    }
}

/// A timestamp as a number of the same order.
#[inline]
pub(crate) const fn ordered(t: Timestamp) -> u64 {
    (t.0 as u64) ^ (1 << 63)
}

/// The timestamp of such a number.
#[inline]
pub(crate) const fn unordered(at: u64) -> Timestamp {
    Timestamp((at ^ (1 << 63)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_io_core::Draws;

    fn at(at: u64, slot: u32) -> Entry {
        Entry { at, slot, life: 1 }
    }

    fn fired(t: &mut Timers, to: u64) -> Vec<u64> {
        let mut due = Vec::new();
        t.advance(to, &mut due);
        let mut due: Vec<u64> = due.iter().map(|e| e.at).collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn a_timestamp_keeps_its_order_as_a_number() {
        let times = [i64::MIN, -5, -1, 0, 1, i64::MAX].map(|t| ordered(Timestamp(t)));
        assert!(times.is_sorted());
        assert_eq!(unordered(times[1]), Timestamp(-5));
        assert_eq!((times[0], times[5]), (0, u64::MAX));
    }

    #[test]
    fn extremes_are_kept_and_fired() {
        let mut t = Timers::default();
        t.push(at(u64::MAX, 0));
        t.push(at(0, 1));
        assert_eq!(t.next(), Some(0));
        assert_eq!(fired(&mut t, 0), [0]);
        assert_eq!(fired(&mut t, u64::MAX - 1), [0; 0]);
        assert_eq!(t.next(), Some(u64::MAX));
        assert_eq!(fired(&mut t, u64::MAX), [u64::MAX]);
        assert_eq!((t.next(), t.len()), (None, 0));
    }

    /// Row 119. Against a plain list, at random steps of every size.
    #[test]
    fn exactly_what_is_due_fires() {
        let mut draws = Draws(7);
        for round in 0..200 {
            let mut t = Timers::default();
            let mut model: Vec<u64> = Vec::new();
            let mut now = 0_u64;
            for _ in 0..300 {
                let span = 1_u64 << draws.below(40 + round % 20);
                for _ in 0..draws.below(4) {
                    let d = now + 1 + draws.next_u64() % span;
                    t.push(at(d, 0));
                    model.push(d);
                }
                now += draws.next_u64() % span;
                let mut want: Vec<u64> = model.iter().copied().filter(|d| *d <= now).collect();
                want.sort_unstable();
                model.retain(|d| *d > now);
                assert_eq!(fired(&mut t, now), want);
                assert_eq!(t.len(), model.len());
                let earliest = model.iter().min().copied();
                assert_eq!(t.next(), earliest);
            }
        }
    }

    #[test]
    fn a_sweep_keeps_the_living() {
        let mut t = Timers::default();
        for i in 0..1_000 {
            t.push(at(10 + u64::from(i), i));
        }
        t.sweep(1_000, |_| false);
        assert_eq!(t.len(), 1_000, "no sweep while most may live");
        t.sweep(10, |e| e.slot % 100 == 7);
        assert_eq!((t.len(), t.next()), (10, Some(17)));
        assert_eq!(fired(&mut t, 300), [17, 117, 217]);
        t.clear();
        assert_eq!((t.len(), t.next()), (0, None));
    }
}
