//! The library's contract for values: how they are taken apart, indexed, changed and made.

use super::meter;
use super::number::Number;
use super::value::{Array, Object, Value};
use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValX};
use std::rc::Rc;

type Fault = Error<Value>;

const ITERABLE: &str = "an array or an object";

/// Where `index` lies in `len` items: negative ones count from the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok().filter(|i| *i < len)
}

/// The items or characters that a range takes of `len`.
fn span(range: Range<&Value>, len: usize) -> Result<std::ops::Range<usize>, Fault> {
    let bound = |v: Option<&Value>, default: usize| match v {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Number(n)) if !n.as_f64().is_nan() => {
            // A start rounds down, an end up, as jq has it; a cast of a float saturates.
            let x = n.as_f64();
            let x = if default == 0 { x.floor() } else { x.ceil() };
            let x = if x < 0.0 { x + len as f64 } else { x };
            Ok((x as usize).min(len))
        }
        Some(v) => Err(Fault::typ(v.clone(), "a bound of a range")),
    };
    let (from, to) = (bound(range.start, 0)?, bound(range.end, len)?);
    Ok(from..to.max(from))
}

/// The bytes of the characters `range` of `text`.
fn bytes_of(text: &str, range: Range<&Value>) -> Result<std::ops::Range<usize>, Fault> {
    meter::steps(text.len() / 16);
    let chars = span(range, text.chars().count())?;
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    Ok(at(chars.start)..at(chars.end))
}

/// The bounds that an object `{start, end}` gives.
fn bounds(object: &Object) -> Range<&Value> {
    object.get("start")..object.get("end")
}

impl Value {
    /// The value at `index`; none where nothing is.
    pub(super) fn at(self, index: &Self) -> Result<Option<Self>, Fault> {
        Ok(match (&self, index) {
            (Self::Null, Self::Number(_) | Self::Text(_) | Self::Null | Self::Object(_)) => None,
            (Self::Object(o), Self::Text(name)) => o.get(name).cloned(),
            (Self::Array(a), Self::Number(n)) => {
                let n = n.as_f64().floor();
                place(n as i64, a.items.len()).filter(|_| !n.is_nan()).map(|i| a.items[i].clone())
            }
            (Self::Array(_), Self::Array(_)) => Some(self.indices(index)?),
            (Self::Array(_) | Self::Text(_), Self::Object(o)) => {
                return jaq_core::ValT::range(self, bounds(o)).map(Some);
            }
            _ => return Err(Fault::index(self, index.clone())),
        })
    }
}

/// The first result of `f`, which an update takes.
fn first<'a, I: Iterator<Item = ValX<'a, Value>>>(
    f: impl Fn(Value) -> I,
    v: Value,
) -> Result<Option<Value>, Exn<'a, Value>> {
    f(v).next().transpose()
}

