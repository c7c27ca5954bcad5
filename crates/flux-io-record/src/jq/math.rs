//! Arithmetic of jq programs, on numbers and on what jq adds, multiplies and divides besides.

use super::meter;
use super::number::Number;
use super::value::{Array, Object, Value};
use jaq_core::ops::Math;
use jaq_core::{Error, ValR};
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

fn fault(a: Value, op: Math, b: Value) -> ValR<Value> {
    Err(Error::math(a, op, b))
}

impl Add for Value {
    type Output = ValR<Self>;
    fn add(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Null, v) | (v, Self::Null) => Ok(v),
            (Self::Number(a), Self::Number(b)) => {
                Ok(Self::Number(a.math(&b, i64::checked_add, |a, b| a + b)))
            }
            (Self::Text(a), Self::Text(b)) => {
                meter::bytes(a.len() + b.len());
                Ok(Self::text([&*a, &*b].concat()))
            }
            (Self::Array(mut a), Self::Array(b)) => {
                let items = a.owned();
                for item in &b.items {
                    items.push(item.clone());
                }
                Ok(Self::Array(a))
            }
            (Self::Object(mut a), Self::Object(b)) => {
                let fields = a.owned();
                for (name, value) in &b.fields {
                    fields.set(name, value.clone());
                }
                Ok(Self::Object(a))
            }
            (a, b) => fault(a, Math::Add, b),
        }
    }
}

impl Sub for Value {
    type Output = ValR<Self>;
    fn sub(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => {
                Ok(Self::Number(a.math(&b, i64::checked_sub, |a, b| a - b)))
            }
            (Self::Array(a), Self::Array(b)) => {
                Ok(a.items.iter().filter(|item| !b.items.contains(item)).cloned().collect())
            }
            (a, b) => fault(a, Math::Sub, b),
        }
    }
}

/// Fields of `b` over those of `a`, objects inside each other merged.
fn merge(mut a: Rc<Object>, b: &Object) -> Rc<Object> {
    let fields = a.owned();
    for (name, value) in &b.fields {
        let merged = match (fields.get(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                Value::Object(merge(Rc::clone(old), new))
            }
            _ => value.clone(),
        };
        fields.set(name, merged);
    }
    a
}

impl Mul for Value {
    type Output = ValR<Self>;
    fn mul(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => {
                Ok(Self::Number(a.math(&b, i64::checked_mul, |a, b| a * b)))
            }
            (Self::Text(t), Self::Number(n)) | (Self::Number(n), Self::Text(t)) => {
                let times = n.as_f64();
                if times.is_nan() || times <= 0.0 {
                    return Ok(Self::Null);
                }
                // A part of a time is one, as in jq; the cast saturates.
                let times = times.max(1.0) as usize;
                meter::bytes(t.len().saturating_mul(times));
                Ok(Self::text(t.repeat(if t.is_empty() { 0 } else { times })))
            }
            (Self::Object(a), Self::Object(b)) => Ok(Self::Object(merge(a, &b))),
            (a, b) => fault(a, Math::Mul, b),
        }
    }
}

impl Div for Value {
    type Output = ValR<Self>;
    fn div(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => {
                let whole = |a: i64, b: i64| match a.checked_rem(b) {
                    Some(0) => a.checked_div(b),
                    _ => None,
                };
                Ok(Self::Number(a.math(&b, whole, |a, b| a / b)))
            }
            (Self::Text(a), Self::Text(b)) => {
                meter::steps(a.len() / 16);
                let mut parts = Array::default();
                if b.is_empty() {
                    let mut utf8 = [0; 4];
                    a.chars().for_each(|c| parts.push(Self::text(&*c.encode_utf8(&mut utf8))));
                } else if !a.is_empty() {
                    a.split(&*b).for_each(|part| parts.push(Self::text(part)));
                }
                Ok(Self::array(parts))
            }
            (a, b) => fault(a, Math::Div, b),
        }
    }
}

impl Rem for Value {
    type Output = ValR<Self>;
    /// Of the whole parts, as jq has it; the sign is the first one's.
    fn rem(self, other: Self) -> ValR<Self> {
        match (&self, &other) {
            (Self::Number(a), Self::Number(b)) => {
                let (x, y) = (a.as_f64(), b.as_f64());
                if x.is_nan() || y.is_nan() {
                    return Ok(Self::from(f64::NAN));
                }
                // A cast of a float saturates.
                let int = |n: &Number| n.as_i64().unwrap_or(n.as_f64() as i64);
                match int(b) {
                    0 => fault(self, Math::Rem, other),
                    b => Ok(Self::Number(Number::Int(int(a).checked_rem(b).unwrap_or(0)))),
                }
            }
            _ => fault(self, Math::Rem, other),
        }
    }
}

impl Neg for Value {
    type Output = ValR<Self>;
    fn neg(self) -> ValR<Self> {
        match self {
            Self::Number(n) => {
                Ok(Self::Number(Number::Int(0).math(&n, |_, n| n.checked_neg(), |_, n| -n)))
            }
            other => Err(Error::typ(other, "a number")),
        }
    }
}
