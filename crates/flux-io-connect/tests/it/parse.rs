//! Malformed NDJSON: every entry with its golden text.

use crate::host::{inline, read_all};
use flux_io_connect::{lines, ndjson};
use flux_io_core::{DeadCause, ErrorClass};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Debug, Deserialize, PartialEq)]
struct Fragment {
    order: u64,
    kind: String,
    #[serde(default)]
    price: Option<f64>,
}

const OK: &str = r#"{"order":7,"kind":"header","price":1.5,"unknown":[1,{"a":null}]}"#;

fn golden(record: &[u8]) -> String {
    match ndjson::parse::<Fragment>(record) {
        Ok(f) => format!("{f:?}"),
        Err(e) => {
            assert_eq!(e.class, ErrorClass::Permanent);
            format!("{}: {}", e.cause, e.what)
        }
    }
}

/// Row 34. Causes and texts; the column counts bytes from 1.
#[test]
fn malformed_records_have_golden_texts() {
    let deep = [vec![b'['; 200], vec![b']'; 200]].concat();
    let deep_field = format!(r#"{{"order":1,"kind":"a","x":{}}}"#, "[".repeat(200));
    let cases: Vec<(&[u8], &str)> = vec![
        // Partial last line, at several places.
        (br#"{"order":7,"kind":"hea"#, "poison: column 22: EOF while parsing a string"),
        (br#"{"order":7,"#, "poison: column 11: EOF while parsing a value"),
        (br#"{"order":7"#, "poison: column 10: EOF while parsing an object"),
        (b"{", "poison: column 1: EOF while parsing an object"),
        (b"   ", "poison: column 3: EOF while parsing a value"),
        // Bytes that JSON does not allow.
        (b"\0", "poison: column 1: expected value"),
        (
            b"{\"order\":7,\"kind\":\"a\0b\"}",
            "poison: column 21: control character (\\u0000-\\u001F) found while parsing a string",
        ),
        (
            b"{\"order\":7,\"kind\":\"a\tb\"}",
            "poison: column 21: control character (\\u0000-\\u001F) found while parsing a string",
        ),
        (b"{\"order\":7,\"kind\":\"\xFF\xFE\"}", "poison: column 20: invalid unicode code point"),
        (b"\xFF", "poison: column 1: expected value"),
        // Lone surrogates, either half.
        (br#"{"order":7,"kind":"\ud800"}"#, "poison: column 26: unexpected end of hex escape"),
        (
            br#"{"order":7,"kind":"\udc00"}"#,
            "poison: column 25: lone leading surrogate in hex escape",
        ),
        (
            br#"{"order":7,"kind":"\ud83d\ude00"}"#,
            "Fragment { order: 7, kind: \"😀\", price: None }",
        ),
        // Nesting.
        (&deep, "type: column 1: invalid type: sequence, expected u64"),
        // A field nobody asked for is skipped without recursion.
        (deep_field.as_bytes(), "poison: column 227: expected value"),
        // Numbers.
        (br#"{"order":7,"kind":"a","price":1e999}"#, "poison: column 35: number out of range"),
        (
            br#"{"order":-1,"kind":"a"}"#,
            "type: column 11: invalid value: integer `-1`, expected u64",
        ),
        (
            br#"{"order":1.5,"kind":"a"}"#,
            "type: column 12: invalid type: floating point `1.5`, expected u64",
        ),
        (
            br#"{"order":18446744073709551616,"kind":"a"}"#,
            "type: column 29: invalid type: floating point `1.8446744073709552e+19`, expected u64",
        ),
        (br#"{"order":NaN,"kind":"a"}"#, "poison: column 10: expected value"),
        (br#"{"order":01,"kind":"a"}"#, "poison: column 11: invalid number"),
        // A mark inside, two values, none.
        (b"\xEF\xBB\xBF{\"order\":7,\"kind\":\"a\"}", "poison: column 1: expected value"),
        (
            br#"{"order":7,"kind":"a"}{"order":8,"kind":"b"}"#,
            "poison: column 23: trailing characters",
        ),
        (br#"{"order":7,"kind":"a"} 1"#, "poison: column 24: trailing characters"),
        (
            b"{\"order\":1,\"kind\":\"a\"}\r{\"order\":2,\"kind\":\"b\"}",
            "poison: column 24: trailing characters",
        ),
        // Well-formed, but not a fragment.
        (br#"{"order":7}"#, "type: column 11: missing field `kind`"),
        (
            br#"{"order":"x","kind":"a"}"#,
            "type: column 12: invalid type: string \"x\", expected u64",
        ),
        (br#"{"order":7,"kind":null}"#, "type: column 22: invalid type: null, expected a string"),
        (br#"{"order":7,"kind":"a","kind":"b"}"#, "type: column 28: duplicate field `kind`"),
        (b"null", "type: column 4: invalid type: null, expected struct Fragment"),
        (b"true", "type: column 4: invalid type: boolean `true`, expected struct Fragment"),
        (br#"{"order":7,"kind":"a",}"#, "poison: column 23: trailing comma"),
        (br#"{'order':7}"#, "poison: column 2: key must be a string"),
        (OK.as_bytes(), "Fragment { order: 7, kind: \"header\", price: Some(1.5) }"),
    ];
    let got: Vec<String> = cases.iter().map(|c| golden(c.0)).collect();
    let wanted: Vec<&str> = cases.iter().map(|c| c.1).collect();
    for (i, (g, w)) in got.iter().zip(&wanted).enumerate() {
        assert_eq!(g, w, "case {i}: {:?}", String::from_utf8_lossy(cases[i].0));
    }
}

/// Nesting is bounded at 128, so that a record cannot exhaust the stack.
#[test]
fn deep_nesting_is_refused() {
    #[derive(Debug, Deserialize)]
    struct Nest(Vec<Self>);
    let nest = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
    let inside = ndjson::parse::<Nest>(&nest(127)).unwrap();
    assert_eq!(inside.0.len(), 1);
    for n in [128, 100_000] {
        let e = ndjson::parse::<Nest>(&nest(n)).unwrap_err();
        assert_eq!(
            (e.cause, e.what.as_str()),
            (DeadCause::Poison, "column 128: recursion limit exceeded")
        );
    }
}

/// Every record cut off early is poison or, where the rest is still JSON, a type error: never a
/// value.
#[test]
fn every_truncation_fails() {
    for n in 0..OK.len() {
        let e = ndjson::parse::<Fragment>(&OK.as_bytes()[..n]).unwrap_err();
        assert_eq!(e.cause, DeadCause::Poison, "{n}: {}", e.what);
    }
}

/// Every single flipped bit gives a value or an error, never a panic, and errors have a place.
#[test]
fn every_flip_is_survived() {
    for i in 0..OK.len() * 8 {
        let mut b = OK.as_bytes().to_vec();
        b[i / 8] ^= 1 << (i % 8);
        if let Err(e) = ndjson::parse::<Fragment>(&b) {
            assert!(e.what.starts_with("column "), "{}", e.what);
            assert!(matches!(e.cause, DeadCause::Poison | DeadCause::Type));
        }
    }
}

/// Strings without escapes borrow from the record.
#[test]
fn borrowed_values_point_into_the_record() {
    #[derive(Deserialize)]
    struct View<'a> {
        #[serde(borrow)]
        kind: Cow<'a, str>,
        raw: &'a str,
    }
    let record = br#"{"kind":"\u0041","raw":"plain"}"#;
    let v: View<'_> = ndjson::parse_borrowed(record).unwrap();
    assert_eq!((&*v.kind, v.raw), ("A", "plain"));
    let inside = record.as_ptr_range();
    assert!(inside.contains(&v.raw.as_ptr()));
    assert!(ndjson::parse_borrowed::<View<'_>>(br#"{"kind":"","raw":"\n"}"#).is_err());
}

/// Row 34. Records of a file with poison in it: what parses goes on, the mark at the start is no
/// part of the first record, one in the middle is poison.
#[test]
fn poison_does_not_stop_the_file() {
    let text = format!("\u{FEFF}{OK}\n{{broken\n\u{FEFF}{OK}\r\n\n{OK}");
    let mut source = ndjson::reader("r", std::io::Cursor::new(text));
    let read = read_all(&mut source, &inline(100), |row| {
        ndjson::parse::<Fragment>(row).map(|f| f.order).map_err(|e| e.cause)
    });
    let poison = || Err(DeadCause::Poison);
    assert_eq!(read.rows, [Ok(7), poison(), poison(), Ok(7)]);
    assert_eq!(source.empty_lines(), 1);
}

/// Carriage returns alone end no line.
#[test]
fn carriage_returns_alone_are_one_record() {
    let mut source = lines::reader("r", &b"1\r2\r3\r"[..]);
    let read = read_all(&mut source, &inline(100), |r| r.to_vec());
    assert_eq!(read.rows, [b"1\r2\r3"]);
}
