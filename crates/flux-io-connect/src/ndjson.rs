//! JSON, one value a line: lines read as bytes and parsed where they are used, values written.
//!
//! Reading and parsing are two steps, so that parsing runs in the flow (fused, on its engine) and a
//! record that does not parse is an ordinary failed row: `ndjson::file(path)` gives
//! [`ByteColumn`](flux_io_core::ByteColumn), and [`parse`] fits a `try_map` over its rows.

mod parse;

pub use parse::{parse, parse_borrowed};

use crate::lines::{Files, Lines, Reader, named_files, named_reader};
use std::io::Read;
use std::path::PathBuf;

/// The records of one file, plain or gzip. It is opened by the first fill.
pub fn file(path: impl Into<PathBuf>) -> Lines<Files> {
    files([path])
}

/// The records of several files, one after the other, in this order.
pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Lines<Files> {
    named_files("ndjson file", paths)
}

/// The records of anything that can be read; `name` is what messages call it.
pub fn reader(name: impl Into<String>, raw: impl Read + Send + 'static) -> Lines<Reader> {
    named_reader("ndjson reader", name, raw)
}

/// The records of standard input.
#[must_use]
pub fn stdin() -> Lines<Reader> {
    reader("stdin", std::io::stdin())
}
