//! CSV (RFC 4180): records become objects of texts, named by the header.
//!
//! Fields are separated by one character and may stand in quotes, inside which a quote is doubled
//! and line ends are content. Lines end with a line feed, with or without a carriage return before
//! it, mixed as they come. Blank lines are passed over. All values are texts; a cast makes numbers
//! of them. Nothing is guessed and nothing is repaired: what is not well formed is rejected with
//! its record, line, column and field, and reading goes on with the next line.

mod split;

use crate::column::RecordColumn;
use crate::decode::{Cut, Cutter, Decode, Place, Rejected, lines_in, without_end};
use crate::limits::Limits;
use flux_io_core::skip::skips;
use flux_io_core::{Column, DeadCause, RowError};
use split::{End, Split};
use thiserror::Error;

/// Where the names of the fields come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CsvHeader {
    /// The first record.
    #[default]
    First,
    /// From here; the first record is data.
    Names(Vec<String>),
}

/// How the text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between fields; `,`.
    pub delimiter: u8,
    /// Around fields; `"`.
    pub quote: u8,
    /// The names.
    pub header: CsvHeader,
    /// Limits of one record.
    pub limits: Limits,
}

impl Default for CsvOptions {
    fn default() -> Self {
        let limits = Limits::default();
        Self { delimiter: b',', quote: b'"', header: CsvHeader::First, limits }
    }
}

/// Options that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CsvOptionsError {
    /// A character cannot have this role.
    #[error(
        "the csv {role} cannot be {:?}: choose an ASCII character other than a line end, NUL and the other one",
        char::from(*found)
    )]
    Character {
        /// Delimiter or quote.
        role: &'static str,
        /// The character given.
        found: u8,
    },
    /// A name stands twice, or no name is given.
    #[error("the csv names {0}")]
    Names(String),
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CsvFault {
    /// It has another number of fields than the header.
    #[error("{found} fields where the header names {expected}")]
    Ragged {
        /// Names in the header.
        expected: usize,
        /// Fields in the record.
        found: usize,
    },
    /// The input, or the record's limit, ends before the quote that opened here is closed.
    #[error("the quote that opens here is never closed")]
    UnclosedQuote,
    /// A quote inside a field that began without one.
    #[error("a quote inside an unquoted field: quote the whole field and double the quote")]
    QuoteInField,
    /// Text between a closing quote and the next delimiter.
    #[error("text behind a closing quote: double the quote if it belongs to the field")]
    BehindQuote,
    /// A NUL.
    #[error("a NUL byte: this is no text")]
    Nul,
    /// A carriage return that ends no line.
    #[error("a carriage return without a line feed: quote the field, or write line feeds")]
    LoneReturn,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// Two columns of one name.
    #[error("the header names `{}` twice", .0.escape_debug())]
    DuplicateName(String),
    /// A column without a name.
    #[error("the header gives this column no name")]
    EmptyName,
    /// The header could not be read, so the record's fields have no names.
    #[error("the header was refused, so its fields have no names")]
    NoHeader,
    /// Over the limit of bytes.
    #[error("the record is over the limit of {0} bytes; is a quote not closed?")]
    TooLong(usize),
    /// Over the limit of fields.
    #[error("more fields than the limit of {0}")]
    TooManyFields(usize),
}

impl CsvFault {
    const fn cause(&self) -> DeadCause {
        match self {
            Self::TooLong(_) | Self::TooManyFields(_) => DeadCause::Oversize,
            _ => DeadCause::Poison,
        }
    }
}

/// A fault and where in the record it is.
#[derive(Clone, Debug)]
struct Fault {
    fault: CsvFault,
    /// Offset in the record.
    at: usize,
    /// Number of the field, from 0.
    field: usize,
}

/// Reads CSV.
#[derive(Clone, Debug)]
pub struct CsvDecoder {
    options: CsvOptions,
    header: Header,
    cutter: Cutter,
    end: End,
    split: Split,
}

