//! NDJSON: the catalogue of bad inputs with exact errors, each under every split.

use crate::golden::golden;
use crate::split::{every_split, run};
use flux_io_record::{Limits, NdjsonDecoder};
use std::fmt::Write as _;

pub(crate) const SMALL: Limits = Limits { bytes: 80, depth: 5, fields: 4, number: 12 };

/// Named inputs; the limits are small, so that every case can be cut at every byte.
pub(crate) fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let text: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("only line feeds", b"\n\n\n"),
        ("blanks and tabs", b"  \t \n{\"a\":1}\n \r\n"),
        ("one without line feed", b"{\"a\":1}"),
        ("crlf", b"{\"a\":1}\r\n{\"a\":2}\r\n"),
        ("mixed line ends", b"{\"a\":1}\r\n{\"a\":2}\n{\"a\":3}"),
        ("carriage returns only", b"{\"a\":1}\r{\"a\":2}\r"),
        ("byte order mark", b"\xEF\xBB\xBF{\"a\":1}\n{\"a\":2}\n"),
        ("byte order mark alone", b"\xEF\xBB\xBF"),
        ("byte order mark in the middle", b"{\"a\":1}\n\xEF\xBB\xBF{\"a\":2}\n{\"a\":3}\n"),
        ("byte order mark torn", b"\xEF\xBB{\"a\":1}\n{\"a\":2}\n"),
        ("partial last line", b"{\"a\":1}\n{\"a\":"),
        ("partial line in the middle", b"{\"order\":1,\"kind\":\"he\n{\"a\":1}\n"),
        ("half a text", b"{\"a\":\"x\n{\"a\":1}\n"),
        ("half an escape", b"{\"a\":\"\\\n{\"a\":1}\n"),
        ("half a unicode escape", b"{\"a\":\"\\u00\"}\n"),
        ("half a number", b"{\"a\":-\n"),
        ("half a word", b"{\"a\":tru\n"),
        ("lone high surrogate", b"{\"a\":\"\\ud800\"}\n{\"a\":1}\n"),
        ("lone low surrogate", b"{\"a\":\"\\udc00\"}\n"),
        ("high surrogate twice", b"{\"a\":\"\\ud800\\ud800\"}\n"),
        ("surrogate pair", b"{\"a\":\"\\ud83d\\ude00\"}\n"),
        ("nul in a text", b"{\"a\":\"\0\"}\n"),
        ("nul between", b"{\"a\":1\0}\n"),
        ("nul line", b"\0\n{\"a\":1}\n"),
        ("nul escaped", b"{\"a\":\"\\u0000\"}\n"),
        ("tab in a text", b"{\"a\":\"\t\"}\n"),
        ("line feed in a text", b"{\"a\":\"x\ny\"}\n"),
        ("not utf-8", b"{\"a\":\"\xFF\"}\n{\"a\":1}\n"),
        ("overlong utf-8", b"{\"a\":\"\xC0\x80\"}\n"),
        ("torn utf-8", b"{\"a\":\"\xC3\"}\n"),
        ("utf-16", b"{\0\"\0a\0\"\0:\x001\0}\0\n\0"),
        ("repeated name", b"{\"a\":1,\"a\":2}\n"),
        ("two values", b"{\"a\":1}{\"a\":2}\n{\"a\":3}\n"),
        ("two values with comma", b"{\"a\":1},{\"a\":2}\n"),
        ("a json array of records", b"[\n{\"a\":1},\n{\"a\":2}\n]\n"),
        ("array", b"[1]\n"),
        ("number", b"1\n"),
        ("text", b"\"a\"\n"),
        ("null", b"null\n"),
        ("bare word", b"hello\n{\"a\":1}\n"),
        ("single quotes", b"{'a':1}\n"),
        ("name without quotes", b"{a:1}\n"),
        ("trailing comma", b"{\"a\":1,}\n"),
        ("trailing comma in an array", b"{\"a\":[1,]}\n"),
        ("leading comma", b"{,\"a\":1}\n"),
        ("no colon", b"{\"a\" 1}\n"),
        ("no comma", b"{\"a\":1 \"b\":2}\n"),
        ("no comma in an array", b"{\"a\":[1 2]}\n"),
        ("no value", b"{\"a\":}\n"),
        ("wrong bracket", b"{\"a\":[1}}\n"),
        ("closed too often", b"{\"a\":1}}\n"),
        ("comment", b"{\"a\":1} // one\n"),
        ("nan", b"{\"a\":NaN}\n"),
        ("infinity", b"{\"a\":-Infinity}\n"),
        ("leading zero", b"{\"a\":01}\n"),
        ("leading plus", b"{\"a\":+1}\n"),
        ("bare point", b"{\"a\":.5}\n{\"a\":1.}\n"),
        ("empty exponent", b"{\"a\":1e}\n{\"a\":1e+}\n"),
        ("hex", b"{\"a\":0x10}\n"),
        ("out of range", b"{\"a\":1e999}\n{\"a\":-1e999}\n{\"a\":1e-999}\n"),
        ("unknown escape", b"{\"a\":\"\\x41\"}\n"),
        ("upper case word", b"{\"a\":True}\n"),
        ("number at the limit", b"{\"a\":123456789012}\n"),
        ("number over the limit", b"{\"a\":1234567890123}\n{\"a\":1}\n"),
        ("depth at the limit", b"{\"a\":[[[[]]]]}\n"),
        ("depth over the limit", b"{\"a\":[[[[[]]]]]}\n{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}\n"),
        ("fields at the limit", b"{\"a\":1,\"b\":2,\"c\":3,\"d\":4}\n"),
        ("fields over the limit", b"{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}\n{\"a\":1}\n"),
    ];
    let mut cases: Vec<(&str, Vec<u8>)> = text.iter().map(|&(n, t)| (n, t.to_vec())).collect();
    let pad = |n: usize, end: &str| {
        let mut line = format!("{{\"p\":\"{}\"}}{end}", "x".repeat(n - 8)).into_bytes();
        line.extend_from_slice(b"{\"a\":1}\n");
        line
    };
    cases.push(("bytes at the limit", pad(80, "\n")));
    cases.push(("bytes at the limit with crlf", pad(80, "\r\n")));
    cases.push(("one byte over", pad(81, "\n")));
    cases.push(("one byte over with crlf", pad(81, "\r\n")));
    cases.push(("two bytes over", pad(82, "\n")));
    cases.push(("far over", pad(500, "\n")));
    cases.push(("over to the end of input", vec![b'x'; 500]));
    cases.push(("deep nesting", [vec![b'['; 70], b"\n{\"a\":1}\n".to_vec()].concat()));
    cases
}

