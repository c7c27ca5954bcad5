//! Rows into bytes.

use flux_io_core::{ByteColumn, Column};
use std::fmt;

/// Turns the rows of a batch into bytes: the writing half of a wire format, as
/// [`Decode`](crate::frames::Decode) is the reading one.
pub trait Encode: Send + 'static {
    /// Column of the rows.
    type Col: Column;

    /// What this makes, for people: "lines", "ndjson".
    const KIND: &'static str;

    /// The same, where it is known late.
    fn kind(&self) -> &'static str {
        Self::KIND
    }

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

/// Columns whose rows are bytes already.
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
