//! One record into one value.

use flux_io_core::{DeadCause, RowError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Parses one record. For `try_map` over the rows of a line source.
///
/// Not an allocation of its own beyond those of `T`. Nesting deeper than 128 is refused, as is a
/// second value in the line.
///
/// # Errors
/// [`DeadCause::Poison`] when the bytes are not one JSON value (syntax, early end, a number out of
/// range), [`DeadCause::Type`] when the value does not fit `T`. The text begins with the column,
/// counted in bytes from 1, where one is known.
///
/// ```
/// # use flux_io_connect::ndjson;
/// let n: u32 = ndjson::parse(b"7")?;
/// assert_eq!(n, 7);
/// let e = ndjson::parse::<u32>(b"[7").unwrap_err();
/// assert_eq!(e.cause.as_str(), "type");
/// # Ok::<(), flux_io_core::RowError>(())
/// ```
pub fn parse<T: DeserializeOwned>(record: &[u8]) -> Result<T, RowError> {
    serde_json::from_slice(record).map_err(|e| row_error(&e))
}

/// Parses one record into a value that borrows from it (`&str` fields without escapes, `Cow`).
///
/// # Errors
/// As [`parse`].
pub fn parse_borrowed<'a, T: Deserialize<'a>>(record: &'a [u8]) -> Result<T, RowError> {
    serde_json::from_slice(record).map_err(|e| row_error(&e))
}

fn row_error(e: &serde_json::Error) -> RowError {
    let cause = match e.classify() {
        Category::Data => DeadCause::Type,
        Category::Syntax | Category::Eof | Category::Io => DeadCause::Poison,
    };
    let text = e.to_string();
    let place = format!(" at line {} column {}", e.line(), e.column());
    let what = match text.strip_suffix(&place) {
        Some(what) => format!("column {}: {what}", e.column()),
        None => text,
    };
    RowError::new(cause, what)
}
