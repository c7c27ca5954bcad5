//! Field operations: what a pipeline file does to a record before it goes on.
//!
//! Operations are data; an [`Editor`] applies a list of them to one record after another. It works
//! on a list of spans and writes the record once at the end, so that ten operations copy what is
//! kept as often as one does.

use crate::column::{RecordColumn, RecordRef};
use crate::scan::Field;
use crate::template::Template;
use crate::time::parse_time;
use crate::value::{Kind, ValueRef, name_is};
use crate::write::{float, quote};
use flux_io_core::{Column, RowError};
use std::fmt::Write as _;

/// One operation on the fields of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldOp {
    /// Only these stay, in this order; those that are absent are skipped.
    Select(Vec<String>),
    /// These go.
    Drop(Vec<String>),
    /// `from` is called `to`; another field `to` goes. Nothing happens when `from` is absent.
    Rename {
        /// The field.
        from: String,
        /// Its new name.
        to: String,
    },
    /// The value becomes another kind. Nothing happens when the field is absent or null; an empty
    /// text becomes null, except as text.
    Cast {
        /// The field.
        field: String,
        /// What it becomes.
        to: CastTo,
    },
    /// The field gets this value; it is added behind the others when it is new.
    Set {
        /// The field.
        field: String,
        /// Its value.
        to: SetTo,
    },
    /// An RFC 3339 instant or a date becomes nanoseconds since 1970. Nothing happens when the
    /// field is absent or null.
    ParseTime {
        /// The field with the text.
        field: String,
        /// The field that gets the number; the same one when `None`.
        into: Option<String>,
    },
}

/// What a cast makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastTo {
    /// A text: numbers and booleans as they stand.
    Text,
    /// An integer of 64 bits: from a text of digits, or a number without a fraction.
    Integer,
    /// A number.
    Float,
    /// A boolean: from the texts `true` and `false`.
    Bool,
}

/// What a field is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum SetTo {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A number; null when not finite.
    Float(f64),
    /// A text made of fields; all of them must be there.
    Text(Template),
}

/// A piece of text: of the record, or of the editor's scratch.
#[derive(Clone, Copy, Debug)]
struct Piece {
    scratch: bool,
    at: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Piece,
    name_escaped: bool,
    value: Piece,
    kind: Kind,
    escaped: bool,
}

/// Applies a list of operations, in order.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    ops: Vec<FieldOp>,
    slots: Vec<Slot>,
    scratch: String,
    shown: String,
}

impl Editor {
    /// An editor of these operations.
    #[must_use]
    pub fn new(ops: Vec<FieldOp>) -> Self {
        Self { ops, ..Self::default() }
    }

    /// Its operations.
    #[must_use]
    pub fn ops(&self) -> &[FieldOp] {
        &self.ops
    }

    /// Adds to `out` what the operations make of `record`. When one fails, `out` is as before.
    ///
    /// # Errors
    /// Cause type, when a value cannot be cast, is no time, or a template's field is absent.
    pub fn apply(&mut self, record: RecordRef<'_>, out: &mut RecordColumn) -> Result<(), RowError> {
        if self.ops.is_empty() {
            let text = record.text();
            return if out.push(record) { Ok(()) } else { out.push_with(|_| full(text)) };
        }
        let mut work = Work {
            record,
            slots: &mut self.slots,
            scratch: &mut self.scratch,
            shown: &mut self.shown,
        };
        work.load();
        for op in &self.ops {
            work.edit(op)?;
        }
        out.push_with(|draft| {
            for slot in work.slots.iter() {
                let value = work.text(slot.value);
                let value = ValueRef::new(value, 0, slot.kind, slot.escaped);
                draft.copied(work.text(slot.name), slot.name_escaped, value);
            }
            Ok(())
        })
    }

    /// Applies the operations to all of `input`, in order; a record that fails is given to `bad`
    /// with its row number, and is left out.
    pub fn apply_all(
        &mut self,
        input: &RecordColumn,
        out: &mut RecordColumn,
        mut bad: impl FnMut(usize, RowError),
    ) {
        for i in 0..input.rows() {
            if let Err(error) = self.apply(input.row(i), out) {
                bad(i, error);
            }
        }
    }
}

#[cold]
fn full(text: &str) -> Result<(), RowError> {
    let bytes = text.len();
    Err(RowError::new(
        flux_io_core::DeadCause::Oversize,
        format!("the batch has no room for {bytes} bytes more"),
    ))
}

