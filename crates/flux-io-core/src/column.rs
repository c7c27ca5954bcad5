//! How the rows of one batch lie in memory.
//!
//! `Vec<T>` is a column for every `T: Send + 'static`, without a derive. A payload with variable
//! bytes is better served by a column with an arena ([`ByteColumn`]): one buffer and ends, so that
//! moving a row is a copy of bytes and never an allocation.

/// Rows of one batch.
///
/// # Laws
/// - C1: `rows()` is the number of rows; `row(i)` and `row_mut(i)` accept `i < rows()`.
/// - C3: row order is stream order; `scatter` keeps the relative order per destination.
/// - C4: `clear` and `scatter` keep the capacity.
/// - C5: `bytes()` counts the column itself, not the heap behind its rows (see [`crate::HeapSize`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a column",
    note = "`Vec<T>` is a column for every `T: Send + 'static`; an arena type implements `Column`"
)]
pub trait Column: Default + Send + 'static {
    /// A row seen: `&T`, or a struct of borrowed fields.
    type Ref<'a>: Copy
    where
        Self: 'a;
    /// A row that may be taken apart: `&mut T`, so that its owner moves fields out without a clone.
    type Mut<'a>
    where
        Self: 'a;

    /// Number of rows.
    fn rows(&self) -> usize;
    /// Row `i`.
    ///
    /// # Panics
    /// When `i >= rows()`.
    fn row(&self, i: usize) -> Self::Ref<'_>;
    /// Row `i`, to be taken apart.
    ///
    /// # Panics
    /// When `i >= rows()`.
    fn row_mut(&mut self, i: usize) -> Self::Mut<'_>;
    /// Removes all rows, keeps the capacity.
    fn clear(&mut self);
    /// Moves row `i` to `outs[to[i]]`; afterwards this column is empty, its capacity kept.
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]);
    /// Moves all rows of `other` behind the own ones.
    fn append(&mut self, other: &mut Self);

    /// Bytes this column holds (capacity and arena), for the memory budget.
    fn bytes(&self) -> usize {
        self.rows() * Self::row_bytes()
    }
    /// Usual bytes of one row, for the rule "1,024 rows or 64 KiB, whichever first".
    fn row_bytes() -> usize {
        64
    }
}

impl<T: Send + 'static> Column for Vec<T> {
    type Ref<'a> = &'a T;
    type Mut<'a> = &'a mut T;

    #[inline(always)]
    fn rows(&self) -> usize {
        self.len()
    }
    #[inline(always)]
    fn row(&self, i: usize) -> &T {
        &self[i]
    }
    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> &mut T {
        &mut self[i]
    }
    fn clear(&mut self) {
        Self::clear(self);
    }
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        for (x, &s) in self.drain(..).zip(to) {
            outs[s as usize].push(x);
        }
    }
    fn append(&mut self, other: &mut Self) {
        Self::append(self, other);
    }
    fn bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
    fn row_bytes() -> usize {
        size_of::<T>()
    }
}

/// Byte strings in one arena: lines of a file, frames of a stream.
///
/// At most 4 GiB a batch; [`ByteColumn::fits`] says whether one more row goes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteColumn {
    ends: Vec<u32>,
    buf: Vec<u8>,
}

impl ByteColumn {
    /// Whether `bytes` more fit the arena of one batch (4 GiB).
    #[must_use]
    pub fn fits(&self, bytes: usize) -> bool {
        self.buf.len().saturating_add(bytes) <= u32::MAX as usize
    }

    /// Adds a row. A row beyond 4 GiB of arena is cut, so ask [`ByteColumn::fits`] first; readers
    /// do, and their record limit is far below.
    #[inline]
    pub fn push(&mut self, row: &[u8]) {
        let room = (u32::MAX as usize).saturating_sub(self.buf.len());
        self.buf.extend_from_slice(&row[..row.len().min(room)]);
        self.ends.push(self.buf.len() as u32);
    }

