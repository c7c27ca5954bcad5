//! What jq programs compute with: JSON values that count what they cost.

use super::meter::{self, MAX_DEPTH, Stop};
use super::number::Number;
use crate::column::RecordRef;
use crate::limits::Limits;
use crate::scan::{JsonError, JsonFault, Scanner};
use crate::value::{Kind, ValueRef, plain_name};
use crate::write::quote;
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

/// A value. Texts, arrays and objects are shared until they are changed.
#[derive(Debug, Default)]
pub(super) enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Text(Rc<str>),
    Array(Rc<Array>),
    Object(Rc<Object>),
}

/// Items, and how deep they are nested at most, this array counted.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) items: Vec<Value>,
    depth: u32,
}

/// Fields in the order of the record, each name once, and their nesting, this object counted.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) fields: Vec<(Rc<str>, Value)>,
    depth: u32,
}

impl Default for Array {
    fn default() -> Self {
        Self { items: Vec::new(), depth: 1 }
    }
}

impl Default for Object {
    fn default() -> Self {
        Self { fields: Vec::new(), depth: 1 }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        meter::steps(1);
        match self {
            Self::Null => Self::Null,
            Self::Bool(b) => Self::Bool(*b),
            Self::Number(n) => Self::Number(n.clone()),
            Self::Text(t) => Self::Text(Rc::clone(t)),
            Self::Array(a) => Self::Array(Rc::clone(a)),
            Self::Object(o) => Self::Object(Rc::clone(o)),
        }
    }
}

fn around(depth: u32, child: &Value) -> u32 {
    let inner = match child {
        Value::Array(a) => a.depth,
        Value::Object(o) => o.depth,
        _ => 0,
    };
    if inner >= MAX_DEPTH {
        meter::stop(Stop::Depth);
    }
    depth.max(inner + 1)
}

impl Array {
    /// Counts the bytes of `n` more items.
    fn room(&self, n: usize) {
        meter::bytes(n.saturating_mul(size_of::<Value>()));
    }

    pub(super) fn push(&mut self, item: Value) {
        self.room(1);
        self.depth = around(self.depth, &item);
        self.items.push(item);
    }

    /// The array behind `this`, copied when it is shared.
    pub(super) fn owned(self: &mut Rc<Self>) -> &mut Self {
        if Rc::get_mut(self).is_none() {
            meter::steps(self.items.len());
            self.room(self.items.len());
        }
        Rc::make_mut(self)
    }

    /// Nulls behind the last item, until there are `len`.
    pub(super) fn fill(&mut self, len: usize) {
        if let Some(missing) = len.checked_sub(self.items.len()) {
            self.room(missing);
            self.items.resize_with(len, Value::default);
        }
    }

    pub(super) fn put(&mut self, index: usize, item: Value) {
        self.depth = around(self.depth, &item);
        self.items[index] = item;
    }
}

impl FromIterator<Value> for Array {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        let mut array = Self::default();
        for item in items {
            array.push(item);
        }
        array
    }
}

impl Object {
    /// The object behind `this`, copied when it is shared.
    pub(super) fn owned(self: &mut Rc<Self>) -> &mut Self {
        if Rc::get_mut(self).is_none() {
            meter::steps(self.fields.len());
            meter::bytes(self.fields.len() * size_of::<(Rc<str>, Value)>());
        }
        Rc::make_mut(self)
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        meter::steps(self.fields.len() / 16);
        self.fields.iter().position(|(n, _)| &**n == name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.place(name).map(|i| &self.fields[i].1)
    }

    /// Sets `name`, in its place or behind the others.
    pub(super) fn set(&mut self, name: &Rc<str>, value: Value) {
        self.depth = around(self.depth, &value);
        match self.place(name) {
            Some(i) => self.fields[i].1 = value,
            None => self.append(name, value),
        }
    }

    /// Sets `name`, which is known to be new, behind the others.
    pub(super) fn append(&mut self, name: &Rc<str>, value: Value) {
        self.depth = around(self.depth, &value);
        meter::bytes(size_of::<(Rc<str>, Value)>());
        self.fields.push((Rc::clone(name), value));
    }

    /// Of fields read; of a name that stands there twice the last value counts.
    fn of(fields: Vec<(Rc<str>, Value)>) -> Self {
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let unlike = names.is_sorted_by(|a, b| a < b);
        let mut object = Self::default();
        for (name, value) in fields {
            if unlike {
                object.append(&name, value);
            } else {
                object.set(&name, value);
            }
        }
        object
    }

    fn sorted(&self) -> Vec<(&str, &Value)> {
        let mut fields: Vec<(&str, &Value)> = self.fields.iter().map(|(n, v)| (&**n, v)).collect();
        fields.sort_by_key(|(name, _)| *name);
        fields
    }
}

impl Value {
    pub(super) fn text(text: impl Into<Rc<str>> + AsRef<str>) -> Self {
        meter::bytes(text.as_ref().len());
        Self::Text(text.into())
    }

