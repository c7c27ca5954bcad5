//! Hash to slot: open addressing over 8-byte cells, apart from the rows it points to.
//!
//! A cell is 32 bits of the mixed hash (the tag) and the slot. The tag gives the place, so cells
//! move without their rows being touched; whoever finds a slot compares the key itself. Deletion
//! shifts back, so there are no gravestones to wade through.

use flux_io_core::hint::prefetch;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
const EMPTY: u64 = u64::MAX;
/// Bytes of a cell.
pub(crate) const CELL: u64 = 8;

/// The index.
#[derive(Debug)]
pub(crate) struct Index {
    cells: Vec<u64>,
    mask: usize,
    len: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { cells: vec![EMPTY; 2], mask: 1, len: 0 }
    }
}

#[inline]
const fn slot_of(cell: u64) -> u32 {
    cell as u32
}

#[inline]
const fn tag_of(cell: u64) -> u32 {
    (cell >> 32) as u32
}

/// The tag of a hash under the table's own seed: hashes that were made to collide in one table do
/// not in another. Source of the folded multiplication: the foldhash crate.
#[inline(always)]
pub(crate) fn tag(hash: u64, seed: u64) -> u32 {
    let wide = u128::from(hash ^ seed) * 0x9E37_79B9_7F4A_7C15_u128;
    ((wide as u64) ^ (wide >> 64) as u64) as u32
}

impl Index {
    /// Cells.
    pub(crate) const fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// Asks for the cell where `tag` would lie.
    #[inline(always)]
    pub(crate) fn prefetch(&self, tag: u32) {
        prefetch(&self.cells, tag as usize & self.mask);
    }

    /// A slot with this tag, unverified; [`NONE`] when there is none.
    #[inline(always)]
    pub(crate) fn guess(&self, tag: u32) -> u32 {
        self.find(tag, |_| true)
    }

    /// The slot with this tag that `is` accepts; [`NONE`] when there is none.
    #[inline(always)]
    pub(crate) fn find(&self, tag: u32, is: impl Fn(u32) -> bool) -> u32 {
        let mut i = tag as usize & self.mask;
        loop {
            let cell = self.cells[i & self.mask];
            if cell == EMPTY {
                return NONE;
            }
            if tag_of(cell) == tag && is(slot_of(cell)) {
                return slot_of(cell);
            }
            i += 1;
        }
    }

    /// Whether one more entry leaves half of the cells empty.
    #[inline]
    pub(crate) const fn roomy(&self) -> bool {
        (self.len + 1) * 2 <= self.cells.len()
    }

    /// Whether one more entry fits at all, however slow.
    #[inline]
    pub(crate) const fn fits(&self) -> bool {
        (self.len + 1) * 8 <= self.cells.len() * 7
    }

    /// Doubles the cells.
    pub(crate) fn grow(&mut self) {
        let cells = vec![EMPTY; self.cells.len() * 2];
        let old = std::mem::replace(&mut self.cells, cells);
        self.mask = self.cells.len() - 1;
        self.len = 0;
        for cell in old.into_iter().filter(|c| *c != EMPTY) {
            self.insert(tag_of(cell), slot_of(cell));
        }
    }

    /// Adds an entry; there must be room ([`Index::fits`]).
    #[inline]
    pub(crate) fn insert(&mut self, tag: u32, slot: u32) {
        let mut i = tag as usize & self.mask;
        while self.cells[i] != EMPTY {
            i = (i + 1) & self.mask;
        }
        self.cells[i] = u64::from(tag) << 32 | u64::from(slot);
        self.len += 1;
    }

    /// Removes the entry of `slot`; does nothing when there is none.
    #[inline]
    pub(crate) fn remove(&mut self, tag: u32, slot: u32) {
        let target = u64::from(tag) << 32 | u64::from(slot);
        let mut hole = tag as usize & self.mask;
        while self.cells[hole] != target {
            if self.cells[hole] == EMPTY {
                return;
            }
            hole = (hole + 1) & self.mask;
        }
        self.len -= 1;
        let mut i = hole;
        loop {
            i = (i + 1) & self.mask;
            let cell = self.cells[i];
            if cell == EMPTY {
                break;
            }
            // A cell moves into the hole when that is not before its home.
            let home = tag_of(cell) as usize & self.mask;
            if i.wrapping_sub(home) & self.mask >= i.wrapping_sub(hole) & self.mask {
                self.cells[hole] = cell;
                hole = i;
            }
        }
        self.cells[hole] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_io_core::Draws;
    use std::collections::BTreeMap;

    fn put(index: &mut Index, tag: u32, slot: u32) {
        if !index.roomy() {
            index.grow();
        }
        index.insert(tag, slot);
    }

    /// Row 116. Against an ordered map, with tags that crowd into few homes.
    #[test]
    fn finds_what_was_put_and_not_removed() {
        let mut draws = Draws(3);
        for crowd in [4, 64, u32::MAX] {
            let mut index = Index::default();
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            for slot in 0..2_000 {
                let tag = draws.next_u32() % crowd;
                put(&mut index, tag, slot);
                model.insert(slot, tag);
                if draws.below(3) == 0 {
                    let victim = draws.below(slot + 1);
                    let tag = model.remove(&victim);
                    index.remove(tag.unwrap_or(9), victim);
                }
            }
            for slot in 0..2_000 {
                let (tag, want) = model.get(&slot).map_or((1, NONE), |t| (*t, slot));
                assert_eq!(index.find(tag, |s| s == slot), want);
            }
        }
    }

    #[test]
    fn tags_of_one_hash_differ_between_seeds() {
        let tags = |seed| (0..64).map(|h| tag(h << 32, seed)).collect::<Vec<_>>();
        let same = tags(1).iter().zip(tags(2)).filter(|(a, b)| **a == *b).count();
        assert_eq!(same, 0);
    }
}
