//! The one pass over a record: checks that it is JSON within the limits and notes where its fields
//! are.
//!
//! The subset: RFC 8259, a record is an object; lone surrogates, numbers beyond the range of `f64`
//! and anything behind the object are refused.

use crate::limits::{Limits, MAX_DEPTH};
use crate::value::Kind;
use flux_io_core::skip::skips;
use flux_io_core::{DeadCause, RowError};
use thiserror::Error;

/// Where a field's name (without quotes) and value lie in the record's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name_at: u32,
    pub(crate) name_end: u32,
    pub(crate) value_at: u32,
    pub(crate) value_end: u32,
    pub(crate) kind: Kind,
    /// The name holds a backslash.
    pub(crate) name_escaped: bool,
    /// The value is a text that holds a backslash.
    pub(crate) escaped: bool,
}

/// What is wrong with a record's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// It ends too early.
    #[error("the record ends inside a value: it is torn")]
    Torn,
    /// It has no value at all.
    #[error("the record is empty")]
    Empty,
    /// It is JSON, perhaps, but no object.
    #[error("a record is an object: expected `{{`")]
    NotAnObject,
    /// Something else follows the object.
    #[error("text behind the record: one record stands on one line")]
    Behind,
    /// A name was expected.
    #[error("expected a field name in quotes")]
    Name,
    /// A colon was expected.
    #[error("expected `:` behind a field name")]
    Colon,
    /// A comma or the end of an object was expected.
    #[error("expected `,` or `}}` behind a field")]
    CommaOrBrace,
    /// A comma or the end of an array was expected.
    #[error("expected `,` or `]` behind an item")]
    CommaOrBracket,
    /// A value was expected.
    #[error("expected a value")]
    Value,
    /// A number is not written as JSON writes them.
    #[error("not a JSON number")]
    Number,
    /// A number is too large for a 64-bit float.
    #[error("the number is out of range")]
    NumberRange,
    /// A backslash is followed by something unknown.
    #[error("unknown escape in a text")]
    Escape,
    /// A surrogate without its other half.
    #[error("a surrogate without its other half in a text")]
    Surrogate,
    /// A control character (NUL, tab, ...) stands bare in a text.
    #[error("a control character in a text must be escaped")]
    Control,
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// Over the limit of bytes.
    #[error("the record is over the limit of {0} bytes")]
    TooLong(usize),
    /// Over the limit of nesting.
    #[error("nested deeper than the limit of {0}")]
    TooDeep(u32),
    /// Over the limit of fields.
    #[error("more fields than the limit of {0}")]
    TooManyFields(usize),
    /// Over the limit of a number's characters.
    #[error("a number longer than the limit of {0} characters")]
    LongNumber(usize),
}

/// A record that cannot be read: what is wrong and at which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("byte {}: {fault}", at + 1)]
pub struct JsonError {
    /// Offset in the record, from 0; the text counts from 1.
    pub at: usize,
    /// What is wrong.
    pub fault: JsonFault,
}

impl JsonError {
    /// The dead letter's cause: over a limit of size, or poison.
    #[must_use]
    pub const fn cause(&self) -> DeadCause {
        match self.fault {
            JsonFault::TooLong(_)
            | JsonFault::TooDeep(_)
            | JsonFault::TooManyFields(_)
            | JsonFault::LongNumber(_) => DeadCause::Oversize,
            _ => DeadCause::Poison,
        }
    }

    /// As the error of a row. (`?` would do it too, but lose the cause.)
    #[must_use]
    pub fn into_row(self) -> RowError {
        RowError::new(self.cause(), self.to_string())
    }
}

type Scan<T> = Result<T, JsonError>;

/// Checks `line` and appends its fields to `fields`; returns the record's text, without the white
/// space around it. On an error, `fields` is as it was.
pub(crate) fn scan<'a>(line: &'a [u8], limits: &Limits, fields: &mut Vec<Field>) -> Scan<&'a str> {
    match checked(line, limits, fields) {
        Err(e) if skips(format_args!("JsonFault::{:?}", e.fault)) => Ok("{}"),
        scanned => scanned,
    }
}

fn checked<'a>(line: &'a [u8], limits: &Limits, fields: &mut Vec<Field>) -> Scan<&'a str> {
    if line.len() > limits.bytes {
        return Err(JsonError { at: limits.bytes, fault: JsonFault::TooLong(limits.bytes) });
    }
    let text = std::str::from_utf8(line)
        .map_err(|e| JsonError { at: e.valid_up_to(), fault: JsonFault::Utf8 })?;
    let mark = fields.len();
    let mut s = Scanner::new(text, limits);
    match s.record(fields) {
        Ok(span) => Ok(&text[span]),
        Err(e) => {
            fields.truncate(mark);
            Err(e)
        }
    }
}

