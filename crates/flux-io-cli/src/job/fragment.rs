//! What moves between the reading of a record and the accumulator: the record's text with its key,
//! time and variable, found once. A batch is one arena.

use flux_io::core::{Column, HeapSize, KeyOf, Var, hash_of};

/// The bound that a fragment declares: its number in the requirement, and how many.
pub(crate) type Declared = Option<(u16, u32)>;

/// What a fragment is to the accumulator, beside its text and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    /// Event time in nanoseconds since 1970; 0 in a pipeline without event time.
    pub(crate) time: i64,
    pub(crate) var: Var,
    pub(crate) bound: Declared,
    /// Its identity, where a field says it.
    pub(crate) id: u64,
    /// Lines before it in its input.
    pub(crate) line: u64,
}

impl Default for Traits {
    fn default() -> Self {
        Self { time: 0, var: Var::one(0), bound: None, id: 0, line: 0 }
    }
}

/// A row: its text ends where its key begins; both lie in the arena.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: u32,
    key: u32,
    end: u32,
    keyed: bool,
    traits: Traits,
}

/// Fragments of one batch. At most 4 GiB of arena; [`Fragments::fits`] says whether one more goes
/// in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragments {
    arena: Vec<u8>,
    rows: Vec<Row>,
}

/// A fragment seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FragmentRef<'a> {
    /// The record as JSON.
    pub(crate) text: &'a [u8],
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) traits: Traits,
}

impl Fragments {
    /// Whether `bytes` more fit the arena of one batch.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.arena.len().saturating_add(bytes) <= u32::MAX as usize
    }

    /// Adds a fragment, which fits.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8], key: Option<&[u8]>, traits: Traits) {
        let at = self.arena.len() as u32;
        self.arena.extend_from_slice(text);
        let behind = self.arena.len() as u32;
        self.arena.extend_from_slice(key.unwrap_or_default());
        let (end, keyed) = (self.arena.len() as u32, key.is_some());
        self.rows.push(Row { at, key: behind, end, keyed, traits });
    }

    fn push_row(&mut self, from: &Self, row: &Row) {
        if !self.fits((row.end - row.at) as usize) {
            return;
        }
        let at = self.arena.len() as u32;
        self.arena.extend_from_slice(&from.arena[row.at as usize..row.end as usize]);
        let key = at + (row.key - row.at);
        self.rows.push(Row { at, key, end: self.arena.len() as u32, ..*row });
    }

    #[inline]
    fn see(&self, row: &Row) -> FragmentRef<'_> {
        let (at, key, end) = (row.at as usize, row.key as usize, row.end as usize);
        let text = &self.arena[at..key];
        FragmentRef { text, key: row.keyed.then(|| &self.arena[key..end]), traits: row.traits }
    }
}

impl HeapSize for Fragments {
    fn heap_bytes(&self) -> usize {
        self.bytes()
    }
}

impl Column for Fragments {
    type Ref<'a> = FragmentRef<'a>;
    type Mut<'a> = FragmentRef<'a>;

    #[inline]
    fn rows(&self) -> usize {
        self.rows.len()
    }
    #[inline]
    fn row(&self, i: usize) -> FragmentRef<'_> {
        self.see(&self.rows[i])
    }
    #[inline]
    fn row_mut(&mut self, i: usize) -> FragmentRef<'_> {
        self.see(&self.rows[i])
    }
    fn clear(&mut self) {
        self.arena.clear();
        self.rows.clear();
    }
    /// A destination receives less than one batch, and a batch is far below the arena's 4 GiB.
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        for (row, &s) in self.rows.iter().zip(to) {
            outs[s as usize].push_row(self, row);
        }
        Column::clear(self);
    }
    fn append(&mut self, other: &mut Self) {
        if self.rows.is_empty() {
            Column::clear(self);
            std::mem::swap(self, other);
        } else {
            for row in &other.rows {
                self.push_row(other, row);
            }
        }
        Column::clear(other);
    }
    fn bytes(&self) -> usize {
        self.arena.capacity() + self.rows.capacity() * size_of::<Row>()
    }
    fn row_bytes() -> usize {
        // A usual record with its row; 64 KiB hold 340 of them.
        192
    }
}

/// The key of a fragment: bytes in its row, owned when a key is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FragmentKey;

impl KeyOf<Fragments> for FragmentKey {
    type Key = Vec<u8>;
    #[inline]
    fn hash(&self, row: FragmentRef<'_>, seed: u64) -> Option<u64> {
        row.key.map(|key| hash_of(key, seed))
    }
    #[inline]
    fn is(&self, row: FragmentRef<'_>, key: &Vec<u8>) -> bool {
        row.key == Some(key.as_slice())
    }
    fn key(&self, row: FragmentRef<'_>) -> Option<Vec<u8>> {
        row.key.map(<[u8]>::to_vec)
    }
}