    pub(super) fn array(array: Array) -> Self {
        Self::Array(Rc::new(array))
    }

    pub(super) fn object(object: Object) -> Self {
        Self::Object(Rc::new(object))
    }

    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Number(Number::Int(_)) => Kind::Integer,
            Self::Number(_) => Kind::Float,
            Self::Text(_) => Kind::Text,
            Self::Array(_) => Kind::Array,
            Self::Object(_) => Kind::Object,
        }
    }

    pub(super) fn of_record(record: RecordRef<'_>) -> Self {
        let fields = record.fields().map(|(name, value)| (name.into(), Self::of(value)));
        Self::object(Object::of(fields.collect()))
    }

    /// The value seen; its text is known to be JSON.
    fn of(value: ValueRef<'_>) -> Self {
        meter::steps(1);
        let (raw, limits) = (value.raw(), Limits::default());
        match value.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(raw == "true"),
            Kind::Integer | Kind::Float => Self::Number(Number::of(raw)),
            Kind::Text => Self::text(value.as_str().unwrap_or_default()),
            Kind::Array => {
                let mut array = Array::default();
                // The text was checked when it came in, so the walk does not fail.
                let _ = Scanner::new(raw, &limits).items(|at, end, kind, escaped| {
                    array.push(Self::of(ValueRef::new(&raw[at..end], at, kind, escaped)));
                });
                Self::array(array)
            }
            Kind::Object => {
                let mut fields = Vec::new();
                let _ = Scanner::new(raw, &limits).members(
                    |_, f| {
                        let value = Self::of(ValueRef::of(raw, 0, &f));
                        fields.push((plain_name(raw, &f).into(), value));
                        Ok(())
                    },
                    0,
                );
                Self::object(Object::of(fields))
            }
        }
    }

    /// The JSON value that `text` is.
    pub(super) fn parse(text: &str) -> Result<Self, JsonError> {
        let limits = Limits::default();
        let mut scanner = Scanner::new(text, &limits);
        scanner.space();
        let at = scanner.i;
        let (kind, escaped) = scanner.value()?;
        let end = scanner.i;
        scanner.space();
        if scanner.i < text.len() {
            return Err(JsonError { at: scanner.i, fault: JsonFault::Behind });
        }
        Ok(Self::of(ValueRef::new(&text[at..end], at, kind, escaped)))
    }

    /// Appends it as JSON.
    pub(super) fn write(&self, out: &mut String) {
        meter::steps(1);
        let from = out.len();
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Number(n) => n.write(out),
            Self::Text(t) => quoted(t, out),
            Self::Array(a) => {
                for (i, item) in a.items.iter().enumerate() {
                    out.push(if i == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if a.items.is_empty() { "[]" } else { "]" });
                return;
            }
            Self::Object(o) => {
                for (i, (name, value)) in o.fields.iter().enumerate() {
                    out.push(if i == 0 { '{' } else { ',' });
                    meter::bytes(name.len());
                    quoted(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if o.fields.is_empty() { "{}" } else { "}" });
                return;
            }
        }
        meter::bytes(out.len() - from);
    }

    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    quote(text, out);
    out.push('"');
}

/// What messages of the library show of a value: its kind. Its content is nobody's business there.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

/// jq's order: null, false, true, numbers, texts, arrays, objects.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        meter::steps(1);
        let rank = |v: &Self| match v {
            Self::Null => 0,
            Self::Bool(b) => 1 + u8::from(*b),
            Self::Number(_) => 3,
            Self::Text(_) => 4,
            Self::Array(_) => 5,
            Self::Object(_) => 6,
        };
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Array(a), Self::Array(b)) => a.items.cmp(&b.items),
            (Self::Object(a), Self::Object(b)) => {
                let (a, b) = (a.sorted(), b.sorted());
                let names = a.iter().map(|x| x.0).cmp(b.iter().map(|x| x.0));
                names.then_with(|| a.iter().map(|x| x.1).cmp(b.iter().map(|x| x.1)))
            }
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}