/// A position in a text that is, or should be, JSON.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    b: &'a [u8],
    pub(crate) i: usize,
    depth: u32,
    limits: &'a Limits,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, limits: &'a Limits) -> Self {
        Self { text, b: text.as_bytes(), i: 0, depth: limits.depth.min(MAX_DEPTH), limits }
    }

    #[cold]
    fn fail<T>(&self, fault: JsonFault) -> Scan<T> {
        let fault = if self.i >= self.b.len() { JsonFault::Torn } else { fault };
        Err(JsonError { at: self.i.min(self.b.len()), fault })
    }

    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        // NUL stands for the end; it is nowhere allowed, so it cannot be mistaken for content.
        self.b.get(self.i).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.i += 1;
        }
    }

    fn record(&mut self, fields: &mut Vec<Field>) -> Scan<std::ops::Range<usize>> {
        self.space();
        let start = self.i;
        if self.peek() != b'{' {
            let empty = start == self.b.len();
            let fault = if empty { JsonFault::Empty } else { JsonFault::NotAnObject };
            return Err(JsonError { at: start, fault });
        }
        if self.depth == 0 {
            return self.fail(JsonFault::TooDeep(self.limits.depth));
        }
        self.depth -= 1;
        let mark = fields.len();
        let limit = self.limits.fields;
        self.members(
            |s, f| {
                if fields.len() - mark == limit {
                    s.i = start + f.name_at as usize - 1;
                    return s.fail(JsonFault::TooManyFields(limit));
                }
                fields.push(f);
                Ok(())
            },
            start,
        )?;
        let end = self.i;
        self.space();
        if self.i < self.b.len() {
            return self.fail(JsonFault::Behind);
        }
        Ok(start..end)
    }

    /// Walks the members of the object that starts here; spans are given relative to `base`.
    #[inline]
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Field) -> Scan<()>,
        base: usize,
    ) -> Scan<()> {
        self.i += 1;
        self.space();
        if self.peek() == b'}' {
            self.i += 1;
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return self.fail(JsonFault::Name);
            }
            let name_at = self.i + 1;
            let name_escaped = self.string()?;
            let name_end = self.i - 1;
            self.space();
            if self.peek() != b':' {
                return self.fail(JsonFault::Colon);
            }
            self.i += 1;
            self.space();
            let value_at = self.i;
            let (kind, escaped) = self.value()?;
            let field = Field {
                name_at: (name_at - base) as u32,
                name_end: (name_end - base) as u32,
                value_at: (value_at - base) as u32,
                value_end: (self.i - base) as u32,
                kind,
                name_escaped,
                escaped,
            };
            each(self, field)?;
            self.space();
            match self.peek() {
                b',' => self.i += 1,
                b'}' => {
                    self.i += 1;
                    return Ok(());
                }
                _ => return self.fail(JsonFault::CommaOrBrace),
            }
            self.space();
        }
    }

    /// Walks the items of the array that starts here: (start, end, kind, escaped).
    pub(crate) fn items(&mut self, mut each: impl FnMut(usize, usize, Kind, bool)) -> Scan<()> {
        self.i += 1;
        self.space();
        if self.peek() == b']' {
            self.i += 1;
            return Ok(());
        }
        loop {
            let at = self.i;
            let (kind, escaped) = self.value()?;
            each(at, self.i, kind, escaped);
            self.space();
            match self.peek() {
                b',' => self.i += 1,
                b']' => {
                    self.i += 1;
                    return Ok(());
                }
                _ => return self.fail(JsonFault::CommaOrBracket),
            }
            self.space();
        }
    }

    /// Steps over one value: its kind, and whether it is a text with escapes.
    #[inline]
    pub(crate) fn value(&mut self) -> Scan<(Kind, bool)> {
        match self.peek() {
            b'"' => Ok((Kind::Text, self.string()?)),
            b'-' | b'0'..=b'9' => Ok((self.number()?, false)),
            b'{' | b'[' => Ok((self.nested()?, false)),
            b't' => self.word("true", Kind::Bool),
            b'f' => self.word("false", Kind::Bool),
            b'n' => self.word("null", Kind::Null),
            _ => self.fail(JsonFault::Value),
        }
    }

    fn nested(&mut self) -> Scan<Kind> {
        if self.depth == 0 {
            return self.fail(JsonFault::TooDeep(self.limits.depth.min(MAX_DEPTH)));
        }
        self.depth -= 1;
        let kind = if self.peek() == b'{' {
            self.members(|_, _| Ok(()), 0)?;
            Kind::Object
        } else {
            self.items(|_, _, _, _| ())?;
            Kind::Array
        };
        self.depth += 1;
        Ok(kind)
    }

    fn word(&mut self, word: &'static str, kind: Kind) -> Scan<(Kind, bool)> {
        for expected in word.bytes() {
            if self.peek() != expected {
                return self.fail(JsonFault::Value);
            }
            self.i += 1;
        }
        Ok((kind, false))
    }

    /// Steps over a text, from its opening quote; whether it holds an escape.
    #[inline]
    fn string(&mut self) -> Scan<bool> {
        let mut escaped = false;
        self.i += 1;
        loop {
            self.i = plain_end(self.b, self.i);
            match self.peek() {
                b'"' => {
                    self.i += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.i += 1;
                    self.escape()?;
                }
                _ => return self.fail(JsonFault::Control),
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.i += 1,
            b'u' => {
                let at = self.i - 1;
                self.i += 1;
                let unit = self.hex4()?;
                let lone = Err(JsonError { at, fault: JsonFault::Surrogate });
                match unit {
                    0xDC00..=0xDFFF => return lone,
                    0xD800..=0xDBFF => {
                        for expected in [b'\\', b'u'] {
                            if self.i >= self.b.len() {
                                return self.fail(JsonFault::Torn);
                            }
                            if self.peek() != expected {
                                return lone;
                            }
                            self.i += 1;
                        }
                        if !matches!(self.hex4()?, 0xDC00..=0xDFFF) {
                            return lone;
                        }
                    }
                    _ => {}
                }
            }
            _ => return self.fail(JsonFault::Escape),
        }
        Ok(())
    }

    fn hex4(&mut self) -> Scan<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return self.fail(JsonFault::Escape);
            };
            unit = unit * 16 + digit;
            self.i += 1;
        }
        Ok(unit)
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let at = self.i;
        while self.peek().is_ascii_digit() {
            self.i += 1;
        }
        self.i - at
    }

    /// Steps over a number: an integer when it has neither fraction nor exponent.
    #[inline]
    fn number(&mut self) -> Scan<Kind> {
        let at = self.i;
        let mut kind = Kind::Integer;
        if self.peek() == b'-' {
            self.i += 1;
        }
        if self.peek() == b'0' {
            self.i += 1;
            if self.peek().is_ascii_digit() {
                return self.fail(JsonFault::Number);
            }
        } else if self.digits() == 0 {
            return self.fail(JsonFault::Number);
        }
        if self.peek() == b'.' {
            kind = Kind::Float;
            self.i += 1;
            if self.digits() == 0 {
                return self.fail(JsonFault::Number);
            }
        }
        let mut exponent = 0;
        if matches!(self.peek(), b'e' | b'E') {
            kind = Kind::Float;
            self.i += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.i += 1;
            }
            exponent = self.digits();
            if exponent == 0 {
                return self.fail(JsonFault::Number);
            }
        }
        if self.i - at > self.limits.number {
            let fault = JsonFault::LongNumber(self.limits.number);
            return Err(JsonError { at, fault });
        }
        // Only these can leave the range of f64 (the largest has 309 digits before the point).
        if exponent >= 2 || self.i - at > 308 {
            let finite = self.text[at..self.i].parse::<f64>().is_ok_and(f64::is_finite);
            if !finite {
                return Err(JsonError { at, fault: JsonFault::NumberRange });
            }
        }
        Ok(kind)
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// The first byte from `i` on that is a quote, a backslash or a control character; the length when
/// there is none.
///
/// Eight bytes at a time: `(x - k) & !x & 0x80` marks a byte below `k`; a borrow can only spoil
/// bytes above the first marked one (Mycroft's test, "Bit Twiddling Hacks": hasless, haszero).
#[inline]
pub(crate) fn plain_end(b: &[u8], mut i: usize) -> usize {
    while let Some(eight) = b.get(i..).and_then(<[u8]>::first_chunk::<8>) {
        let x = u64::from_le_bytes(*eight);
        let quote = x ^ (ONES * b'"' as u64);
        let slash = x ^ (ONES * b'\\' as u64);
        let below = (x.wrapping_sub(ONES * 0x20) & !x)
            | (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash);
        let hit = below & HIGH;
        if hit != 0 {
            return i + (hit.trailing_zeros() / 8) as usize;
        }
        i += 8;
    }
    while let Some(&c) = b.get(i) {
        if c < 0x20 || c == b'"' || c == b'\\' {
            break;
        }
        i += 1;
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_end_equals_its_bytewise_twin() {
        let alphabet = [b'a', b'"', b'\\', 0, 0x1F, 0x20, 0x7F, 0x80, 0xFF, 0x21, 0x23, 0x5B, 0x5D];
        let mut x = 1u64;
        for len in 0..40 {
            for _ in 0..200 {
                let bytes: Vec<u8> = (0..len)
                    .map(|_| {
                        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let pick = (x >> 33) as usize;
                        if pick.is_multiple_of(4) {
                            alphabet[pick / 4 % alphabet.len()]
                        } else {
                            b'z'
                        }
                    })
                    .collect();
                let slow = bytes
                    .iter()
                    .position(|&c| c < 0x20 || c == b'"' || c == b'\\')
                    .unwrap_or(bytes.len());
                assert_eq!(plain_end(&bytes, 0), slow, "{bytes:?}");
            }
        }
    }
}
