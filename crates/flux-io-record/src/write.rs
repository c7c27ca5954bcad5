//! JSON text written: quoting, floats, the canonical form.

use crate::limits::Limits;
use crate::scan::{Field, Scanner, plain_end};
use crate::value::{Kind, plain_name, unescape};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Appends `text` with JSON's escapes, without quotes; whether any was needed. Only quotes,
/// backslashes and control characters are escaped, with the short form where there is one.
pub(crate) fn quote(text: &str, out: &mut String) -> bool {
    let b = text.as_bytes();
    let mut from = 0;
    loop {
        let at = plain_end(b, from);
        out.push_str(&text[from..at]);
        let Some(&c) = b.get(at) else { return from > 0 };
        match c {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            c => drop(write!(out, "\\u{c:04x}")),
        }
        from = at + 1;
    }
}

/// Appends the shortest text that reads back as `value`, always with a fraction or an exponent:
/// decimal from 1e-5 up to below 1e16, otherwise `1e-6`, `1e+16`, as serde_json writes them.
pub(crate) fn float(value: f64, out: &mut String) {
    let size = value.abs();
    // Writing to a String cannot fail.
    let _ = if size >= 1e16 {
        let shown = format!("{value:e}");
        let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
        write!(out, "{digits}e+{exponent}")
    } else if size != 0.0 && size < 1e-5 {
        write!(out, "{value:e}")
    } else if value.fract() == 0.0 {
        write!(out, "{value:.1}")
    } else {
        write!(out, "{value}")
    };
}

/// The canonical form of a record whose fields are known.
pub(crate) fn canonical_record(text: &str, fields: &[Field], out: &mut String) {
    let mut members: Vec<(Cow<'_, str>, &Field)> =
        fields.iter().map(|f| (plain_name(text, f), f)).collect();
    // Stable: of equal names the last stays behind the others.
    members.sort_by(|a, b| a.0.cmp(&b.0));
    out.push('{');
    let mut first = true;
    for (i, (name, f)) in members.iter().enumerate() {
        if members.get(i + 1).is_some_and(|(next, _)| next == name) {
            continue;
        }
        out.push_str(if first { "\"" } else { ",\"" });
        first = false;
        quote(name, out);
        out.push_str("\":");
        canonical_value(&text[f.value_at as usize..f.value_end as usize], f.kind, f.escaped, out);
    }
    out.push('}');
}

fn canonical_value(raw: &str, kind: Kind, escaped: bool, out: &mut String) {
    let limits = Limits::default();
    match kind {
        Kind::Null | Kind::Bool => out.push_str(raw),
        Kind::Integer if raw == "-0" => out.push_str("-0.0"),
        Kind::Integer => out.push_str(raw),
        Kind::Float => match raw.parse::<f64>() {
            Ok(x) => float(x, out),
            Err(_) => out.push_str(raw),
        },
        Kind::Text if escaped => {
            out.push('"');
            quote(&unescape(&raw[1..raw.len() - 1]), out);
            out.push('"');
        }
        Kind::Text => out.push_str(raw),
        Kind::Array => {
            out.push('[');
            let mut first = true;
            // The text was checked when it came in, so the walk does not fail.
            let _ = Scanner::new(raw, &limits).items(|at, end, kind, escaped| {
                if !first {
                    out.push(',');
                }
                first = false;
                canonical_value(&raw[at..end], kind, escaped, out);
            });
            out.push(']');
        }
        Kind::Object => {
            let mut fields = Vec::new();
            let _ = Scanner::new(raw, &limits).members(
                |_, f| {
                    fields.push(f);
                    Ok(())
                },
                0,
            );
            canonical_record(raw, &fields, out);
        }
    }
}
