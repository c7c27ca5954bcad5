//! Writing a record field by field, its spans noted as it is written.

use crate::scan::Field;
use crate::value::{Kind, ValueRef};
use crate::write::{float, quote};
use std::fmt::Write as _;

/// A record being written at the end of an arena. Names are not checked for repetition: as in any
/// record, the last one counts.
#[derive(Debug)]
pub struct RowDraft<'a> {
    text: &'a mut String,
    fields: &'a mut Vec<Field>,
    base: usize,
}

impl<'a> RowDraft<'a> {
    pub(crate) fn begin(text: &'a mut String, fields: &'a mut Vec<Field>) -> Self {
        let base = text.len();
        text.push('{');
        Self { text, fields, base }
    }

    pub(crate) fn end(self) {
        self.text.push('}');
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() - self.base
    }

    /// Writes one field: `name` writes the name without quotes and says whether it has escapes,
    /// `value` writes the value and says what it is.
    fn field(
        &mut self,
        name: impl FnOnce(&mut String) -> bool,
        value: impl FnOnce(&mut String) -> (Kind, bool),
    ) {
        let first = self.text.len() - self.base == 1;
        self.text.push_str(if first { "\"" } else { ",\"" });
        let name_at = self.text.len() - self.base;
        let name_escaped = name(self.text);
        let name_end = self.text.len() - self.base;
        self.text.push_str("\":");
        let value_at = self.text.len() - self.base;
        let (kind, escaped) = value(self.text);
        self.fields.push(Field {
            name_at: name_at as u32,
            name_end: name_end as u32,
            value_at: value_at as u32,
            value_end: (self.text.len() - self.base) as u32,
            kind,
            name_escaped,
            escaped,
        });
    }

    /// A field whose name and value are copied from a record as they stand.
    pub(crate) fn copied(&mut self, name: &str, name_escaped: bool, value: ValueRef<'_>) {
        self.field(
            |t| {
                t.push_str(name);
                name_escaped
            },
            |t| {
                t.push_str(value.raw());
                (value.kind(), value.escaped())
            },
        );
    }

    /// A text.
    pub fn str(&mut self, name: &str, value: &str) -> &mut Self {
        self.field(
            |t| quote(name, t),
            |t| {
                t.push('"');
                let escaped = quote(value, t);
                t.push('"');
                (Kind::Text, escaped)
            },
        );
        self
    }

    /// An integer.
    pub fn i64(&mut self, name: &str, value: i64) -> &mut Self {
        self.shown(name, value, Kind::Integer)
    }

    /// An integer of at least 0.
    pub fn u64(&mut self, name: &str, value: u64) -> &mut Self {
        self.shown(name, value, Kind::Integer)
    }

    /// A boolean.
    pub fn bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.shown(name, value, Kind::Bool)
    }

    /// `null`.
    pub fn null(&mut self, name: &str) -> &mut Self {
        self.shown(name, "null", Kind::Null)
    }

    /// A number; `null` when it is not finite, which JSON cannot say.
    pub fn f64(&mut self, name: &str, value: f64) -> &mut Self {
        if !value.is_finite() {
            return self.null(name);
        }
        self.field(
            |t| quote(name, t),
            |t| {
                float(value, t);
                (Kind::Float, false)
            },
        );
        self
    }

    /// A value of another record, as it stands.
    pub fn value(&mut self, name: &str, value: ValueRef<'_>) -> &mut Self {
        self.field(
            |t| quote(name, t),
            |t| {
                t.push_str(value.raw());
                (value.kind(), value.escaped())
            },
        );
        self
    }

    fn shown(&mut self, name: &str, value: impl std::fmt::Display, kind: Kind) -> &mut Self {
        self.field(
            |t| quote(name, t),
            |t| {
                // Writing to a String cannot fail.
                let _ = write!(t, "{value}");
                (kind, false)
            },
        );
        self
    }
}
