//! W5 with ready-made maps, from careful to careless.

use bench_common::{Fragment, VALUE_BYTES, VARIABLES, fragment_at, record_sum};
use hashbrown::{HashMap, hash_map::Entry};

use super::row_sum;

type Seeded = foldhash::fast::RandomState;
const ROW_BYTES: usize = VARIABLES * VALUE_BYTES;
const COMPLETE: u8 = (1 << VARIABLES) - 1;

/// An index from key to slot with the rows dense beside it; slots are recycled.
#[derive(Debug, Default)]
pub(super) struct Slab {
    index: HashMap<u64, u32, Seeded>,
    seen: Vec<u8>,
    rows: Vec<u8>,
    free_slots: Vec<u32>,
}

impl Slab {
    /// Takes one fragment and gives the record's checksum when it completes one.
    #[inline(always)]
    pub(super) fn apply(
        &mut self,
        key: u64,
        variable: u8,
        value: &[u8; VALUE_BYTES],
    ) -> Option<u64> {
        match self.index.entry(key) {
            Entry::Occupied(entry) => {
                let slot = *entry.get() as usize;
                let row = &mut self.rows[slot * ROW_BYTES..][..ROW_BYTES];
                row[usize::from(variable) * VALUE_BYTES..][..VALUE_BYTES].copy_from_slice(value);
                self.seen[slot] |= 1 << variable;
                if self.seen[slot] != COMPLETE {
                    return None;
                }
                entry.remove();
                self.free_slots.push(slot as u32);
                Some(row_sum(key, row))
            }
            Entry::Vacant(entry) => {
                let slot = match self.free_slots.pop() {
                    Some(slot) => slot as usize,
                    None => {
                        self.seen.push(0);
                        self.rows.resize(self.rows.len() + ROW_BYTES, 0);
                        self.seen.len() - 1
                    }
                };
                entry.insert(slot as u32);
                self.seen[slot] = 1 << variable;
                let start = slot * ROW_BYTES + usize::from(variable) * VALUE_BYTES;
                self.rows[start..][..VALUE_BYTES].copy_from_slice(value);
                None
            }
        }
    }
}

#[derive(Debug, Default)]
struct Parts {
    seen: u8,
    values: [String; VARIABLES],
}

/// A map from key to owned values.
#[derive(Debug, Default)]
pub(super) struct Owned(HashMap<u64, Parts, Seeded>);

impl Owned {
    /// Takes one fragment and gives the record's checksum when it completes one.
    #[inline(always)]
    pub(super) fn apply(&mut self, fragment: Fragment) -> Option<u64> {
        match self.0.entry(fragment.key) {
            Entry::Occupied(mut entry) => {
                let parts = entry.get_mut();
                parts.values[usize::from(fragment.variable)] = fragment.value;
                parts.seen |= 1 << fragment.variable;
                if parts.seen != COMPLETE {
                    return None;
                }
                let parts = entry.remove();
                Some(record_sum(fragment.key, parts.values.each_ref().map(|v| v.as_bytes())))
            }
            Entry::Vacant(entry) => {
                let mut parts = Parts { seen: 1 << fragment.variable, ..Parts::default() };
                parts.values[usize::from(fragment.variable)] = fragment.value;
                entry.insert(parts);
                None
            }
        }
    }
}

/// A map of maps of strings under SipHash: the careless form.
pub(super) fn nested(n: u64) -> u64 {
    type Sip = std::collections::hash_map::RandomState;
    let names = ["temperature", "salinity", "pressure", "oxygen"];
    let mut open: HashMap<String, HashMap<String, String, Sip>, Sip> = HashMap::default();
    let mut sum = 0u64;
    for index in 0..n {
        let fragment = fragment_at(index);
        let key = format!("k{}", fragment.key);
        let record = open.entry(key.clone()).or_default();
        record.insert(names[usize::from(fragment.variable)].to_owned(), fragment.value);
        if record.len() == VARIABLES
            && let Some(record) = open.remove(&key)
        {
            sum = sum.wrapping_add(record_sum(fragment.key, names.map(|n| record[n].as_bytes())));
        }
    }
    sum
}