struct Work<'a> {
    record: RecordRef<'a>,
    slots: &'a mut Vec<Slot>,
    scratch: &'a mut String,
    shown: &'a mut String,
}

impl Work<'_> {
    fn load(&mut self) {
        self.scratch.clear();
        self.slots.clear();
        self.slots.extend(self.record.spans().iter().map(|f| Slot {
            name: Piece { scratch: false, at: f.name_at as usize, end: f.name_end as usize },
            name_escaped: f.name_escaped,
            value: Piece { scratch: false, at: f.value_at as usize, end: f.value_end as usize },
            kind: f.kind,
            escaped: f.escaped,
        }));
    }

    fn text(&self, piece: Piece) -> &str {
        let text = if piece.scratch { self.scratch.as_str() } else { self.record.text() };
        &text[piece.at..piece.end]
    }

    fn is_called(&self, slot: &Slot, name: &str) -> bool {
        let field = Field {
            name_at: slot.name.at as u32,
            name_end: slot.name.end as u32,
            value_at: 0,
            value_end: 0,
            kind: slot.kind,
            name_escaped: slot.name_escaped,
            escaped: false,
        };
        let text = if slot.name.scratch { self.scratch.as_str() } else { self.record.text() };
        name_is(text, &field, name)
    }

    /// The slot that counts for `name`: the last one.
    fn find(&self, name: &str) -> Option<usize> {
        self.slots.iter().rposition(|slot| self.is_called(slot, name))
    }

    fn value(&self, slot: &Slot) -> ValueRef<'_> {
        let at = if slot.value.scratch { 0 } else { slot.value.at };
        ValueRef::new(self.text(slot.value), at, slot.kind, slot.escaped)
    }

    /// Removes the slots called `name`, except number `keep`.
    fn remove(&mut self, name: &str, keep: Option<usize>) {
        for i in (0..self.slots.len()).rev() {
            if Some(i) != keep && self.is_called(&self.slots[i], name) {
                self.slots.remove(i);
            }
        }
    }

    fn edit(&mut self, op: &FieldOp) -> Result<(), RowError> {
        match op {
            FieldOp::Select(names) => {
                let found: Vec<Slot> =
                    names.iter().filter_map(|n| self.find(n)).map(|i| self.slots[i]).collect();
                *self.slots = found;
            }
            FieldOp::Drop(names) => names.iter().for_each(|name| self.remove(name, None)),
            FieldOp::Rename { from, to } => {
                if from != to && self.find(from).is_some() {
                    self.remove(to, None);
                    self.remove(from, self.find(from));
                    if let Some(i) = self.find(from) {
                        let (name, name_escaped) = self.write_name(to);
                        self.slots[i].name = name;
                        self.slots[i].name_escaped = name_escaped;
                    }
                }
            }
            FieldOp::Cast { field, to } => {
                if let Some(i) = self.find(field) {
                    self.cast(i, field, *to)?;
                }
            }
            FieldOp::Set { field, to } => self.set(field, to)?,
            FieldOp::ParseTime { field, into } => self.parse_time(field, into.as_deref())?,
        }
        Ok(())
    }

    fn write_name(&mut self, name: &str) -> (Piece, bool) {
        let at = self.scratch.len();
        let escaped = quote(name, self.scratch);
        (Piece { scratch: true, at, end: self.scratch.len() }, escaped)
    }

    /// Gives field `name` the value that `write` appends.
    fn assign(&mut self, name: &str, write: impl FnOnce(&mut String) -> (Kind, bool)) {
        let at = self.scratch.len();
        let (kind, escaped) = write(self.scratch);
        let value = Piece { scratch: true, at, end: self.scratch.len() };
        match self.find(name) {
            Some(i) => {
                let slot = &mut self.slots[i];
                (slot.value, slot.kind, slot.escaped) = (value, kind, escaped);
            }
            None => {
                let (name, name_escaped) = self.write_name(name);
                self.slots.push(Slot { name, name_escaped, value, kind, escaped });
            }
        }
    }

    fn cast(&mut self, i: usize, field: &str, to: CastTo) -> Result<(), RowError> {
        let slot = self.slots[i];
        let value = self.value(&slot);
        let text = value.as_str();
        if value.is_null() {
            return Ok(());
        }
        if to != CastTo::Text && text.as_deref() == Some("") {
            self.assign(field, |t| {
                t.push_str("null");
                (Kind::Null, false)
            });
            return Ok(());
        }
        match to {
            CastTo::Text => {
                if text.is_some() {
                    return Ok(());
                }
                if matches!(slot.kind, Kind::Array | Kind::Object) {
                    return Err(value.wrong_type(field, "a value that can become a text"));
                }
                let raw = value.raw().to_owned();
                self.assign(field, |t| {
                    let _ = write!(t, "\"{raw}\"");
                    (Kind::Text, false)
                });
            }
            CastTo::Integer => {
                let number = match &text {
                    Some(text) => text.parse().ok(),
                    None => value.as_i64().or_else(|| whole(value.as_f64()?)),
                };
                let expected = "an integer of 64 bits or a text of one";
                let n: i64 = number.ok_or_else(|| value.wrong_type(field, expected))?;
                self.assign(field, |t| {
                    let _ = write!(t, "{n}");
                    (Kind::Integer, false)
                });
            }
            CastTo::Float => {
                let number = match &text {
                    Some(text) => text.parse::<f64>().ok().filter(|x| x.is_finite()),
                    None => value.as_f64(),
                };
                let x =
                    number.ok_or_else(|| value.wrong_type(field, "a number or a text of one"))?;
                self.assign(field, |t| {
                    float(x, t);
                    (Kind::Float, false)
                });
            }
            CastTo::Bool => {
                let known = match text.as_deref() {
                    Some("true") => Some(true),
                    Some("false") => Some(false),
                    _ => value.as_bool(),
                };
                let expected = "a boolean or the text `true` or `false`";
                let b = known.ok_or_else(|| value.wrong_type(field, expected))?;
                self.assign(field, |t| {
                    let _ = write!(t, "{b}");
                    (Kind::Bool, false)
                });
            }
        }
        Ok(())
    }

    fn set(&mut self, field: &str, to: &SetTo) -> Result<(), RowError> {
        match to {
            SetTo::Null => self.assign(field, |t| {
                t.push_str("null");
                (Kind::Null, false)
            }),
            SetTo::Bool(b) => self.assign(field, |t| {
                let _ = write!(t, "{b}");
                (Kind::Bool, false)
            }),
            SetTo::Integer(n) => {
                self.assign(field, |t| {
                    let _ = write!(t, "{n}");
                    (Kind::Integer, false)
                });
            }
            SetTo::Float(x) if x.is_finite() => {
                self.assign(field, |t| {
                    float(*x, t);
                    (Kind::Float, false)
                });
            }
            SetTo::Float(_) => self.assign(field, |t| {
                t.push_str("null");
                (Kind::Null, false)
            }),
            SetTo::Text(template) => {
                let mut shown = std::mem::take(self.shown);
                shown.clear();
                let rendered = template.render_with(|path| self.find_path(path), &mut shown);
                if rendered.is_ok() {
                    self.assign(field, |t| {
                        t.push('"');
                        let escaped = quote(&shown, t);
                        t.push('"');
                        (Kind::Text, escaped)
                    });
                }
                *self.shown = shown;
                rendered?;
            }
        }
        Ok(())
    }

    fn find_path(&self, path: &crate::Path) -> Option<ValueRef<'_>> {
        let first = self.value(&self.slots[self.find(&path.first)?]);
        path.rest.iter().try_fold(first, |value, step| value.step(step))
    }

    fn parse_time(&mut self, field: &str, into: Option<&str>) -> Result<(), RowError> {
        let Some(i) = self.find(field) else { return Ok(()) };
        let value = self.value(&self.slots[i]);
        if value.is_null() {
            return Ok(());
        }
        let text = value.as_str().ok_or_else(|| value.wrong_type(field, "a time as text"))?;
        let ns = parse_time(&text).map_err(|e| {
            RowError::wrong_type(format!("field `{field}` at byte {}: {e}", value.at() + 1))
        })?;
        self.assign(into.unwrap_or(field), |t| {
            let _ = write!(t, "{ns}");
            (Kind::Integer, false)
        });
        Ok(())
    }
}

/// A float as the integer it is, when it is one that fits.
pub(crate) fn whole(x: f64) -> Option<i64> {
    // 2^63 as a float; every float below it converts exactly.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (x.fract() == 0.0 && (-LIMIT..LIMIT).contains(&x)).then_some(x as i64)
}
