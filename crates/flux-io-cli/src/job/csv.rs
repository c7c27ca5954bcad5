//! Results as CSV (RFC 4180): a header, and a row a result. The fields of a merged record stand
//! beside key and status.

use flux_io::connect::output::{Encode, EncodeError};
use flux_io::core::{ByteColumn, Column};
use flux_io::record::{Kind, Limits, RecordColumn, RecordRef, ValueRef};
use std::borrow::Cow;

/// The field of a result that a merged record is.
const MERGED: &str = "record";

/// Lines of JSON in, rows of CSV out.
#[derive(Clone, Debug)]
pub(crate) struct CsvRows {
    columns: Option<Vec<String>>,
    /// Whether fields that are no column are left out, since somebody chose the columns.
    chosen: bool,
    begun: bool,
    record: RecordColumn,
    merged: RecordColumn,
}

impl CsvRows {
    /// With these columns; without any, those of the first result.
    pub(crate) fn new(columns: Option<Vec<String>>) -> Self {
        let chosen = columns.is_some();
        let (record, merged) = (RecordColumn::default(), RecordColumn::default());
        Self { columns, chosen, begun: false, record, merged }
    }

    fn row(&mut self, line: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        let Self { columns, chosen, begun, record, merged } = self;
        let limits = Limits { bytes: usize::MAX, fields: usize::MAX, ..Limits::default() };
        Column::clear(record);
        Column::clear(merged);
        record.push_json(line, &limits).map_err(|e| e.to_string())?;
        if let Some(inner) = record.row(0).get(MERGED).filter(|v| v.kind() == Kind::Object) {
            merged.push_json(inner.raw().as_bytes(), &limits).map_err(|e| e.to_string())?;
        }
        let inner = (merged.rows() > 0).then(|| merged.row(0));
        let fields = Fields::of(record.row(0), inner);
        let columns = columns.get_or_insert_with(|| fields.names());
        if !*chosen && let Some(name) = fields.names().iter().find(|name| !columns.contains(name)) {
            return Err(format!(
                "it has the field `{name}`, and the header was made from the first result, which \
                 had not; name the columns: columns = [..]"
            ));
        }
        if !std::mem::replace(begun, true) {
            write(columns.iter().map(String::as_bytes), to);
        }
        let cells: Vec<Vec<u8>> = columns.iter().map(|name| fields.cell(name)).collect();
        write(cells.iter().map(Vec::as_slice), to);
        Ok(())
    }
}

impl Encode for CsvRows {
    type Col = ByteColumn;
    const KIND: &'static str = "csv";

    fn encode(&mut self, col: &ByteColumn, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        for (row, line) in col.iter().enumerate() {
            self.row(line, to).map_err(|what| EncodeError { row, what })?;
        }
        Ok(())
    }
}

/// The fields of a result, those of its merged record in place of that.
struct Fields<'a>(Vec<(String, ValueRef<'a>)>);

impl<'a> Fields<'a> {
    fn of(record: RecordRef<'a>, merged: Option<RecordRef<'a>>) -> Self {
        let owned = |(name, value): (Cow<'a, str>, _)| (name.into_owned(), value);
        let outer = record.fields().map(owned);
        let outer = outer.filter(|(name, _)| merged.is_none() || name != MERGED);
        Self(outer.chain(merged.iter().flat_map(RecordRef::fields).map(owned)).collect())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in &self.0 {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The value of a column as text: texts as they are, null and absent as nothing,
    /// everything else as JSON.
    fn cell(&self, name: &str) -> Vec<u8> {
        let Some((_, value)) = self.0.iter().rev().find(|(n, _)| n == name) else {
            return Vec::new();
        };
        match (value.kind(), value.as_str()) {
            (Kind::Null, _) => Vec::new(),
            (_, Some(text)) => text.into_owned().into_bytes(),
            _ => value.raw().as_bytes().to_vec(),
        }
    }
}

/// One row; a field with a delimiter, quote or line end is quoted.
fn write<'a>(cells: impl Iterator<Item = &'a [u8]>, to: &mut Vec<u8>) {
    for (n, cell) in cells.enumerate() {
        if n > 0 {
            to.push(b',');
        }
        if !cell.iter().any(|c| matches!(c, b',' | b'"' | b'\n' | b'\r')) {
            to.extend_from_slice(cell);
            continue;
        }
        to.push(b'"');
        for &c in cell {
            if c == b'"' {
                to.push(b'"');
            }
            to.push(c);
        }
        to.push(b'"');
    }
    to.push(b'\n');
}
