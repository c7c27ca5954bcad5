//! The rows of a random plan, and what its closures do with them: functions of a row and a salt, so
//! that the builder's closures and the plain evaluation cannot differ in them.

/// A row: an id that joins find it by, and a value that every step changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// What rows are told apart by.
    pub id: u64,
    /// What was made of it so far.
    pub value: u64,
}

/// Ids from here on are not multiplied by another expansion.
pub(crate) const MOST_ID: u64 = 1 << 56;

/// Sebastiano Vigna's finaliser of splitmix64, of a salt and a number.
#[must_use]
pub const fn mix(salt: u64, x: u64) -> u64 {
    let x = x.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Row {
    /// What `map` makes of it.
    #[must_use]
    pub const fn changed(self, salt: u64) -> Self {
        Self { id: self.id, value: mix(salt, self.value) }
    }

    /// A number below `n`, at least 1, that depends on the id.
    #[must_use]
    pub const fn pick(self, salt: u64, n: u64) -> u64 {
        mix(salt, self.id) % n
    }

    /// Whether closures that may panic do so on it.
    #[must_use]
    pub const fn is_poison(self, salt: u64) -> bool {
        self.pick(salt ^ 0x504F_4953, 19) == 7
    }

    /// What `flat_map` makes of it, at most `most` rows.
    pub fn expanded(self, salt: u64, most: u64) -> impl Iterator<Item = Self> + Clone + Send {
        let n = self.pick(salt, most + 1);
        (0..n).map(move |j| Self { id: self.id * 4 + j, value: mix(salt, self.value ^ j) })
    }

    /// What a running state and this row give.
    #[must_use]
    pub const fn onto(self, state: u64) -> Self {
        Self { id: self.id, value: mix(state, self.value) }
    }

    /// Parts of one id as one row; an absent part counts, too.
    #[must_use]
    pub fn of_parts(id: u64, parts: &[Option<Self>]) -> Self {
        let fold = |h, p: &Option<Self>| mix(h, p.map_or(0, |r| r.value | 1));
        Self { id, value: parts.iter().fold(id, fold) }
    }

    /// A pair by place.
    #[must_use]
    pub fn of_pair(left: Option<Self>, right: Option<Self>) -> Self {
        let id = left.or(right).map_or(0, |r| r.id);
        Self::of_parts(id, &[left, right])
    }
}

/// How a call, or a `try_map`, goes for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    /// Well, at the first attempt.
    Well,
    /// Well, after this many failures that pass.
    After(u32),
    /// It fails for good, at once.
    Never,
}

impl Row {
    /// How what may fail goes for this row.
    #[must_use]
    pub const fn luck(self, salt: u64) -> Luck {
        match self.pick(salt ^ 0x4C55_434B, 23) {
            3 => Luck::Never,
            5 => Luck::After(1),
            11 => Luck::After(2),
            13 => Luck::After(3),
            _ => Luck::Well,
        }
    }
}

/// The state of an accumulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Fragments.
    pub n: u64,
    /// The least id of them.
    pub first: u64,
    /// Of their values.
    pub sum: u64,
    /// Not 0: closures that are asked about it shall panic.
    pub bad: u64,
}

impl Sum {
    /// Adds a row; where `chained`, the order shows.
    pub const fn add(&mut self, row: Row, chained: bool) {
        self.first = if self.n == 0 || row.id < self.first { row.id } else { self.first };
        self.n += 1;
        let more = self.sum.wrapping_add(row.value);
        self.sum = if chained { mix(more, row.id) } else { more };
    }

    /// The row that an outcome of a key becomes; `kind` tells complete, partial and late apart.
    #[must_use]
    pub const fn row(self, key: u64, kind: u64) -> Row {
        Row { id: self.first, value: mix(mix(key, self.sum), self.n * 4 + kind) }
    }

    /// As bytes, for checkpoints.
    pub fn save(&self, to: &mut Vec<u8>) {
        for x in [self.n, self.first, self.sum, self.bad] {
            to.extend_from_slice(&x.to_le_bytes());
        }
    }

    /// From bytes.
    #[must_use]
    pub fn load(from: &[u8]) -> Option<Self> {
        let mut words = from.chunks_exact(8).filter_map(|c| c.try_into().ok());
        let mut next = || words.next().map(u64::from_le_bytes);
        Some(Self { n: next()?, first: next()?, sum: next()?, bad: next()? })
    }
}

impl Row {
    /// As bytes, for checkpoints.
    pub fn save(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.id.to_le_bytes());
        to.extend_from_slice(&self.value.to_le_bytes());
    }

    /// From bytes.
    #[must_use]
    pub fn load(from: &[u8]) -> Option<Self> {
        let (id, value) = from.split_first_chunk::<8>()?;
        let value = value.first_chunk::<8>()?;
        Some(Self { id: u64::from_le_bytes(*id), value: u64::from_le_bytes(*value) })
    }
}