impl jaq_core::ValT for Value {
    fn from_num(n: &str) -> ValR<Self> {
        let whole = n.parse().ok().map(Number::Int);
        let number = whole.or_else(|| n.parse().ok().map(Number::Float));
        number.map(Self::Number).ok_or_else(|| Fault::str("not a number"))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(pairs: I) -> ValR<Self> {
        let mut object = Object::default();
        for (name, value) in pairs {
            match name {
                Self::Text(name) => object.set(&name, value),
                other => return Err(Fault::typ(other, "a field name")),
            }
        }
        Ok(Self::object(object))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::Array(a) => {
                let pair = |i: usize, v: &Self| (Self::from(i as isize), v.clone());
                let n = a.items.len();
                Box::new((0..n).map(move |i| Ok(pair(i, &a.items[i]))))
            }
            Self::Object(o) => {
                let n = o.fields.len();
                Box::new((0..n).map(move |i| {
                    let (name, value) = &o.fields[i];
                    Ok((Self::Text(Rc::clone(name)), value.clone()))
                }))
            }
            other => box_once(Err(Fault::typ(other, ITERABLE))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Self::Array(a) => {
                let n = a.items.len();
                Box::new((0..n).map(move |i| Ok(a.items[i].clone())))
            }
            Self::Object(o) => {
                let n = o.fields.len();
                Box::new((0..n).map(move |i| Ok(o.fields[i].1.clone())))
            }
            other => box_once(Err(Fault::typ(other, ITERABLE))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        self.at(index).map(Option::unwrap_or_default)
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        match self {
            Self::Null => Ok(Self::Null),
            Self::Text(t) => {
                let bytes = bytes_of(&t, range)?;
                Ok(Self::text(&t[bytes]))
            }
            Self::Array(a) => {
                let items = span(range, a.items.len())?;
                Ok(a.items[items].iter().cloned().collect())
            }
            other => Err(Fault::typ(other, "an array or a text")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Array(a) => {
                let mut changed = Array::default();
                for item in a.items.iter().cloned().flat_map(f) {
                    changed.push(item?);
                }
                Ok(Self::array(changed))
            }
            Self::Object(o) => {
                let mut changed = Object::default();
                for (name, value) in &o.fields {
                    if let Some(value) = first(&f, value.clone())? {
                        changed.append(name, value);
                    }
                }
                Ok(Self::object(changed))
            }
            other => opt.fail(other, |v| Fault::typ(v, ITERABLE).into()),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self, index) {
            (v @ (Self::Array(_) | Self::Text(_)), Self::Object(o)) => {
                v.map_range(bounds(o), opt, f)
            }
            (Self::Null, Self::Text(_)) => Self::object(Object::default()).map_index(index, opt, f),
            (Self::Null, Self::Number(_)) => Self::array(Array::default()).map_index(index, opt, f),
            (Self::Object(mut o), Self::Text(name)) => {
                let object = o.owned();
                let old = object.place(name).map(|i| std::mem::take(&mut object.fields[i].1));
                match first(f, old.unwrap_or_default())? {
                    Some(value) => object.set(name, value),
                    None => object.fields.retain(|(n, _)| n != name),
                }
                Ok(Self::Object(o))
            }
            (Self::Array(mut a), Self::Number(n)) => {
                let len = a.items.len();
                let wanted = n.as_i64();
                let inside = wanted.and_then(|i| place(i, len));
                // Behind the end there are nulls, as in jq; before the start there is nothing.
                let beyond = wanted.and_then(|i| usize::try_from(i).ok());
                let Some(i) = inside.or(beyond) else {
                    return opt.fail(Self::Array(a), |v| Fault::index(v, index.clone()).into());
                };
                let array = a.owned();
                let old = inside.map(|i| std::mem::take(&mut array.items[i]));
                match first(f, old.unwrap_or_default())? {
                    Some(value) => {
                        array.fill(i + 1);
                        array.put(i, value);
                    }
                    None if inside.is_some() => drop(array.items.remove(i)),
                    None => {}
                }
                Ok(Self::Array(a))
            }
            (other, _) => opt.fail(other, |v| Fault::index(v, index.clone()).into()),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Array(a) => {
                let items = match span(range, a.items.len()) {
                    Ok(items) => items,
                    Err(e) => return opt.fail(Self::Array(a), |_| e.into()),
                };
                let part = a.items[items.clone()].iter().cloned().collect();
                let middle = match first(f, part)? {
                    None => Rc::default(),
                    Some(Self::Array(middle)) => middle,
                    Some(other) => return Err(Fault::typ(other, "an array").into()),
                };
                let (before, behind) = (&a.items[..items.start], &a.items[items.end..]);
                Ok(before.iter().chain(&middle.items).chain(behind).cloned().collect())
            }
            Self::Text(t) => {
                let bytes = match bytes_of(&t, range) {
                    Ok(bytes) => bytes,
                    Err(e) => return opt.fail(Self::Text(t), |_| e.into()),
                };
                let middle = match first(f, Self::text(&t[bytes.clone()]))? {
                    None => "".into(),
                    Some(Self::Text(middle)) => middle,
                    Some(other) => return Err(Fault::typ(other, "a text").into()),
                };
                Ok(Self::text([&t[..bytes.start], &middle, &t[bytes.end..]].concat()))
            }
            other => opt.fail(other, |v| Fault::typ(v, "an array or a text").into()),
        }
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(_) => self,
            other => Self::text(other.to_json()),
        }
    }
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Array(a) => Ok(match Rc::try_unwrap(a) {
                Ok(a) => a.items.into_iter().collect(),
                Err(a) => a.items.iter().cloned().collect(),
            }),
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Number(n) if n.is_int())
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Number(Number::Int(i)) => isize::try_from(*i).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(n.as_f64()),
            _ => None,
        }
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(t) => Some(t.as_bytes()),
            _ => None,
        }
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self::text(String::from_utf8_lossy(sub))
    }

    fn from_utf8_bytes(b: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(String::from_utf8_lossy(b.as_ref()))
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<isize> for Value {
    fn from(n: isize) -> Self {
        Self::Number(Number::Int(n as i64))
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Self::Number(i64::try_from(n).map_or(Number::Float(n as f64), Number::Int))
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Self::Number(Number::Float(x))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Range<Self>> for Value {
    fn from(range: Range<Self>) -> Self {
        let mut object = Object::default();
        for (name, bound) in [("start", range.start), ("end", range.end)] {
            if let Some(bound) = bound {
                object.set(&name.into(), bound);
            }
        }
        Self::object(object)
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self::array(items.into_iter().collect())
    }
}
