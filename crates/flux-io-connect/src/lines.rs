//! Lines of bytes: from files, stdin and readers, to files, stdout and writers.

pub use crate::frames::{BLOCK_BYTES, Files, Found, Inputs, RECORD_LIMIT, Reader};

use crate::frames::{AsBytes, Framed, LineFraming, Rows, read};
use crate::output::{FileSink, LineColumn, PartsSink, WriterSink};
use std::io::{Read, Write};
use std::path::PathBuf;

/// A source of lines, as [`ByteColumn`](flux_io_core::ByteColumn).
pub type Lines<I> = Framed<I, LineFraming, AsBytes>;

/// Rows as they are, each with a line feed behind it. See [`LineFraming`].
pub type RawLines<C> = Rows<C, LineFraming>;

/// The lines of one file, plain or compressed. It is opened by the first fill.
pub fn file(path: impl Into<PathBuf>) -> Lines<Files> {
    files([path])
}

/// The lines of several files, one after the other, in this order. A line never goes on in the
/// next file.
pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Lines<Files> {
    read(Files::list(paths), LineFraming).called("lines file")
}

/// The lines of the files that fit a pattern, sorted by path. See [`Found::glob`].
#[must_use]
pub fn glob(pattern: &str) -> Lines<Found> {
    read(Found::glob(pattern), LineFraming).called("lines files")
}

/// The lines of anything that can be read; `name` is what messages call it.
pub fn reader(name: impl Into<String>, raw: impl Read + Send + 'static) -> Lines<Reader> {
    read(Reader::new(name, raw), LineFraming).called("lines reader")
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
