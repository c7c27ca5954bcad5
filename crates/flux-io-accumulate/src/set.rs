//! Sets of variables: one word inline, more behind it only for keys that need them.
//!
//! A set only ever grows (bitwise or), so it is a join-semilattice: order and repetition of
//! fragments cannot change it. Words are compared as masks, never shifted by 64 (B74).

/// Words of a set behind the first one: bit 64 is bit 0 of word 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(Vec<u64>);

impl Words {
    /// Words read from a snapshot.
    pub(crate) const fn from_vec(words: Vec<u64>) -> Self {
        Self(words)
    }

    /// The words.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// Heap bytes held.
    #[inline]
    pub(crate) const fn bytes(&self) -> usize {
        self.0.capacity() * 8
    }

    /// Adds bit `64 + at`; doubles when it must grow.
    #[inline]
    pub(crate) fn insert(&mut self, at: u64) {
        let word = (at / 64) as usize;
        if word >= self.0.len() {
            let len = (word + 1).max(self.0.len() * 2);
            self.0.reserve_exact(len - self.0.len());
            self.0.resize(len, 0);
        }
        self.0[word] |= 1 << (at % 64);
    }
}

/// A set as it is read: the first word and the words behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    /// Bits 0 to 63.
    pub(crate) first: u64,
    /// Bits from 64 on.
    pub(crate) rest: &'a [u64],
}

impl Bits<'_> {
    /// Whether bit `at` is in the set.
    #[inline]
    pub(crate) fn has(&self, at: u64) -> bool {
        if at < 64 {
            return self.first >> at & 1 == 1;
        }
        let at = at - 64;
        self.rest.get((at / 64) as usize).is_some_and(|w| w >> (at % 64) & 1 == 1)
    }

    /// The bits, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let words = std::iter::once(self.first).chain(self.rest.iter().copied());
        words.zip(0_u64..).flat_map(|(word, n)| {
            (0..64).filter(move |b| word >> b & 1 == 1).map(move |b| n * 64 + b)
        })
    }

    /// How many bits are in the set.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.first.count_ones() + self.rest.iter().map(|w| w.count_ones()).sum::<u32>()
    }

    /// The highest bit, if there is one.
    pub(crate) fn highest(&self) -> Option<u64> {
        let top = |w: u64| u64::from(63 - w.leading_zeros());
        let rest = self.rest.iter().enumerate().rev().find(|(_, w)| **w != 0);
        match rest {
            Some((i, w)) => Some(64 + i as u64 * 64 + top(*w)),
            None => (self.first != 0).then(|| top(self.first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 110. Sets of any size, at the edges of words.
    #[test]
    fn b074_bits_at_word_edges_are_found_again() {
        for at in [0, 1, 62, 63, 64, 65, 127, 128, 129, 1_000, 100_000] {
            let mut first = 0_u64;
            let mut words = Words::default();
            if at < 64 {
                first |= 1 << at
            } else {
                words.insert(at - 64)
            }
            let bits = Bits { first, rest: words.as_slice() };
            assert_eq!((bits.count(), bits.highest()), (1, Some(at)));
            for other in [0, 1, 62, 63, 64, 65, 127, 128, 129, 1_000, 100_000, 1 << 40] {
                assert_eq!(bits.has(other), other == at, "{other} in {{{at}}}");
            }
        }
        assert_eq!(Bits { first: 0, rest: &[] }.highest(), None);
    }

    #[test]
    fn inserting_again_changes_nothing() {
        let mut words = Words::default();
        words.insert(70);
        words.insert(3);
        let once = words.clone();
        words.insert(70);
        assert_eq!(words, once);
        assert!(words.bytes() >= 16);
    }
}
