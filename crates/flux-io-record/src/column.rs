//! Records of one batch: one text arena, and spans into it.

use crate::draft::RowDraft;
use crate::limits::Limits;
use crate::path::Path;
use crate::record::Record;
use crate::scan::{Field, JsonError, JsonFault, scan};
use crate::value::{ValueRef, name_is, plain_name};
use crate::write;
use flux_io_core::{Column, HeapSize, RowError};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    at: u32,
    end: u32,
    field_at: u32,
    field_end: u32,
}

/// Records as a column: each is its own JSON text in the arena, its fields found once, when it
/// came in. Spans are relative to their record, so a record moves as a copy of its bytes.
///
/// At most 4 GiB of text a batch; [`RecordColumn::fits`] says whether one more record goes in, and
/// a push beyond it is refused.
#[derive(Clone, Debug, Default)]
pub struct RecordColumn {
    text: String,
    fields: Vec<Field>,
    rows: Vec<Row>,
}

/// A record seen: its text and its fields.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    text: &'a str,
    fields: &'a [Field],
}

impl<'a> RecordRef<'a> {
    pub(crate) const fn new(text: &'a str, fields: &'a [Field]) -> Self {
        Self { text, fields }
    }

    pub(crate) const fn spans(&self) -> &'a [Field] {
        self.fields
    }

    /// Its JSON text, as it came, without white space around it.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The field `name`; the last one when it stands there twice. Dots in `name` mean nothing.
    #[inline]
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        let found = self.fields.iter().rev().find(|f| name_is(self.text, f, name))?;
        Some(ValueRef::of(self.text, 0, found))
    }

    /// The value at `path`.
    #[inline]
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<ValueRef<'a>> {
        let first = self.get(&path.first)?;
        path.rest.iter().try_fold(first, |value, step| value.step(step))
    }

    /// Its fields in the order of the text, a repeated name each time it stands there.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (Cow<'a, str>, ValueRef<'a>)> {
        let Self { text, fields } = *self;
        fields.iter().map(move |f| (plain_name(text, f), ValueRef::of(text, 0, f)))
    }

    /// The value at `path`, which must be there.
    ///
    /// # Errors
    /// Cause type: the field is absent.
    pub fn need(&self, path: &Path) -> Result<ValueRef<'a>, RowError> {
        self.find(path)
            .ok_or_else(|| RowError::wrong_type(format!("the record has no field `{path}`")))
    }

    /// The text at `path`.
    ///
    /// # Errors
    /// Cause type: absent, or not a text.
    pub fn read_str(&self, path: &Path) -> Result<Cow<'a, str>, RowError> {
        let v = self.need(path)?;
        v.as_str().ok_or_else(|| v.wrong_type(path.as_str(), "a text"))
    }

    /// The integer at `path`.
    ///
    /// # Errors
    /// Cause type: absent, not an integer, or beyond 64 bits.
    pub fn read_i64(&self, path: &Path) -> Result<i64, RowError> {
        let v = self.need(path)?;
        v.as_i64().ok_or_else(|| v.wrong_type(path.as_str(), "an integer of 64 bits"))
    }

    /// The integer of at least 0 at `path`.
    ///
    /// # Errors
    /// Cause type: absent, not an integer, negative, or beyond 64 bits.
    pub fn read_u64(&self, path: &Path) -> Result<u64, RowError> {
        let v = self.need(path)?;
        v.as_u64().ok_or_else(|| v.wrong_type(path.as_str(), "an integer from 0 to 2^64 - 1"))
    }

    /// The number at `path`.
    ///
    /// # Errors
    /// Cause type: absent, or not a number.
    pub fn read_f64(&self, path: &Path) -> Result<f64, RowError> {
        let v = self.need(path)?;
        v.as_f64().ok_or_else(|| v.wrong_type(path.as_str(), "a number"))
    }

    /// The boolean at `path`.
    ///
    /// # Errors
    /// Cause type: absent, or not a boolean.
    pub fn read_bool(&self, path: &Path) -> Result<bool, RowError> {
        let v = self.need(path)?;
        v.as_bool().ok_or_else(|| v.wrong_type(path.as_str(), "a boolean"))
    }

    /// Appends its canonical JSON: names sorted bytewise and once each (the last counts), no white
    /// space, integers as they stand, other numbers in the shortest form that reads back.
    pub fn canonical_json(&self, out: &mut String) {
        write::canonical_record(self.text, self.fields, out);
    }

    /// A copy that owns its text.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record::from_parts(self.text.to_owned(), self.fields.to_vec())
    }
}