    /// Adds a row that is written piece by piece: the buffer is handed to `write`, and what it
    /// appended is the row.
    pub fn push_with<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let r = write(&mut self.buf);
        self.buf.truncate(u32::MAX as usize);
        self.ends.push(self.buf.len() as u32);
        r
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|i| self.row(i))
    }

    fn span(&self, i: usize) -> (usize, usize) {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        (start, self.ends[i] as usize)
    }
}

impl Column for ByteColumn {
    type Ref<'a> = &'a [u8];
    type Mut<'a> = &'a mut [u8];

    #[inline]
    fn rows(&self) -> usize {
        self.ends.len()
    }
    #[inline]
    fn row(&self, i: usize) -> &[u8] {
        let (a, b) = self.span(i);
        &self.buf[a..b]
    }
    fn row_mut(&mut self, i: usize) -> &mut [u8] {
        let (a, b) = self.span(i);
        &mut self.buf[a..b]
    }
    fn clear(&mut self) {
        self.ends.clear();
        self.buf.clear();
    }
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        for (i, &s) in to.iter().enumerate().take(self.rows()) {
            outs[s as usize].push(self.row(i));
        }
        Column::clear(self);
    }
    fn append(&mut self, other: &mut Self) {
        for i in 0..other.rows() {
            self.push(other.row(i));
        }
        Column::clear(other);
    }
    fn bytes(&self) -> usize {
        self.buf.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// A run of numbers as a column: a source of a range writes two words a batch instead of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeColumn {
    /// The numbers, in order.
    pub range: std::ops::Range<u64>,
    /// Numbers that no longer form one run (after a scatter or append of unrelated runs).
    rest: Vec<u64>,
}

impl RangeColumn {
    /// A column of the numbers in `range`.
    #[must_use]
    pub const fn new(range: std::ops::Range<u64>) -> Self {
        Self { range, rest: Vec::new() }
    }

    /// Takes up to `limit` numbers of the run from the front; `None` when rows lie outside the run.
    pub fn take_run(&mut self, limit: usize) -> Option<std::ops::Range<u64>> {
        if !self.rest.is_empty() {
            return None;
        }
        let end = self.range.start.saturating_add(limit as u64).min(self.range.end);
        let run = self.range.start..end;
        self.range.start = end;
        Some(run)
    }

    fn len_of_run(&self) -> usize {
        (self.range.end - self.range.start.min(self.range.end)) as usize
    }
}

impl Column for RangeColumn {
    type Ref<'a> = u64;
    type Mut<'a> = u64;

    fn rows(&self) -> usize {
        self.len_of_run() + self.rest.len()
    }
    #[inline]
    fn row(&self, i: usize) -> u64 {
        let n = self.len_of_run();
        if i < n { self.range.start + i as u64 } else { self.rest[i - n] }
    }
    fn row_mut(&mut self, i: usize) -> u64 {
        self.row(i)
    }
    fn clear(&mut self) {
        self.range = 0..0;
        self.rest.clear();
    }
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        for (i, &s) in to.iter().enumerate().take(self.rows()) {
            let x = self.row(i);
            outs[s as usize].push(x);
        }
        Column::clear(self);
    }
    fn append(&mut self, other: &mut Self) {
        for i in 0..other.rows() {
            self.push(other.row(i));
        }
        Column::clear(other);
    }
    fn bytes(&self) -> usize {
        self.rest.capacity() * size_of::<u64>()
    }
    fn row_bytes() -> usize {
        size_of::<u64>()
    }
}

impl RangeColumn {
    fn push(&mut self, x: u64) {
        if self.rest.is_empty() && self.len_of_run() == 0 {
            self.range = x..x + 1;
        } else if self.rest.is_empty() && x == self.range.end {
            self.range.end += 1;
        } else {
            self.rest.push(x);
        }
    }
}
