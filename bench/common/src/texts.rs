//! The file inputs of W3, W4 and W9, and the checksums of their answers.

use std::path::PathBuf;

use crate::{data_dir, rng::mix};

/// Words on a line of W3's text.
pub const WORDS_PER_LINE: u64 = 12;
/// The variables of W9's records, in the order of the output.
pub const MEASURES: [&str; 4] = ["temperature", "salinity", "pressure", "oxygen"];

/// The input file of a workload of `items` items; `gen-inputs` writes it.
pub fn input_file(workload: &str, items: u64) -> PathBuf {
    let end = if workload == "w9" { "ndjson" } else { "txt" };
    data_dir().join(format!("{workload}-{items}.{end}"))
}

/// Keys of W4's rows: `w4` has few, `w4m` has a million.
pub const fn keys_of(workload: &str) -> u64 {
    if workload.len() == 3 { 1_000_000 } else { 413 }
}

/// What one word adds to the checksum of W3; the number of words is added once.
pub fn word_sum(word: &[u8], count: u64) -> u64 {
    let first = word.first().copied().unwrap_or(0);
    mix(count ^ (u64::from(first) << 40)).wrapping_add(1)
}

/// Smallest, largest, sum and number of the values of a key, in tenths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Smallest.
    pub min: i32,
    /// Largest.
    pub max: i32,
    /// Sum.
    pub sum: i64,
    /// Number.
    pub count: u32,
}

impl Default for Spread {
    fn default() -> Self {
        Self { min: i32::MAX, max: i32::MIN, sum: 0, count: 0 }
    }
}

impl Spread {
    /// Takes one value.
    #[inline(always)]
    pub fn add(&mut self, value: i32) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += i64::from(value);
        self.count += 1;
    }

    /// Takes all values of another.
    pub fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.count += other.count;
    }

    /// What a key adds to the checksum of W4.
    pub fn check(&self, key: &[u8]) -> u64 {
        let parts = key.len() as u64
            ^ self.sum as u64
            ^ (u64::from(self.count) << 32)
            ^ ((self.min as u64) << 8)
            ^ ((self.max as u64) << 16);
        mix(parts).wrapping_add(1)
    }
}

/// A row of W4, `key;value`: the key and the value in tenths.
#[inline(always)]
pub fn row_of(line: &[u8]) -> Option<(&[u8], i32)> {
    // The value has 3 to 5 characters, so the separator is near the end.
    let semicolon = line.iter().rposition(|&b| b == b';')?;
    let (key, rest) = line.split_at(semicolon);
    let (negative, digits) = match &rest[1..] {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let digit = |b: u8| i32::from(b) - i32::from(b'0');
    let value = match *digits {
        [a, b'.', b] => digit(a) * 10 + digit(b),
        [a, b, b'.', c] => digit(a) * 100 + digit(b) * 10 + digit(c),
        _ => return None,
    };
    Some((key, if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_keys_and_tenths() {
        assert_eq!(row_of(b"ab;-9.5"), Some((&b"ab"[..], -95)));
        assert_eq!(row_of(b"ab;0.1"), Some((&b"ab"[..], 1)));
        assert_eq!(row_of(b"c;12.3"), Some((&b"c"[..], 123)));
        assert_eq!(row_of(b"c;1"), None);
        assert_eq!(row_of(b"no"), None);
    }

    #[test]
    fn a_spread_does_not_depend_on_how_values_are_split() {
        let mut whole = Spread::default();
        let (mut a, mut b) = (Spread::default(), Spread::default());
        for x in [3, -5, 99, 0] {
            whole.add(x);
        }
        a.add(3);
        [-5, 99, 0].map(|x| b.add(x));
        a.merge(&b);
        assert_eq!(a, whole);
        assert_eq!(a.check(b"k"), whole.check(b"k"));
    }
}