#[derive(Clone, Debug)]
enum Header {
    Awaited,
    Known(Vec<String>),
    Refused,
}

impl CsvDecoder {
    /// A decoder at the start of an input.
    ///
    /// # Errors
    /// [`CsvOptionsError`] when the characters or names cannot work.
    pub fn new(options: CsvOptions) -> Result<Self, CsvOptionsError> {
        for (role, found, other) in [
            ("delimiter", options.delimiter, options.quote),
            ("quote", options.quote, options.delimiter),
        ] {
            if !found.is_ascii() || matches!(found, 0 | b'\n' | b'\r') || found == other {
                return Err(CsvOptionsError::Character { role, found });
            }
        }
        if let CsvHeader::Names(names) = &options.header {
            if names.is_empty() {
                return Err(CsvOptionsError::Names("are missing: name at least one".to_owned()));
            }
            if let Some(twice) = repeated(names) {
                let name = &names[twice];
                return Err(CsvOptionsError::Names(format!("hold `{name}` twice")));
            }
        }
        let cutter = Cutter::new(options.limits.bytes);
        let header = header_of(&options);
        Ok(Self { options, header, cutter, end: End::default(), split: Split::default() })
    }

    /// One record, or the header; whether it counts as a record.
    fn record(
        &mut self,
        place: Place,
        bytes: &[u8],
        out: &mut RecordColumn,
        bad: &mut dyn FnMut(Rejected<'_>),
    ) -> bool {
        let mut original = without_end(bytes);
        let mark = "\u{feff}".as_bytes();
        let shift = if place.offset == 0 && original.starts_with(mark) { mark.len() } else { 0 };
        original = &original[shift..];
        if original.is_empty() {
            return false;
        }
        let is_header = matches!(self.header, Header::Awaited);
        let done = if is_header { self.read_header(original) } else { self.row(original, out) };
        if let Err(fault) = done
            && !skips(format_args!("CsvFault::{:?}", fault.fault))
        {
            if is_header {
                self.header = Header::Refused;
            }
            if matches!(fault.fault, CsvFault::TooLong(_)) {
                original = Cutter::head(original);
            }
            let error = self.describe(place, original, shift, &fault, is_header);
            bad(Rejected { place, error, original });
        }
        !is_header
    }

    fn read_header(&mut self, record: &[u8]) -> Result<(), Fault> {
        self.split.split(record, &self.options)?;
        let names: Vec<String> = self.split.fields().map(|(text, _)| text.to_owned()).collect();
        let at = |field: usize, fault| Fault { fault, at: self.split.start(field), field };
        if let Some(field) = names.iter().position(String::is_empty) {
            return Err(at(field, CsvFault::EmptyName));
        }
        if let Some(field) = repeated(&names) {
            return Err(at(field, CsvFault::DuplicateName(names[field].clone())));
        }
        self.header = Header::Known(names);
        Ok(())
    }

    fn row(&mut self, record: &[u8], out: &mut RecordColumn) -> Result<(), Fault> {
        let Header::Known(names) = &self.header else {
            return Err(Fault { fault: CsvFault::NoHeader, at: 0, field: 0 });
        };
        self.split.split(record, &self.options)?;
        let (expected, found) = (names.len(), self.split.fields().len());
        if expected != found {
            let field = found.min(expected).saturating_sub(usize::from(found < expected));
            let at = if found < expected { record.len() } else { self.split.start(field) };
            return Err(Fault { fault: CsvFault::Ragged { expected, found }, at, field });
        }
        let full =
            |_: RowError| Fault { fault: CsvFault::TooLong(u32::MAX as usize), at: 0, field: 0 };
        out.push_with(|draft| {
            for (name, (text, _)) in names.iter().zip(self.split.fields()) {
                draft.str(name, text);
            }
            Ok(())
        })
        .map_err(full)
    }

    fn describe(
        &self,
        place: Place,
        record: &[u8],
        shift: usize,
        fault: &Fault,
        is_header: bool,
    ) -> RowError {
        let before = &record[..fault.at.min(record.len())];
        let line = place.line + lines_in(before);
        let in_line = before.iter().rposition(|&c| c == b'\n').map_or(0, |n| n + 1);
        // The byte order mark stands in the first line, in front of everything else.
        let column = fault.at - in_line + 1 + if in_line == 0 { shift } else { 0 };
        let what = if is_header { "header".to_owned() } else { format!("record {}", place.record) };
        let field = fault.field + 1;
        let name = match &self.header {
            Header::Known(names) if !is_header => names.get(fault.field),
            _ => None,
        };
        let name = name.map_or(String::new(), |name| format!(" (`{}`)", name.escape_debug()));
        let text =
            format!("{what}, line {line}, column {column}, field {field}{name}: {}", fault.fault);
        RowError::new(fault.fault.cause(), text)
    }

    fn too_long(&mut self, bad: &mut dyn FnMut(Rejected<'_>)) {
        let place = self.cutter.place;
        let limit = self.options.limits.bytes;
        let tail = self.cutter.tail();
        let shift =
            if place.offset == 0 && tail.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let tail = &tail[shift..];
        let is_header = matches!(self.header, Header::Awaited);
        let fault = Fault { fault: CsvFault::TooLong(limit), at: limit.min(tail.len()), field: 0 };
        let error = self.describe(place, tail, shift, &fault, is_header);
        if !skips(format_args!("CsvFault::{:?}", fault.fault)) {
            bad(Rejected { place, error, original: Cutter::head(tail) });
        }
        let (bytes, lines) = (self.cutter.tail().len(), lines_in(self.cutter.tail()));
        if is_header {
            self.header = Header::Refused;
        }
        self.end = End::default();
        self.cutter.done(bytes, lines, !is_header);
    }
}

fn header_of(options: &CsvOptions) -> Header {
    match &options.header {
        CsvHeader::First => Header::Awaited,
        CsvHeader::Names(names) => Header::Known(names.clone()),
    }
}

/// The first name that stood before.
fn repeated(names: &[String]) -> Option<usize> {
    let mut seen = std::collections::BTreeSet::new();
    names.iter().position(|name| !seen.insert(name))
}

impl Decode for CsvDecoder {
    fn decode(
        &mut self,
        block: &[u8],
        out: &mut RecordColumn,
        rows: usize,
        bad: &mut dyn FnMut(Rejected<'_>),
    ) -> usize {
        let mut at = 0;
        while at < block.len() && out.rows() < rows {
            let rest = &block[at..];
            let (end, options) = (&mut self.end, &self.options);
            let at_start = self.cutter.place.offset == 0;
            match self.cutter.cut(rest, |window| end.find(window, options, at_start)) {
                Cut::More => at = block.len(),
                Cut::Record { used, in_tail } => {
                    let place = self.cutter.place;
                    let held = if in_tail { self.cutter.take_tail() } else { Vec::new() };
                    let record = if in_tail { held.as_slice() } else { &rest[..used] };
                    let counts = self.record(place, record, out, bad);
                    let (bytes, lines) = (record.len(), lines_in(record));
                    self.cutter.give_tail(held);
                    self.cutter.done(bytes, lines, counts);
                    at += used;
                }
                Cut::TooLong { used } => {
                    self.too_long(bad);
                    at += used;
                }
                Cut::Skipped { used } => at += used,
            }
        }
        at
    }

    fn finish(&mut self, out: &mut RecordColumn, bad: &mut dyn FnMut(Rejected<'_>)) {
        let (place, rest) = self.cutter.take_rest();
        self.record(place, &rest, out, bad);
        self.end = End::default();
        self.header = header_of(&self.options);
    }

    fn place(&self) -> Place {
        self.cutter.place
    }
}