/// Row 31. Every bad line is rejected alone with its line and byte, the others come through, and
/// no way of cutting the input changes anything.
#[test]
fn catalogue() {
    let mut log = String::new();
    for (name, input) in cases() {
        let result = every_split(|| NdjsonDecoder::new(SMALL), &input);
        write!(log, "== {name}\n{result}").unwrap();
    }
    assert!(cases().len() >= 50);
    golden("ndjson.txt", &log);
}

/// With the usual limits: 1 MiB goes through, a byte more does not, and costs the next line
/// nothing; half a gigabyte without a line feed would be held back no further than the limit.
#[test]
fn the_usual_limit_is_one_mebibyte() {
    let line = |n: usize| format!("{{\"p\":\"{}\"}}\n", "x".repeat(n - 8));
    let input = [line(1 << 20), line((1 << 20) + 1), line(20)].concat();
    let decoder = || NdjsonDecoder::new(Limits::default());
    let (log, _) = run(decoder(), input.as_bytes(), || 65_536, usize::MAX);
    let shown: Vec<&str> = log.lines().map(|l| l.split(" [").next().unwrap()).collect();
    assert_eq!(
        shown,
        [
            "! oversize: line 2, byte 1048577: the record is over the limit of 1048576 bytes",
            "> 1048576 bytes, 1 fields",
            "> {\"p\":\"xxxxxxxxxxxx\"}",
        ]
    );
}

/// 128 levels go through, as the limit says; serde_json's own limit is 127.
#[test]
fn the_usual_depth_is_128() {
    let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n - 1), "]".repeat(n - 1));
    let parse = |n| flux_io_record::Record::parse(nested(n).as_bytes(), &Limits::default());
    assert!(parse(128).is_ok());
    assert_eq!(
        parse(129).unwrap_err().to_string(),
        "byte 133: nested deeper than the limit of 128"
    );
}

/// What is given as one record must be one: a blank line, which a stream passes over, is none.
#[test]
fn records_catalogue() {
    let error = |text: &str| {
        let parsed = flux_io_record::Record::parse(text.as_bytes(), &Limits::default());
        parsed.unwrap_err().to_string()
    };
    assert_eq!(error(""), "byte 1: the record is empty");
    assert_eq!(error(" \t "), "byte 4: the record is empty");
    assert_eq!(error("{} {}"), "byte 4: text behind the record: one record stands on one line");
}
