//! Filters by comparison: `dep_delay > 15 and (carrier == "UA" or not cancelled)`.

mod parse;

use crate::column::RecordRef;
use crate::path::Path;
use crate::value::{Kind, ValueRef};
use flux_io_core::RowError;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A filter as data.
///
/// A field that is absent counts as `null`. `==` and `!=` hold or fail between any kinds (values
/// of different kinds differ); the four orderings are for two numbers or two texts, false when the
/// field is `null`, and an error for other kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// `field op literal`.
    Is {
        /// The field.
        path: Path,
        /// The comparison.
        compare: Compare,
        /// What it is compared with.
        with: Literal,
    },
    /// A field alone: it must be a boolean, or absent or null (then false).
    Field(Path),
    /// `has field`: it is there and not null.
    Has(Path),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// At least one.
    Or(Box<Filter>, Box<Filter>),
    /// The opposite.
    Not(Box<Filter>),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `==`.
    Equal,
    /// `!=`.
    Unequal,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    Greater,
    /// `>=`.
    AtLeast,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Another number.
    Float(f64),
    /// A text in single or double quotes; compared bytewise.
    Text(String),
}

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("filter, character {}: {what}", at + 1)]
pub struct FilterError {
    /// Offset in bytes, from 0.
    pub at: usize,
    /// What is wrong and what to write.
    pub what: String,
}

impl Filter {
    /// Reads a filter. `not` binds tighter than `and`, `and` tighter than `or`.
    ///
    /// # Errors
    /// [`FilterError`] with the place.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::filter(text)
    }

    /// Whether `record` passes.
    ///
    /// # Errors
    /// Cause type: an ordering between kinds that have none, or a bare field that is no boolean.
    pub fn passes(&self, record: RecordRef<'_>) -> Result<bool, RowError> {
        match self {
            Self::Is { path, compare, with } => is(record.find(path), path, *compare, with),
            Self::Field(path) => match record.find(path) {
                None => Ok(false),
                Some(v) if v.is_null() => Ok(false),
                Some(v) => v.as_bool().ok_or_else(|| v.wrong_type(path.as_str(), "a boolean")),
            },
            Self::Has(path) => Ok(record.find(path).is_some_and(|v| !v.is_null())),
            Self::And(a, b) => Ok(a.passes(record)? && b.passes(record)?),
            Self::Or(a, b) => Ok(a.passes(record)? || b.passes(record)?),
            Self::Not(a) => a.passes(record).map(|yes| !yes),
        }
    }
}

fn is(
    value: Option<ValueRef<'_>>,
    path: &Path,
    compare: Compare,
    with: &Literal,
) -> Result<bool, RowError> {
    let value = value.filter(|v| !v.is_null());
    let order = match value {
        None => matches!(with, Literal::Null).then_some(Ordering::Equal),
        Some(v) => order(v, with),
    };
    match (compare, order) {
        (Compare::Equal, order) => Ok(order == Some(Ordering::Equal)),
        (Compare::Unequal, order) => Ok(order != Some(Ordering::Equal)),
        (_, None) => match value {
            None => Ok(false),
            Some(v) => Err(v.wrong_type(path.as_str(), with.expected())),
        },
        (_, Some(_)) if !with.has_order() => match value {
            None => Ok(false),
            Some(v) => Err(v.wrong_type(path.as_str(), with.expected())),
        },
        (Compare::Less, Some(order)) => Ok(order.is_lt()),
        (Compare::AtMost, Some(order)) => Ok(order.is_le()),
        (Compare::Greater, Some(order)) => Ok(order.is_gt()),
        (Compare::AtLeast, Some(order)) => Ok(order.is_ge()),
    }
}

/// How `v` compares; `None` when the kinds have nothing in common. Whole numbers compare exactly.
fn order(v: ValueRef<'_>, with: &Literal) -> Option<Ordering> {
    match (v.kind(), with) {
        (Kind::Bool, Literal::Bool(b)) => Some(v.as_bool()?.cmp(b)),
        (Kind::Text, Literal::Text(text)) => Some(v.as_str()?.as_bytes().cmp(text.as_bytes())),
        (Kind::Integer, Literal::Integer(n)) => match v.raw().parse::<i128>() {
            Ok(x) => Some(x.cmp(n)),
            // More digits than 128 bits hold: its sign decides.
            Err(_) if v.raw().starts_with('-') => Some(Ordering::Less),
            Err(_) => Some(Ordering::Greater),
        },
        (Kind::Float, Literal::Integer(n)) => v.as_f64()?.partial_cmp(&(*n as f64)),
        (Kind::Integer | Kind::Float, Literal::Float(x)) => v.as_f64()?.partial_cmp(x),
        _ => None,
    }
}

impl Literal {
    const fn has_order(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Float(_) | Self::Text(_))
    }

    const fn expected(&self) -> &'static str {
        match self {
            Self::Integer(_) | Self::Float(_) => "a number to compare",
            Self::Text(_) => "a text to compare",
            Self::Null | Self::Bool(_) => "a number or a text to order",
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is { path, compare, with } => write!(f, "{path} {compare} {with}"),
            Self::Field(path) => write!(f, "{path}"),
            Self::Has(path) => write!(f, "has {path}"),
            Self::And(a, b) => write!(f, "({a} and {b})"),
            Self::Or(a, b) => write!(f, "({a} or {b})"),
            Self::Not(a) => write!(f, "not ({a})"),
        }
    }
}

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Text(t) => {
                let mut quoted = String::new();
                crate::write::quote(t, &mut quoted);
                write!(f, "\"{quoted}\"")
            }
        }
    }
}
