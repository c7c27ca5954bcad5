//! NDJSON: one JSON object a line.
//!
//! Lines end with a line feed, a carriage return before it belongs to the end; the last line needs
//! none. Blank lines are passed over. A byte order mark may open the input and stand nowhere else.

use crate::column::RecordColumn;
use crate::decode::{Cut, Cutter, Decode, Place, Rejected, without_end};
use crate::limits::Limits;
use crate::scan::{JsonError, JsonFault};
use flux_io_core::skip::skips;
use flux_io_core::{Column, RowError};
use memchr::memchr;

/// Reads NDJSON.
#[derive(Clone, Debug)]
pub struct NdjsonDecoder {
    limits: Limits,
    cutter: Cutter,
}

impl NdjsonDecoder {
    /// A decoder at the start of an input.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, cutter: Cutter::new(limits.bytes) }
    }

    fn line(
        &self,
        place: Place,
        line: &[u8],
        out: &mut RecordColumn,
        bad: &mut dyn FnMut(Rejected<'_>),
    ) -> bool {
        let mut original = without_end(line);
        if place.offset == 0 {
            original = original.strip_prefix("\u{feff}".as_bytes()).unwrap_or(original);
        }
        if original.iter().all(|c| matches!(c, b' ' | b'\t' | b'\r')) {
            return false;
        }
        if let Err(error) = out.push_json(original, &self.limits) {
            if matches!(error.fault, JsonFault::TooLong(_)) {
                original = Cutter::head(original);
            }
            bad(Rejected { place, error: at_line(place, error), original });
        }
        true
    }
}

fn at_line(place: Place, error: JsonError) -> RowError {
    RowError::new(error.cause(), format!("line {}, {error}", place.line))
}

impl Decode for NdjsonDecoder {
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
            match self.cutter.cut(rest, |window| memchr(b'\n', window).map(|n| n + 1)) {
                Cut::More => at = block.len(),
                Cut::Record { used, in_tail } => {
                    let line = if in_tail { self.cutter.tail() } else { &rest[..used] };
                    let bytes = line.len();
                    let counts = self.line(self.cutter.place, line, out, bad);
                    self.cutter.done(bytes, 1, counts);
                    at += used;
                }
                Cut::TooLong { used } => {
                    let place = self.cutter.place;
                    let limit = self.limits.bytes;
                    let error = JsonError { at: limit, fault: JsonFault::TooLong(limit) };
                    let tail = self.cutter.tail();
                    let bytes = tail.len();
                    let original = match place.offset {
                        0 => tail.strip_prefix("\u{feff}".as_bytes()).unwrap_or(tail),
                        _ => tail,
                    };
                    let original = Cutter::head(original);
                    if !skips(format_args!("JsonFault::{:?}", error.fault)) {
                        bad(Rejected { place, error: at_line(place, error), original });
                    }
                    self.cutter.done(bytes, 0, true);
                    at += used;
                }
                Cut::Skipped { used } => at += used,
            }
        }
        at
    }

    fn finish(&mut self, out: &mut RecordColumn, bad: &mut dyn FnMut(Rejected<'_>)) {
        let (place, rest) = self.cutter.take_rest();
        self.line(place, &rest, out, bad);
    }

    fn place(&self) -> Place {
        self.cutter.place
    }
}
