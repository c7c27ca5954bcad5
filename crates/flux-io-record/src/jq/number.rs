//! Numbers of jq programs: whole ones exactly, others as floats, and what is only passed on as the
//! text it came as.

use crate::write::float;
use std::cmp::Ordering;
use std::fmt::Write as _;
use std::rc::Rc;

#[derive(Clone, Debug)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
    /// A number of a record that is none of the above without a change of its text.
    Text(Rc<str>),
}

impl Number {
    /// The number that the JSON text `raw` is.
    pub(super) fn of(raw: &str) -> Self {
        raw.parse().map_or_else(|_| Self::Text(raw.into()), Self::Int)
    }

    pub(super) fn as_f64(&self) -> f64 {
        match self {
            Self::Int(i) => *i as f64,
            Self::Float(x) => *x,
            Self::Text(raw) => raw.parse().unwrap_or(f64::NAN),
        }
    }

    /// A whole number that fits, whatever it is written as.
    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            _ => crate::ops::whole(self.as_f64()),
        }
    }

    pub(super) const fn is_int(&self) -> bool {
        matches!(self, Self::Int(_))
    }

    /// Appends it as JSON; what JSON cannot say is null, as jq has it.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            // Writing to a String cannot fail.
            Self::Int(i) => drop(write!(out, "{i}")),
            Self::Float(x) if !x.is_finite() => out.push_str("null"),
            // As jq writes it: a whole result of a division is 2, not 2.0.
            Self::Float(x) => match crate::ops::whole(*x) {
                Some(i) if i.unsigned_abs() < 1 << 53 => drop(write!(out, "{i}")),
                _ => float(*x, out),
            },
            Self::Text(raw) => out.push_str(raw),
        }
    }

    /// `exact` on whole numbers where it stays one, otherwise `rough` on floats.
    pub(super) fn math(
        &self,
        other: &Self,
        exact: fn(i64, i64) -> Option<i64>,
        rough: fn(f64, f64) -> f64,
    ) -> Self {
        if let (Self::Int(a), Self::Int(b)) = (self, other)
            && let Some(c) = exact(*a, *b)
        {
            return Self::Int(c);
        }
        Self::Float(rough(self.as_f64(), other.as_f64()))
    }
}

/// A total order by value: not a number comes first and equals itself, -0 equals 0.
impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Int(a), b) => int_float(*a, b.as_f64()),
            (a, Self::Int(b)) => int_float(*b, a.as_f64()).reverse(),
            (a, b) => {
                let (a, b) = (a.as_f64(), b.as_f64());
                a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
            }
        }
    }
}

/// Exactly: a float beyond 2^53 is not what an integer near it is rounded to.
fn int_float(a: i64, b: f64) -> Ordering {
    // 2^63 as a float.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() || b < -LIMIT {
        Ordering::Greater
    } else if b >= LIMIT {
        Ordering::Less
    } else {
        let part = 0.0_f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal);
        a.cmp(&(b.trunc() as i64)).then(part)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}
