//! One line of the orders input: parsed without copying, written again in canonical form.

use std::io;

use serde::Deserialize;

/// The fields of all kinds of fragment; those of other kinds are `None`.
#[derive(Debug, Deserialize)]
pub(super) struct Fragment<'a> {
    pub(super) order: u64,
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

impl<'a> Fragment<'a> {
    /// Parses one line.
    pub(super) fn parse(line: &'a [u8]) -> io::Result<Self> {
        sonic_rs::from_slice(line).map_err(|error| invalid(&error.to_string()))
    }

    /// The variable's bit: 0 header, 1..=7 shipped, 8..=14 received.
    pub(super) fn bit(&self) -> io::Result<u32> {
        match (self.kind, self.line) {
            ("header", _) => Ok(0),
            ("shipped", Some(line @ 1..=7)) => Ok(line),
            ("received", Some(line @ 1..=7)) => Ok(line + 7),
            _ => Err(invalid("neither a header nor a line 1 to 7")),
        }
    }

    /// The set of variables that complete the order, when this fragment is its header.
    pub(super) fn complete_set(&self) -> Option<u16> {
        let lines = self.lines.filter(|lines| *lines <= 7)?;
        let ones = (1u16 << lines) - 1;
        Some(1 | ones << 1 | ones << 8)
    }

    /// Appends the fragment as canonical JSON: keys sorted bytewise, no spaces, integers plain.
    pub(super) fn write_canonical(&self, out: &mut Vec<u8>) {
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

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_sorts_the_keys() {
        let line = br#"{"order":7,"kind":"shipped","line":2,"ts":"1992-01-04","part":5,"quantity":3,"price":100,"mode":"AIR"}"#;
        let fragment = Fragment::parse(line).unwrap();
        let mut out = Vec::new();
        fragment.write_canonical(&mut out);
        let want = r#"{"kind":"shipped","line":2,"mode":"AIR","order":7,"part":5,"price":100,"quantity":3,"ts":"1992-01-04"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), want);
        assert_eq!(fragment.bit().unwrap(), 2);
        assert_eq!(fragment.complete_set(), None);
    }

    #[test]
    fn a_header_of_two_lines_wants_five_variables() {
        let fragment =
            Fragment::parse(br#"{"order":7,"kind":"header","ts":"1992-01-01","lines":2}"#).unwrap();
        assert_eq!(fragment.complete_set(), Some(0b11_0000_0111));
        assert_eq!(fragment.bit().unwrap(), 0);
    }
}
