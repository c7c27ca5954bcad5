//! Rows into bytes.

use flux_io_core::{ByteColumn, Column};
use std::fmt;
use std::marker::PhantomData;

/// Turns the rows of a batch into bytes.
pub trait Encode: Send + 'static {
    /// Column of the rows.
    type Col: Column;

    /// What this makes, for people: "lines", "ndjson".
    const KIND: &'static str;

    /// Appends all rows of `col` to `to`, in order, each with its end.
    ///
    /// # Errors
    /// The first row that cannot be encoded; what was appended is taken back by the caller.
    fn encode(&mut self, col: &Self::Col, to: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// A row that cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// Its index in the batch.
    pub row: usize,
    /// Why.
    pub what: String,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of the batch cannot be written: {}", self.row, self.what)
    }
}

impl std::error::Error for EncodeError {}

/// Columns whose rows are lines already.
pub trait LineColumn: Column {
    /// The bytes of row `i`, which exists.
    fn line(&self, i: usize) -> &[u8];
}

impl LineColumn for ByteColumn {
    fn line(&self, i: usize) -> &[u8] {
        self.row(i)
    }
}

impl LineColumn for Vec<String> {
    fn line(&self, i: usize) -> &[u8] {
        self[i].as_bytes()
    }
}

/// Rows as they are, each with a line feed behind it.
///
/// A row that holds a line feed is refused: it would be read back as two. (An empty row is read
/// back as no row, a carriage return at a row's end is lost on reading.)
pub struct RawLines<C>(PhantomData<fn() -> C>);

impl<C> fmt::Debug for RawLines<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawLines")
    }
}

impl<C> Default for RawLines<C> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<C: LineColumn> Encode for RawLines<C> {
    type Col = C;
    const KIND: &'static str = "lines";

    fn encode(&mut self, col: &C, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        for row in 0..col.rows() {
            let line = col.line(row);
            if memchr::memchr(b'\n', line).is_some() {
                let what = "it holds a line feed; escape it or write another format".to_owned();
                return Err(EncodeError { row, what });
            }
            to.extend_from_slice(line);
            to.push(b'\n');
        }
        Ok(())
    }
}
