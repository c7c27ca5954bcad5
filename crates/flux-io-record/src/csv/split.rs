//! Where a CSV record ends, and what its fields are.

use super::{CsvFault, CsvOptions, Fault};
use memchr::{memchr, memchr3};

/// Looks for the end of a record across blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    state: State,
    /// Bytes of a byte order mark passed, at the start of the input.
    mark: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A quote here opens.
    #[default]
    FieldStart,
    /// Until the next delimiter or line feed.
    Plain,
    /// Until the closing quote.
    Quoted,
    /// Behind a quote inside quotes: it was the closing one unless another follows.
    QuoteSeen,
}

impl End {
    /// The length of `window` up to behind the line feed that ends the record; `None` when it goes
    /// on. The next call goes on where this one stopped.
    pub(super) fn find(
        &mut self,
        window: &[u8],
        options: &CsvOptions,
        at_start: bool,
    ) -> Option<usize> {
        let mut i = 0;
        while i < window.len() {
            let c = window[i];
            match self.state {
                State::FieldStart if at_start && self.mark < 3 && is_mark(self.mark, c) => {
                    self.mark += 1;
                    i += 1;
                }
                State::Quoted => {
                    let n = memchr(options.quote, &window[i..])?;
                    self.state = State::QuoteSeen;
                    i += n + 1;
                }
                State::FieldStart | State::QuoteSeen if c == options.quote => {
                    self.state = State::Quoted;
                    i += 1;
                }
                State::FieldStart | State::QuoteSeen | State::Plain => {
                    self.state = State::Plain;
                    let n = memchr::memchr2(options.delimiter, b'\n', &window[i..])?;
                    i += n + 1;
                    self.state = State::FieldStart;
                    if window[i - 1] == b'\n' {
                        *self = Self { state: State::FieldStart, mark: 3 };
                        return Some(i);
                    }
                }
            }
        }
        None
    }
}

fn is_mark(at: usize, c: u8) -> bool {
    "\u{feff}".as_bytes().get(at) == Some(&c)
}

/// The fields of one record, their quotes removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Split {
    text: String,
    /// End in `text` and start in the record, per field.
    ends: Vec<(usize, usize)>,
    bytes: Vec<u8>,
}

impl Split {
    /// The fields, with where each starts in the record.
    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.ends.iter().enumerate().map(|(i, &(end, start))| {
            let from = if i == 0 { 0 } else { self.ends[i - 1].0 };
            (&self.text[from..end], start)
        })
    }

    /// Where field `i` starts in the record; its end when there is no such field.
    pub(super) fn start(&self, i: usize) -> usize {
        self.ends.get(i).map_or(0, |&(_, start)| start)
    }

    /// Splits a record given without its line's end.
    pub(super) fn split(&mut self, record: &[u8], options: &CsvOptions) -> Result<(), Fault> {
        self.ends.clear();
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let done = self.split_into(record, options, &mut bytes);
        if done.is_ok() {
            // The pieces between delimiters were checked one by one, so the whole is UTF-8.
            self.text.clear();
            if let Ok(text) = std::str::from_utf8(&bytes) {
                self.text.push_str(text);
            }
        }
        self.bytes = bytes;
        done
    }

    fn split_into(
        &mut self,
        record: &[u8],
        options: &CsvOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let limit = options.limits.bytes;
        if record.len() > limit {
            return Err(Fault { fault: CsvFault::TooLong(limit), at: limit, field: 0 });
        }
        let mut i = 0;
        loop {
            let (start, field) = (i, self.ends.len());
            let fail = |fault, at| Err(Fault { fault, at, field });
            if field == options.limits.fields {
                return fail(CsvFault::TooManyFields(options.limits.fields), i);
            }
            i = if record.get(i) == Some(&options.quote) {
                quoted(record, i, options, out).map_err(|(fault, at)| Fault { fault, at, field })?
            } else {
                plain(record, i, options, out).map_err(|(fault, at)| Fault { fault, at, field })?
            };
            if let Some(n) = memchr(0, &record[start..i]) {
                return fail(CsvFault::Nul, start + n);
            }
            if let Err(e) = std::str::from_utf8(&record[start..i]) {
                return fail(CsvFault::Utf8, start + e.valid_up_to());
            }
            self.ends.push((out.len(), start));
            if i == record.len() {
                return Ok(());
            }
            i += 1;
        }
    }
}

type Part = Result<usize, (CsvFault, usize)>;

/// Reads an unquoted field from `i`; where it ends.
fn plain(record: &[u8], i: usize, options: &CsvOptions, out: &mut Vec<u8>) -> Part {
    let rest = &record[i..];
    let n = memchr3(options.delimiter, options.quote, b'\r', rest).unwrap_or(rest.len());
    match rest.get(n) {
        Some(&c) if c == options.quote => return Err((CsvFault::QuoteInField, i + n)),
        Some(b'\r') => return Err((CsvFault::LoneReturn, i + n)),
        _ => out.extend_from_slice(&rest[..n]),
    }
    Ok(i + n)
}

/// Reads a quoted field from its opening quote at `i`; where it ends, behind the closing one.
fn quoted(record: &[u8], i: usize, options: &CsvOptions, out: &mut Vec<u8>) -> Part {
    let mut at = i + 1;
    loop {
        let rest = &record[at..];
        let Some(n) = memchr(options.quote, rest) else {
            return Err((CsvFault::UnclosedQuote, i));
        };
        out.extend_from_slice(&rest[..n]);
        at += n + 1;
        match record.get(at) {
            Some(&c) if c == options.quote => {
                out.push(c);
                at += 1;
            }
            None => return Ok(at),
            Some(&c) if c == options.delimiter => return Ok(at),
            Some(_) => return Err((CsvFault::BehindQuote, at)),
        }
    }
}
