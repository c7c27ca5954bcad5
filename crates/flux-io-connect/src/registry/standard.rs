//! What every registry begins with.

use super::{AnySink, AnySource, Registry, RegistryError, Request};
use crate::frames::{
    CsvFraming, Delimited, Files, Found, Framing, LengthKind, LengthPrefix, LineFraming, Reader,
};
use crate::output::{FileSink, WriterSink};
use flux_io_core::StageError;
use std::collections::BTreeMap;

pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    // The names here are well formed and different, so none is refused.
    let added = add_schemes(&mut registry).and_then(|()| add_formats(&mut registry));
    debug_assert!(added.is_ok(), "{added:?}");
    registry
}

fn add_schemes(to: &mut Registry) -> Result<(), RegistryError> {
    let what = "a file, the files of a directory (`dir/`), or those that fit a pattern";
    to.add_source("file", what, files)?;
    to.add_sink("file", what, |request| {
        let (path, settings) = (request.rest.to_owned(), request.settings);
        if path.is_empty() {
            return Err(no_path());
        }
        let (overwrite, how) = (settings.overwrite, settings.compression);
        let sink = FileSink::new(path, request.rows());
        Ok(AnySink::new(sink.overwrite(overwrite).compression(how)))
    })?;
    to.add_source("stdin", "standard input", |request| Ok(request.read(Reader::stdin())))?;
    to.add_sink("stdout", "standard output", |request| {
        let how = request.settings.compression;
        let sink = WriterSink::new("stdout", std::io::stdout(), request.rows());
        Ok(AnySink::new(sink.compression(how)))
    })
}

fn files(request: Request<'_>) -> Result<AnySource, StageError> {
    let path = request.rest.to_owned();
    Ok(match path.as_str() {
        "" => return Err(no_path()),
        dir if dir.ends_with('/') => request.read(Found::directory(dir)),
        pattern if pattern.contains(['*', '?', '[']) => request.read(Found::glob(pattern)),
        _ => request.read(Files::one(path)),
    })
}

fn no_path() -> StageError {
    StageError::permanent("no path is given; name a file")
}

fn add_formats(to: &mut Registry) -> Result<(), RegistryError> {
    for (name, what) in [
        ("lines", "lines that end with a line feed, a carriage return before it or not"),
        ("ndjson", "JSON values, one a line"),
    ] {
        to.add_format(name, what, &[], |_| Ok(Box::new(LineFraming)))?;
    }
    let characters =
        [("delimiter", "the character between fields; `,`"), ("quote", "the one around; `\"`")];
    to.add_format("csv", "records of comma-separated values (RFC 4180)", &characters, |options| {
        let delimiter = character(options, "delimiter", b',')?;
        let quote = character(options, "quote", b'"')?;
        if delimiter == quote {
            return Err("delimiter and quote are the same; choose another one".to_owned());
        }
        Ok(Box::new(CsvFraming::new(delimiter, quote)))
    })?;
    let delimiter = [("delimiter", "the text that ends a frame; must be given")];
    to.add_format("delimited", "frames that end with a delimiter", &delimiter, |options| {
        let delimiter = options.get("delimiter").map_or("", String::as_str);
        Delimited::new(delimiter.as_bytes())
            .map(|d| Box::new(d) as Box<dyn Framing>)
            .map_err(|e| format!("option `delimiter`: {e}"))
    })?;
    for (name, what, kind) in [
        ("length-u16be", "frames behind 2 bytes of length, big-endian", LengthKind::U16Be),
        ("length-u16le", "frames behind 2 bytes of length, little-endian", LengthKind::U16Le),
        ("length-u32be", "frames behind 4 bytes of length, big-endian", LengthKind::U32Be),
        ("length-u32le", "frames behind 4 bytes of length, little-endian", LengthKind::U32Le),
        ("length-varint", "frames behind a varint, as in Protocol Buffers", LengthKind::Varint),
    ] {
        to.add_format(name, what, &[], move |_| Ok(Box::new(LengthPrefix::new(kind))))?;
    }
    Ok(())
}

/// An option that is one ASCII character; `\t` is the tabulator.
fn character(options: &BTreeMap<String, String>, name: &str, default: u8) -> Result<u8, String> {
    let Some(value) = options.get(name) else { return Ok(default) };
    match value.as_bytes() {
        b"\\t" => Ok(b'\t'),
        &[b'\n' | b'\r' | 0] => Err(format!("option `{name}` cannot be a line end or NUL")),
        &[c] if c.is_ascii() => Ok(c),
        _ => Err(format!("option `{name}` is one ASCII character, not `{value}`")),
    }
}