impl PartialEq for RecordRef<'_> {
    /// Same text; use [`RecordRef::canonical_json`] to compare content.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl RecordColumn {
    /// Whether `bytes` more fit the arena of one batch (4 GiB).
    #[must_use]
    pub fn fits(&self, bytes: usize) -> bool {
        self.text.len().saturating_add(bytes) <= u32::MAX as usize
    }

    /// Adds the record that `line` is, checked and its fields found in one pass; its bytes are
    /// copied once.
    ///
    /// # Errors
    /// [`JsonError`] when it is not a JSON object within the limits; the column is as before.
    pub fn push_json(&mut self, line: &[u8], limits: &Limits) -> Result<(), JsonError> {
        if !self.fits(line.len()) {
            return Err(JsonError { at: 0, fault: JsonFault::TooLong(u32::MAX as usize) });
        }
        let field_at = self.fields.len();
        let text = scan(line, limits, &mut self.fields)?;
        let at = self.text.len();
        self.text.push_str(text);
        self.seal(at, field_at);
        Ok(())
    }

    /// Adds a copy of `record`; false, and nothing added, when it does not fit the arena.
    pub fn push(&mut self, record: RecordRef<'_>) -> bool {
        if !self.fits(record.text.len()) {
            return false;
        }
        let (at, field_at) = (self.text.len(), self.fields.len());
        self.text.push_str(record.text);
        self.fields.extend_from_slice(record.fields);
        self.seal(at, field_at);
        true
    }

    fn seal(&mut self, at: usize, field_at: usize) {
        self.rows.push(Row {
            at: at as u32,
            end: self.text.len() as u32,
            field_at: field_at as u32,
            field_end: self.fields.len() as u32,
        });
    }

    /// Adds a record that is written field by field into the arena. When `write` fails, the column
    /// is as before.
    ///
    /// # Errors
    /// What `write` said, or cause oversize when the arena is full.
    pub fn push_with(
        &mut self,
        write: impl FnOnce(&mut RowDraft<'_>) -> Result<(), RowError>,
    ) -> Result<(), RowError> {
        let (at, field_at) = (self.text.len(), self.fields.len());
        let mut draft = RowDraft::begin(&mut self.text, &mut self.fields);
        let written = write(&mut draft);
        draft.end();
        let full = || JsonError { at: 0, fault: JsonFault::TooLong(u32::MAX as usize) }.into_row();
        let done = written.and_then(|()| if self.fits(0) { Ok(()) } else { Err(full()) });
        if done.is_err() {
            self.text.truncate(at);
            self.fields.truncate(field_at);
        } else {
            self.seal(at, field_at);
        }
        done
    }

    /// Keeps the rows that `keep` wants, given with their number; no text is moved. Returns how
    /// many left.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, RecordRef<'_>) -> bool) -> usize {
        let before = self.rows.len();
        let Self { text, fields, rows } = self;
        let mut i = 0;
        rows.retain(|row| {
            let n = i;
            i += 1;
            keep(n, see(text, fields, row))
        });
        before - rows.len()
    }

    /// All records, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        self.rows.iter().map(|row| see(&self.text, &self.fields, row))
    }
}

#[inline]
fn see<'a>(text: &'a str, fields: &'a [Field], row: &Row) -> RecordRef<'a> {
    RecordRef::new(
        &text[row.at as usize..row.end as usize],
        &fields[row.field_at as usize..row.field_end as usize],
    )
}

impl PartialEq for RecordColumn {
    /// Same records in the same order, whatever the arenas hold besides.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl HeapSize for RecordColumn {
    fn heap_bytes(&self) -> usize {
        self.bytes()
    }
}

impl Column for RecordColumn {
    type Ref<'a> = RecordRef<'a>;
    /// A record is its text, so taking it apart is reading it.
    type Mut<'a> = RecordRef<'a>;

    #[inline]
    fn rows(&self) -> usize {
        self.rows.len()
    }
    #[inline]
    fn row(&self, i: usize) -> RecordRef<'_> {
        see(&self.text, &self.fields, &self.rows[i])
    }
    #[inline]
    fn row_mut(&mut self, i: usize) -> RecordRef<'_> {
        see(&self.text, &self.fields, &self.rows[i])
    }
    fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.rows.clear();
    }
    /// Rows that do not fit their destination's arena (4 GiB) are cut off; readers bound a batch
    /// far below it.
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        for (record, &s) in self.iter().zip(to) {
            outs[s as usize].push(record);
        }
        Column::clear(self);
    }
    fn append(&mut self, other: &mut Self) {
        if self.rows.is_empty() {
            Column::clear(self);
            std::mem::swap(self, other);
        } else {
            for record in other.iter() {
                self.push(record);
            }
        }
        Column::clear(other);
    }
    fn bytes(&self) -> usize {
        self.text.capacity()
            + self.fields.capacity() * size_of::<Field>()
            + self.rows.capacity() * size_of::<Row>()
    }
    fn row_bytes() -> usize {
        // Text of a usual record; 64 KiB hold 512 of them.
        128
    }
}
