//! Results as the lines that are written: key, status, what is missing and why, and the fragments
//! or the record merged from them.

use super::fragment::Fragments;
use super::held::Held;
use super::tally::Tally;
use crate::config::{Emit, Takes};
use flux_io::core::{Column, Headers, Outcome, Var};
use flux_io::record::{Limits, RecordColumn};
use std::collections::BTreeMap;
use std::io::Write as _;

/// What leaves the accumulator of a pipeline file.
pub(crate) type Result = Outcome<Vec<u8>, Held>;

/// Turns rows into lines of JSON.
pub(crate) trait Render: Send + 'static {
    type Col: Column;
    /// The class of row `i`.
    fn class(&self, col: &Self::Col, i: usize) -> Takes;
    /// Appends row `i` as one line of JSON, without its end.
    fn line(&mut self, col: &Self::Col, i: usize, to: &mut Vec<u8>);
    /// Appends what the ledger file says of row `i`.
    fn fate(&self, col: &Self::Col, i: usize, to: &mut Vec<u8>);
    /// Counts row `i`.
    fn count(&self, col: &Self::Col, i: usize, tally: &mut Tally);
}

/// Records as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

impl Render for Plain {
    type Col = Fragments;

    fn class(&self, _: &Fragments, _: usize) -> Takes {
        Takes::Records
    }
    fn line(&mut self, col: &Fragments, i: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(col.row(i).text);
    }
    fn fate(&self, _: &Fragments, _: usize, _: &mut Vec<u8>) {}
    fn count(&self, _: &Fragments, _: usize, tally: &mut Tally) {
        tally.records += 1;
    }
}

/// Results of an accumulator.
#[derive(Debug)]
pub(crate) struct Results {
    emit: Emit,
    merger: Merger,
}

impl Results {
    pub(crate) fn new(emit: Emit) -> Self {
        Self { emit, merger: Merger::default() }
    }
}

const fn class(result: &Result) -> Takes {
    match result {
        Outcome::Complete { .. } => Takes::Complete,
        Outcome::Partial { .. } => Takes::Partial,
        Outcome::Late { .. } => Takes::Late,
        Outcome::Corrected { .. } => Takes::Corrected,
    }
}

impl Render for Results {
    type Col = Vec<Result>;

    fn class(&self, col: &Vec<Result>, i: usize) -> Takes {
        class(&col[i])
    }

    fn line(&mut self, col: &Vec<Result>, i: usize, to: &mut Vec<u8>) {
        let result = &col[i];
        head(result, to);
        let held = result.value();
        let mut parts: Vec<(Var, &[u8])> = Vec::with_capacity(result.headers().fragments as usize);
        held.ordered(&mut parts);
        match self.emit {
            Emit::Fragments => {
                to.extend_from_slice(b",\"fragments\":[");
                for (n, (_, text)) in parts.iter().enumerate() {
                    if n > 0 {
                        to.push(b',');
                    }
                    to.extend_from_slice(text);
                }
                to.extend_from_slice(b"]}");
            }
            Emit::Merged => {
                to.extend_from_slice(b",\"record\":");
                self.merger.merge(&parts, to);
                to.push(b'}');
            }
        }
    }

    fn fate(&self, col: &Vec<Result>, i: usize, to: &mut Vec<u8>) {
        let result = &col[i];
        head(result, to);
        // Writing to a vector cannot fail.
        let _ = write!(to, ",\"fragments\":{}}}", result.headers().fragments);
    }

    fn count(&self, col: &Vec<Result>, i: usize, tally: &mut Tally) {
        tally.result(class(&col[i]), col[i].headers());
    }
}

/// `{"key":"7","status":"partial","missing":["header"],"completeness":0.5,"reason":"ttl"`, open.
fn head(result: &Result, to: &mut Vec<u8>) {
    let headers = result.headers();
    to.extend_from_slice(b"{\"key\":");
    json_text(result.key(), to);
    to.extend_from_slice(b",\"status\":\"");
    to.extend_from_slice(class(result).word().as_bytes());
    to.push(b'"');
    if !result.is_complete() {
        incomplete(headers, to);
    }
    if headers.generation > 0 {
        let _ = write!(to, ",\"generation\":{}", headers.generation);
    }
}

fn incomplete(headers: &Headers, to: &mut Vec<u8>) {
    to.extend_from_slice(b",\"missing\":[");
    for (n, missing) in headers.missing.iter().flatten().enumerate() {
        if n > 0 {
            to.push(b',');
        }
        json_text(missing.to_string().as_bytes(), to);
    }
    let _ = write!(
        to,
        "],\"completeness\":{},\"reason\":\"{}\"",
        headers.completeness,
        headers.reason.as_str()
    );
}

/// Appends bytes as a JSON text; what is not UTF-8 becomes the replacement character.
pub(crate) fn json_text(bytes: &[u8], to: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    to.push(b'"');
    let mut from = 0;
    for (at, c) in text.bytes().enumerate() {
        if c >= 0x20 && c != b'"' && c != b'\\' {
            continue;
        }
        to.extend_from_slice(&text.as_bytes()[from..at]);
        from = at + 1;
        match c {
            b'"' => to.extend_from_slice(b"\\\""),
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            c => drop(write!(to, "\\u{c:04x}")),
        }
    }
    to.extend_from_slice(&text.as_bytes()[from..]);
    to.push(b'"');
}

/// One object of the fields of several: of a repeated field the last one's value, at the place of
/// the first.
#[derive(Debug, Default)]
struct Merger {
    records: RecordColumn,
}

impl Merger {
    fn merge(&mut self, parts: &[(Var, &[u8])], to: &mut Vec<u8>) {
        Column::clear(&mut self.records);
        for (_, text) in parts {
            // It was a record within these limits or narrower ones when it came in.
            let limits = Limits { bytes: usize::MAX, fields: usize::MAX, ..Limits::default() };
            let _ = self.records.push_json(text, &limits);
        }
        let mut fields: Vec<(String, &str)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.records.iter() {
            for (name, value) in record.fields() {
                match places.get(name.as_ref()) {
                    Some(&place) => fields[place].1 = value.raw(),
                    None => {
                        places.insert(name.clone().into_owned(), fields.len());
                        fields.push((name.into_owned(), value.raw()));
                    }
                }
            }
        }
        to.push(b'{');
        for (n, (name, raw)) in fields.iter().enumerate() {
            if n > 0 {
                to.push(b',');
            }
            json_text(name.as_bytes(), to);
            to.push(b':');
            to.extend_from_slice(raw.as_bytes());
        }
        to.push(b'}');
    }
}
