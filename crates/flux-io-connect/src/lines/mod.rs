//! Lines of bytes: from files, stdin and readers, to files, stdout and writers.

mod blocks;
mod feed;
mod input;
mod source;
mod split;
mod token;

pub use input::{Files, Inputs, Reader};
pub use source::Lines;

use crate::output::{FileSink, LineColumn, PartsSink, RawLines, WriterSink};
use std::io::{Read, Write};
use std::path::PathBuf;

/// Bytes read or written by one blocking call.
pub const BLOCK_BYTES: usize = 256 * 1024;
/// Bytes a record may have unless the source says otherwise.
pub const RECORD_LIMIT: usize = 1024 * 1024;

/// The lines of one file, plain or gzip. It is opened by the first fill.
pub fn file(path: impl Into<PathBuf>) -> Lines<Files> {
    files([path])
}

/// The lines of several files, one after the other, in this order. A line never goes on in the
/// next file.
pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Lines<Files> {
    named_files("lines file", paths)
}

/// The lines of anything that can be read; `name` is what messages call it.
pub fn reader(name: impl Into<String>, raw: impl Read + Send + 'static) -> Lines<Reader> {
    named_reader("lines reader", name, raw)
}

/// The lines of standard input.
#[must_use]
pub fn stdin() -> Lines<Reader> {
    reader("stdin", std::io::stdin())
}

/// Lines into a file that is there whole or not at all. Rows are a
/// [`ByteColumn`](flux_io_core::ByteColumn) or `Vec<String>`.
pub fn create<C: LineColumn>(path: impl Into<PathBuf>) -> FileSink<RawLines<C>> {
    FileSink::new(path, RawLines::default())
}

/// Lines into a directory of part files, each row visible exactly once.
pub fn parts<C: LineColumn>(
    dir: impl Into<PathBuf>,
    name: impl Into<String>,
) -> PartsSink<RawLines<C>> {
    PartsSink::new(dir, name, RawLines::default())
}

/// Lines into anything that can be written; `name` is what messages call it.
pub fn writer<C: LineColumn>(
    name: impl Into<String>,
    to: impl Write + Send + 'static,
) -> WriterSink<RawLines<C>> {
    WriterSink::new(name, to, RawLines::default())
}

/// Lines to standard output.
#[must_use]
pub fn stdout<C: LineColumn>() -> WriterSink<RawLines<C>> {
    writer("stdout", std::io::stdout())
}

pub(crate) fn named_files<P: Into<PathBuf>>(
    kind: &'static str,
    paths: impl IntoIterator<Item = P>,
) -> Lines<Files> {
    Lines::new(kind, Files(paths.into_iter().map(Into::into).collect()))
}

pub(crate) fn named_reader(
    kind: &'static str,
    name: impl Into<String>,
    raw: impl Read + Send + 'static,
) -> Lines<Reader> {
    Lines::new(kind, Reader { name: name.into(), raw: Some(Box::new(raw)), first: Vec::new() })
}
