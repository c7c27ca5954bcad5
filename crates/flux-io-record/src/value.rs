//! A value seen in a record's text, and typed access to it.

use crate::limits::Limits;
use crate::path::Step;
use crate::scan::{Field, Scanner};
use flux_io_core::RowError;
use std::borrow::Cow;
use std::fmt;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Float,
    /// A text.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Integer => "an integer",
            Self::Float => "a number with a fraction",
            Self::Text => "a text",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// A value in a record: a span of its text that is known to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueRef<'a> {
    raw: &'a str,
    at: usize,
    kind: Kind,
    escaped: bool,
}

impl<'a> ValueRef<'a> {
    pub(crate) const fn new(raw: &'a str, at: usize, kind: Kind, escaped: bool) -> Self {
        Self { raw, at, kind, escaped }
    }

    pub(crate) fn of(text: &'a str, base: usize, f: &Field) -> Self {
        let raw = &text[f.value_at as usize..f.value_end as usize];
        Self::new(raw, base + f.value_at as usize, f.kind, f.escaped)
    }

    /// Its JSON text, as it came.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// Where it starts in its record, in bytes from 0.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) const fn escaped(&self) -> bool {
        self.escaped
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// A text's content: borrowed when it has no escapes.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        if self.kind != Kind::Text {
            return None;
        }
        let inner = &self.raw[1..self.raw.len() - 1];
        Some(if self.escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) })
    }

    /// An integer that fits; `1.0` is none.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if self.kind == Kind::Integer { self.raw.parse().ok() } else { None }
    }

    /// An integer of at least 0 that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if self.kind == Kind::Integer { self.raw.parse().ok() } else { None }
    }

    /// A number as the nearest float.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self.kind {
            Kind::Integer | Kind::Float => self.raw.parse().ok(),
            _ => None,
        }
    }

    /// A boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind == Kind::Bool).then(|| self.raw == "true")
    }

    /// The field `name` of an object; the last one when it stands there twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        if self.kind != Kind::Object {
            return None;
        }
        let (raw, at) = (self.raw, self.at);
        let mut found = None;
        let limits = Limits::default();
        let walked = Scanner::new(raw, &limits).members(
            |_, f| {
                if name_is(raw, &f, name) {
                    found = Some(ValueRef::of(raw, at, &f));
                }
                Ok(())
            },
            0,
        );
        walked.ok()?;
        found
    }

    /// Item `index` of an array, from 0.
    #[must_use]
    pub fn item(&self, index: usize) -> Option<ValueRef<'a>> {
        if self.kind != Kind::Array {
            return None;
        }
        let (raw, base) = (self.raw, self.at);
        let (mut n, mut found) = (0, None);
        let limits = Limits::default();
        let walked = Scanner::new(raw, &limits).items(|at, end, kind, escaped| {
            if n == index {
                found = Some(ValueRef::new(&raw[at..end], base + at, kind, escaped));
            }
            n += 1;
        });
        walked.ok()?;
        found
    }

    pub(crate) fn step(&self, step: &Step) -> Option<ValueRef<'a>> {
        match step {
            Step::Name(name) => self.get(name),
            Step::Index(index) => self.item(*index),
        }
    }

    /// The error of a value that should have been something else. It names the field, the place
    /// and the kinds, never the content.
    #[must_use]
    pub fn wrong_type(&self, field: &str, expected: &str) -> RowError {
        let (kind, byte) = (self.kind, self.at + 1);
        RowError::wrong_type(format!(
            "field `{field}` at byte {byte}: expected {expected}, found {kind}"
        ))
    }
}

/// Whether field `f` of the object `text` is called `name`.
#[inline]
pub(crate) fn name_is(text: &str, f: &Field, name: &str) -> bool {
    let bytes = &text.as_bytes()[f.name_at as usize..f.name_end as usize];
    if f.name_escaped {
        unescape(&text[f.name_at as usize..f.name_end as usize]) == name
    } else {
        bytes == name.as_bytes()
    }
}

/// A name without its escapes.
pub(crate) fn plain_name<'a>(text: &'a str, f: &Field) -> Cow<'a, str> {
    let name = &text[f.name_at as usize..f.name_end as usize];
    if f.name_escaped { Cow::Owned(unescape(name)) } else { Cow::Borrowed(name) }
}

/// The content of a checked JSON text, given without its quotes.
pub(crate) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut used = 2;
        match code {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let high = hex4(rest, at + 2);
                used = 6;
                let code = if (0xD800..0xDC00).contains(&high) {
                    used = 12;
                    0x10000
                        + ((high - 0xD800) << 10)
                        + (hex4(rest, at + 8).wrapping_sub(0xDC00) & 0x3FF)
                } else {
                    high
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => out.push(char::from(other)),
        }
        rest = rest.get(at + used..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

fn hex4(text: &str, at: usize) -> u32 {
    text.get(at..at + 4).and_then(|h| u32::from_str_radix(h, 16).ok()).unwrap_or(0xFFFD)
}
