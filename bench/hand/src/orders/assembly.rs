//! Keyed state of the orders loop: an index from order to slot, slots recycled with their buffers.

use std::{
    io::{self, Write},
    mem,
};

use hashbrown::{HashMap, hash_map::Entry};
use sha2::{Digest, Sha256};

use super::fragment::Fragment;

const VARIABLES: usize = 15;

/// An order in the making.
#[derive(Debug, Default)]
struct Open {
    seen: u16,
    /// The variables that complete it; unknown before the header.
    wanted: Option<u16>,
    /// Canonical text of the fragments, in order of arrival.
    text: Vec<u8>,
    /// Where each variable's text lies.
    spans: [(u32, u32); VARIABLES],
}

/// All open orders.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    index: HashMap<u64, u32, foldhash::fast::RandomState>,
    slots: Vec<Open>,
    free_slots: Vec<u32>,
}

impl Assembly {
    /// Takes one fragment; writes the order's outcome line when it is complete with it. A variable
    /// that is there already stays as it is.
    pub(super) fn apply(
        &mut self,
        fragment: &Fragment<'_>,
        sink: &mut impl Write,
    ) -> io::Result<()> {
        let bit = fragment.bit()?;
        let entry = match self.index.entry(fragment.order) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                let slot = self.free_slots.pop().unwrap_or_else(|| {
                    self.slots.push(Open::default());
                    self.slots.len() as u32 - 1
                });
                entry.insert_entry(slot)
            }
        };
        let slot = *entry.get();
        let open = &mut self.slots[slot as usize];
        if open.seen & (1 << bit) != 0 {
            return Ok(());
        }
        open.add(bit, fragment);
        if open.wanted != Some(open.seen) {
            return Ok(());
        }
        entry.remove();
        open.write_outcome(fragment.order, sink)?;
        open.clear();
        self.free_slots.push(slot);
        Ok(())
    }

    /// Number of orders that are not complete.
    pub(super) fn open_orders(&self) -> usize {
        self.index.len()
    }
}

impl Open {
    fn add(&mut self, bit: u32, fragment: &Fragment<'_>) {
        self.seen |= 1 << bit;
        if bit == 0 {
            self.wanted = fragment.complete_set();
        }
        let start = self.text.len() as u32;
        fragment.write_canonical(&mut self.text);
        self.spans[bit as usize] = (start, self.text.len() as u32);
    }

    /// Writes `key TAB complete TAB TAB record`, where record is the first 16 hex digits of the
    /// SHA-256 of the fragments in the order of their bits, joined by LF.
    fn write_outcome(&self, order: u64, sink: &mut impl Write) -> io::Result<()> {
        let mut hasher = Sha256::new();
        for bit in 0..VARIABLES {
            if self.seen & (1 << bit) == 0 {
                continue;
            }
            if bit > 0 {
                hasher.update(b"\n");
            }
            let (start, end) = self.spans[bit];
            hasher.update(&self.text[start as usize..end as usize]);
        }
        sink.write_all(itoa::Buffer::new().format(order).as_bytes())?;
        sink.write_all(b"\tcomplete\t\t")?;
        for byte in &hasher.finalize()[..8] {
            write!(sink, "{byte:02x}")?;
        }
        sink.write_all(b"\n")
    }

    /// Empties the slot but keeps its buffer.
    fn clear(&mut self) {
        let mut text = mem::take(&mut self.text);
        text.clear();
        *self = Self { text, ..Self::default() };
    }
}
