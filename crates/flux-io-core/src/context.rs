//! What may travel with an item beside its payload: headers, trace context, typed attributes.
//!
//! A batch without any of it pays nothing; with it, one `Arc` a batch.

use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Headers, trace context and attributes shared by the rows of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Text headers in the order they were added; names may repeat, the last one wins.
    pub headers: Vec<(String, String)>,
    /// Where this item stands in a distributed trace; `None` means untraced, never an empty id.
    pub trace: Option<TraceContext>,
    /// Typed attributes: a closed set of value types instead of `Any`.
    pub attributes: Vec<(String, Attribute)>,
}

impl Context {
    /// The last header called `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The last attribute called `name`.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

/// A value of a [`Context`] attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Several values.
    List(Vec<Attribute>),
}

/// W3C trace context: the parent of the spans that handle an item.
///
/// Source: W3C Trace Context, level 1 (`traceparent`), version 00.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 16 bytes, not all zero.
    pub trace_id: [u8; 16],
    /// 8 bytes, not all zero.
    pub span_id: [u8; 8],
    /// Trace flags; bit 0 = sampled.
    pub flags: u8,
    /// Baggage: name and value.
    pub baggage: Vec<(String, String)>,
}

/// Why a `traceparent` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad traceparent at byte {at}: {why}; expected 00-<32 hex>-<16 hex>-<2 hex>")]
pub struct TraceParentError {
    /// Byte offset of the fault.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

impl TraceContext {
    /// Reads a `traceparent` header.
    ///
    /// # Errors
    /// [`TraceParentError`] when the form is not version 00 or an id is all zero (B102: an empty
    /// id is no id).
    pub fn parse(text: &str) -> Result<Self, TraceParentError> {
        let err = |at, why| TraceParentError { at, why };
        let b = text.as_bytes();
        if b.len() != 55 {
            return Err(err(b.len().min(55), "wrong length"));
        }
        if &b[..3] != b"00-" {
            return Err(err(0, "unknown version"));
        }
        if let Some(at) = [35, 52].into_iter().find(|&i| b[i] != b'-') {
            return Err(err(at, "missing separator"));
        }
        let mut trace_id = [0; 16];
        let mut span_id = [0; 8];
        let mut flags = [0; 1];
        unhex(&b[3..35], &mut trace_id).map_err(|i| err(3 + i, "not a hex digit"))?;
        unhex(&b[36..52], &mut span_id).map_err(|i| err(36 + i, "not a hex digit"))?;
        unhex(&b[53..55], &mut flags).map_err(|i| err(53 + i, "not a hex digit"))?;
        if trace_id == [0; 16] {
            return Err(err(3, "trace id is all zero"));
        }
        if span_id == [0; 8] {
            return Err(err(36, "span id is all zero"));
        }
        Ok(Self { trace_id, span_id, flags: flags[0], baggage: Vec::new() })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str("-")?;
        self.span_id.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

fn unhex(text: &[u8], out: &mut [u8]) -> Result<(), usize> {
    for (i, o) in out.iter_mut().enumerate() {
        let hi = digit(text[2 * i]).ok_or(2 * i)?;
        let lo = digit(text[2 * i + 1]).ok_or(2 * i + 1)?;
        *o = hi << 4 | lo;
    }
    Ok(())
}

/// Lower-case hex only, as the W3C text asks.
const fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

/// What an item costs to hold and to handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes held, heap included where it is known.
    pub bytes: u64,
    /// Relative CPU weight; 0 = not said.
    pub cpu_hint: u32,
}

/// The row view: one payload with its metadata. What moves is a [`crate::Batch`]; an envelope is
/// what a reader sees of one row, or what a user hands in by hand.
///
/// It is immutable: [`Envelope::map`] gives a new one with the same metadata.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Envelope<T> {
    /// The item.
    pub payload: T,
    /// Its metadata.
    pub meta: EnvelopeMeta,
}

/// Metadata of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvelopeMeta {
    /// Sequence number at its source, from 0.
    pub seq: u64,
    /// Event time, or ingestion time where nothing else was said.
    pub time: Timestamp,
    /// What it costs.
    pub cost: Cost,
    /// Headers, trace, attributes; absent by default.
    pub context: Option<Arc<Context>>,
}

impl<T> Envelope<T> {
    /// An envelope with the given metadata.
    pub const fn new(payload: T, meta: EnvelopeMeta) -> Self {
        Self { payload, meta }
    }

    /// The same metadata around another payload.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Envelope<U> {
        Envelope { payload: f(self.payload), meta: self.meta }
    }
}
