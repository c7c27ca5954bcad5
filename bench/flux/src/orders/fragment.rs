//! One line of the orders input: parsed without copying, kept as its canonical text.

use flux_io::connect::ndjson;
use flux_io::core::{RowError, Var};
use serde::Deserialize;

/// Header, and up to seven lines shipped and received.
pub(super) const VARIABLES: usize = 15;

/// A fragment on its way to its order.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) order: u64,
    /// 0 header, 1..=7 shipped, 8..=14 received.
    pub(super) bit: u32,
    /// How many lines the order has, where the fragment is its header.
    pub(super) lines: Option<u32>,
    /// Canonical JSON.
    pub(super) text: Vec<u8>,
}

impl Fragment {
    /// Parses one line.
    pub(super) fn parse(line: &[u8]) -> Result<Self, RowError> {
        let fields: Fields<'_> = ndjson::parse_borrowed(line)?;
        let bit = fields.bit()?;
        // The canonical form holds the same fields, so it is about as long.
        let mut text = Vec::with_capacity(line.len());
        fields.write_canonical(&mut text);
        let lines = if bit == 0 { fields.lines } else { None };
        Ok(Self { order: fields.order, bit, lines, text })
    }

    /// Its variable in the requirement.
    pub(super) fn variable(&self) -> Var {
        match self.bit {
            0 => Var::one(0),
            bit @ 1..=7 => Var::nth(1, bit),
            bit => Var::nth(2, bit - 7),
        }
    }
}

/// The fields of all kinds of fragment; those of other kinds are `None`.
#[derive(Debug, Deserialize)]
struct Fields<'a> {
    order: u64,
    kind: &'a str,
    ts: &'a str,
    line: Option<u32>,
    customer: Option<u64>,
    total: Option<i64>,
    lines: Option<u32>,
    priority: Option<&'a str>,
    clerk: Option<&'a str>,
    part: Option<u64>,
    quantity: Option<i64>,
    price: Option<i64>,
    mode: Option<&'a str>,
    flag: Option<&'a str>,
}

impl Fields<'_> {
    fn bit(&self) -> Result<u32, RowError> {
        match (self.kind, self.line) {
            ("header", _) => Ok(0),
            ("shipped", Some(line @ 1..=7)) => Ok(line),
            ("received", Some(line @ 1..=7)) => Ok(line + 7),
            _ => Err(RowError::wrong_type("neither a header nor a line 1 to 7")),
        }
    }

    /// Appends canonical JSON: keys sorted bytewise, no spaces, integers plain.
    fn write_canonical(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        text(out, "clerk", self.clerk);
        number(out, "customer", self.customer);
        text(out, "flag", self.flag);
        text(out, "kind", Some(self.kind));
        number(out, "line", self.line);
        number(out, "lines", self.lines);
        text(out, "mode", self.mode);
        number(out, "order", Some(self.order));
        number(out, "part", self.part);
        number(out, "price", self.price);
        text(out, "priority", self.priority);
        number(out, "quantity", self.quantity);
        number(out, "total", self.total);
        text(out, "ts", Some(self.ts));
        // Each field ends with a comma, the last one's becomes the bracket.
        out.pop();
        out.push(b'}');
    }
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A borrowed text had no escapes in the input, so it needs none here.
fn text(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    name(out, key);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\",");
}

fn number(out: &mut Vec<u8>, key: &str, value: Option<impl itoa::Integer>) {
    let Some(value) = value else { return };
    name(out, key);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b',');
}
