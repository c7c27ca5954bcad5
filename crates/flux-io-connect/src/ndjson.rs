//! JSON, one value a line: lines read as bytes and parsed where they are used, values written.
//!
//! Reading and parsing are two steps, so that parsing runs in the flow (fused, on its engine) and a
//! record that does not parse is an ordinary failed row: `ndjson::file(path)` gives
//! [`ByteColumn`](flux_io_core::ByteColumn), and [`parse`] fits a `try_map` over its rows.

mod encode;
mod parse;

pub use encode::JsonLines;
pub use parse::{parse, parse_borrowed};

use crate::lines::{self, Files, Found, Lines, Reader};
use crate::output::{FileSink, PartsSink, WriterSink};
use serde::Serialize;
use std::io::{Read, Write};
use std::path::PathBuf;

/// A file of JSON lines that is there whole or not at all. See [`create`].
pub type Writer<T> = FileSink<JsonLines<T>>;

/// The records of one file, plain or gzip. It is opened by the first fill.
pub fn file(path: impl Into<PathBuf>) -> Lines<Files> {
    files([path])
}

/// The records of several files, one after the other, in this order.
pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Lines<Files> {
    lines::files(paths).called("ndjson file")
}

/// The records of the files that fit a pattern, sorted by path. See [`Found::glob`].
#[must_use]
pub fn glob(pattern: &str) -> Lines<Found> {
    lines::glob(pattern).called("ndjson files")
}

/// The records of anything that can be read; `name` is what messages call it.
pub fn reader(name: impl Into<String>, raw: impl Read + Send + 'static) -> Lines<Reader> {
    lines::reader(name, raw).called("ndjson reader")
}

/// The records of standard input.
#[must_use]
pub fn stdin() -> Lines<Reader> {
    reader("stdin", std::io::stdin())
}

/// Values into a file that is there whole or not at all, one a line.
pub fn create<T: Serialize + Send + 'static>(path: impl Into<PathBuf>) -> Writer<T> {
    FileSink::new(path, JsonLines::default())
}

/// Values into a directory of part files, each visible exactly once.
pub fn parts<T: Serialize + Send + 'static>(
    dir: impl Into<PathBuf>,
    name: impl Into<String>,
) -> PartsSink<JsonLines<T>> {
    PartsSink::new(dir, name, JsonLines::default())
}

/// Values into anything that can be written; `name` is what messages call it.
pub fn writer<T: Serialize + Send + 'static>(
    name: impl Into<String>,
    to: impl Write + Send + 'static,
) -> WriterSink<JsonLines<T>> {
    WriterSink::new(name, to, JsonLines::default())
}

/// Values to standard output.
#[must_use]
pub fn stdout<T: Serialize + Send + 'static>() -> WriterSink<JsonLines<T>> {
    writer("stdout", std::io::stdout())
}
