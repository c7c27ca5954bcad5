//! The limit of W5: open addressing from key to slot, dense rows of 256 bytes, recycled slots; a
//! batch goes through in three passes, so that its cache misses overlap instead of adding up.

use bench_common::{VALUE_BYTES, VARIABLES, key_and_variable, value64};

use super::row_sum;

const ROW_BYTES: usize = VARIABLES * VALUE_BYTES;
const COMPLETE: u8 = (1 << VARIABLES) - 1;
/// Marks a free bucket; no key of the workload has this value.
const FREE: u64 = u64::MAX;

/// A fragment with its value inline.
#[derive(Debug, Clone)]
pub(crate) struct TableFragment {
    key: u64,
    variable: u8,
    value: [u8; VALUE_BYTES],
}

impl TableFragment {
    /// The fragment at `index` of the input.
    #[inline(always)]
    pub(crate) fn at(index: u64) -> Self {
        let (key, variable) = key_and_variable(index);
        Self { key, variable, value: value64(key, variable) }
    }
}

/// Keyed state of W5.
#[derive(Debug)]
pub(crate) struct Table {
    /// (key, slot), linear probing; the length is a power of two.
    buckets: Vec<(u64, u32)>,
    used: usize,
    /// Per slot: which variables are there.
    seen: Vec<u8>,
    rows: Vec<[u8; ROW_BYTES]>,
    free_slots: Vec<u32>,
    /// Slots of the batch at hand.
    slots: Vec<u32>,
}

impl Table {
    /// An empty table; `buckets` must be a power of two.
    pub(crate) fn with_buckets(buckets: usize) -> Self {
        Self {
            buckets: vec![(FREE, 0); buckets],
            used: 0,
            seen: Vec::new(),
            rows: Vec::new(),
            free_slots: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Takes a batch; calls `on_complete` with the fragment's index in the batch and the record's
    /// checksum for each record that the fragment completes, in the order of the batch.
    #[inline]
    pub(crate) fn apply(
        &mut self,
        batch: &[TableFragment],
        mut on_complete: impl FnMut(usize, u64),
    ) {
        for fragment in batch {
            prefetch(&raw const self.buckets[self.home(fragment.key)]);
        }
        self.slots.clear();
        for fragment in batch {
            let slot = self.slot_of(fragment.key);
            self.slots.push(slot);
            let row = (&raw const self.rows[slot as usize]).cast::<u8>();
            for line in 0..ROW_BYTES / 64 {
                prefetch(row.wrapping_add(line * 64));
            }
        }
        for (index, fragment) in batch.iter().enumerate() {
            let slot = self.slots[index];
            let start = usize::from(fragment.variable) * VALUE_BYTES;
            let row = &mut self.rows[slot as usize];
            row[start..start + VALUE_BYTES].copy_from_slice(&fragment.value);
            let seen = &mut self.seen[slot as usize];
            *seen |= 1 << fragment.variable;
            if *seen == COMPLETE {
                on_complete(index, row_sum(fragment.key, &self.rows[slot as usize]));
                self.remove(fragment.key);
                self.free_slots.push(slot);
            }
        }
    }

    /// Fibonacci hashing: the high bits of the product, which depend on all bits of the key.
    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as usize & (self.buckets.len() - 1)
    }

    #[inline(always)]
    fn next(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }

    /// The slot of a key, a new one when the key is new. At most half of the buckets are used.
    #[inline(always)]
    fn slot_of(&mut self, key: u64) -> u32 {
        if self.used * 2 >= self.buckets.len() {
            self.grow();
        }
        let mut bucket = self.home(key);
        loop {
            match self.buckets[bucket] {
                (found, slot) if found == key => return slot,
                (FREE, _) => {
                    let slot = self.new_slot();
                    self.buckets[bucket] = (key, slot);
                    self.used += 1;
                    return slot;
                }
                _ => bucket = self.next(bucket),
            }
        }
    }

    #[inline(always)]
    fn new_slot(&mut self) -> u32 {
        if let Some(slot) = self.free_slots.pop() {
            self.seen[slot as usize] = 0;
            return slot;
        }
        self.seen.push(0);
        self.rows.push([0; ROW_BYTES]);
        self.seen.len() as u32 - 1
    }

    fn grow(&mut self) {
        let larger = vec![(FREE, 0); self.buckets.len() * 2];
        let smaller = std::mem::replace(&mut self.buckets, larger);
        for entry in smaller.into_iter().filter(|entry| entry.0 != FREE) {
            let mut bucket = self.home(entry.0);
            while self.buckets[bucket].0 != FREE {
                bucket = self.next(bucket);
            }
            self.buckets[bucket] = entry;
        }
    }

    /// Frees the bucket of a key that is there, moving later ones of its run back over the gap
    /// (Knuth, TAOCP vol. 3, 6.4, algorithm R).
    #[inline(always)]
    fn remove(&mut self, key: u64) {
        let mask = self.buckets.len() - 1;
        let mut gap = self.home(key);
        while self.buckets[gap].0 != key {
            gap = self.next(gap);
        }
        self.used -= 1;
        let mut bucket = self.next(gap);
        while self.buckets[bucket].0 != FREE {
            let home = self.home(self.buckets[bucket].0);
            if bucket.wrapping_sub(home) & mask >= bucket.wrapping_sub(gap) & mask {
                self.buckets[gap] = self.buckets[bucket];
                gap = bucket;
            }
            bucket = self.next(bucket);
        }
        self.buckets[gap] = (FREE, 0);
    }
}

/// Asks the CPU to load the cache line at `address`; does nothing on other CPUs.
#[inline(always)]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the only way to prefetch"))]
fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it never faults, whatever the address, and every x86-64 has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_common::Rng;

    #[test]
    fn the_table_agrees_with_a_plain_map() {
        let n = 1u64 << 20;
        let mut table = Table::with_buckets(4);
        let mut plain = super::super::maps::Slab::default();
        let mut rng = Rng::new(3);
        let mut start = 0;
        while start < n {
            let end = n.min(start + 1 + rng.next_u64() % 300);
            let batch: Vec<_> = (start..end).map(TableFragment::at).collect();
            let mut got = Vec::new();
            table.apply(&batch, |index, sum| got.push((index, sum)));
            let want: Vec<_> = batch
                .iter()
                .enumerate()
                .filter_map(|(i, f)| Some((i, plain.apply(f.key, f.variable, &f.value)?)))
                .collect();
            assert_eq!(got, want);
            start = end;
        }
        assert_eq!(table.used, 0, "every key of a whole window leaves");
    }
}
