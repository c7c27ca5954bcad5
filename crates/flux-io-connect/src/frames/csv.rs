//! Records of CSV: where they end, not what their fields are.

use super::framing::{Cut, Framing, Place};
use super::line::{BOM, TEXT_OVERHEAD, around_text};
use memchr::{memchr, memchr_iter, memchr2};

/// A record of CSV (RFC 4180) ends with a line feed outside quotes, with or without a carriage
/// return before it; the last one needs no end. A quote opens at the start of a field alone, and is
/// doubled inside. Blank lines are skipped, as is a byte order mark at the start of an input.
///
/// A record over the limit most likely has a quote that is not closed: reading goes on with the
/// next line behind the limit. An input that ends inside quotes is told. The first record is a
/// frame like all others; a [`Decode`](super::Decode) may take it for the header.
#[derive(Clone, Debug)]
pub struct CsvFraming {
    delimiter: u8,
    quote: u8,
    state: State,
    /// Bytes of a mark passed; all of them when there can be none any more.
    mark: usize,
    /// Line feeds in this record's quotes so far, and in those of the record before.
    inner: u64,
    last_inner: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Outside quotes; `start` when a quote here opens.
    Plain {
        start: bool,
    },
    Quoted,
    /// Behind a quote inside quotes: it was the closing one unless another follows.
    QuoteSeen,
    /// Over the limit: until the next line feed.
    Skip,
}

impl Default for CsvFraming {
    fn default() -> Self {
        Self::new(b',', b'"')
    }
}

impl CsvFraming {
    /// Fields are separated by `delimiter` and may stand in `quote`s.
    #[must_use]
    pub const fn new(delimiter: u8, quote: u8) -> Self {
        let state = State::Plain { start: true };
        Self { delimiter, quote, state, mark: 0, inner: 0, last_inner: 0 }
    }

    /// Passes a mark at the start of the input; how many bytes of it are here.
    fn pass_mark(&mut self, bytes: &[u8]) -> usize {
        let rest = &BOM[self.mark..];
        let same = bytes.iter().zip(rest).take_while(|(a, b)| a == b).count();
        self.mark += same;
        if same < bytes.len() {
            self.mark = BOM.len();
        }
        same
    }

    fn ended(&mut self, at: usize) -> Cut {
        self.state = State::Plain { start: true };
        self.last_inner = std::mem::take(&mut self.inner);
        self.mark = BOM.len();
        Cut::End(at)
    }
}

impl Framing for CsvFraming {
    fn kind(&self) -> &'static str {
        "csv"
    }

    fn overhead(&self) -> usize {
        TEXT_OVERHEAD
    }

    fn reset(&mut self, first: bool) {
        *self = Self::new(self.delimiter, self.quote);
        self.mark = if first { 0 } else { BOM.len() };
    }

    fn find(&mut self, bytes: &[u8]) -> Cut {
        let mut at = if self.mark < BOM.len() { self.pass_mark(bytes) } else { 0 };
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.state {
                State::Plain { start } => {
                    let Some(n) = memchr2(self.quote, b'\n', rest) else {
                        self.state = State::Plain { start: rest.ends_with(&[self.delimiter]) };
                        return Cut::More;
                    };
                    if rest[n] == b'\n' {
                        return self.ended(at + n + 1);
                    }
                    let opens = if n == 0 { start } else { rest[n - 1] == self.delimiter };
                    self.state = if opens { State::Quoted } else { State::Plain { start: false } };
                    at += n + 1;
                }
                State::Quoted => {
                    let n = memchr(self.quote, rest);
                    let inside = &rest[..n.unwrap_or(rest.len())];
                    self.inner += memchr_iter(b'\n', inside).count() as u64;
                    let Some(n) = n else { return Cut::More };
                    self.state = State::QuoteSeen;
                    at += n + 1;
                }
                State::QuoteSeen if rest[0] == self.quote => {
                    self.state = State::Quoted;
                    at += 1;
                }
                State::QuoteSeen => self.state = State::Plain { start: false },
                State::Skip => {
                    let Some(n) = memchr(b'\n', rest) else { return Cut::More };
                    return self.ended(at + n + 1);
                }
            }
        }
        Cut::More
    }

    fn trim(&self, frame: &[u8], first: bool) -> (usize, usize) {
        let (head, tail) = around_text(frame, first);
        // At the end of an input a carriage return alone ends nothing.
        (head, if frame.ends_with(b"\n") { tail } else { 0 })
    }

    fn end(&mut self, _len: u64) -> Result<(), String> {
        if self.state == State::Quoted {
            return Err("a quote is opened and never closed".to_owned());
        }
        self.last_inner = std::mem::take(&mut self.inner);
        Ok(())
    }

    fn over(&mut self) {
        self.state = State::Skip;
    }

    fn inner_lines(&self) -> u64 {
        self.last_inner
    }

    fn skips_empty(&self) -> bool {
        true
    }

    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        let start = to.len();
        to.extend_from_slice(content);
        to.push(b'\n');
        let mut check = self.clone();
        check.reset(false);
        if check.find(&to[start..]) != Cut::End(content.len() + 1) {
            let what = "it is not one csv record; quote fields that hold line ends or quotes";
            return Err(what.to_owned());
        }
        Ok(())
    }

    fn describe(&self, at: Place) -> String {
        format!("record {}, line {} (byte {})", at.record + 1, at.line + 1, at.offset)
    }
}
