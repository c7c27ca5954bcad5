//! CSV: the catalogue of bad inputs with exact errors, each under every split.

use crate::golden::golden;
use crate::split::every_split;
use flux_io_record::{CsvDecoder, CsvHeader, CsvOptions, Limits};
use std::fmt::Write as _;

pub(crate) fn options() -> CsvOptions {
    let limits = Limits { bytes: 60, fields: 5, ..Limits::default() };
    CsvOptions { limits, ..CsvOptions::default() }
}

pub(crate) fn cases() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("empty", b""),
        ("header alone", b"a,b\n"),
        ("header without line end", b"a,b"),
        ("plain", b"a,b\n1,2\n3,4\n"),
        ("no line end at the end", b"a,b\n1,2"),
        ("crlf", b"a,b\r\n1,2\r\n"),
        ("mixed line ends", b"a,b\r\n1,2\n3,4\r\n5,6"),
        ("carriage returns only", b"a,b\r1,2\r3,4\r"),
        ("lone carriage return in a field", b"a,b\n1\r2,3\n4,5\n"),
        ("carriage return in quotes", b"a,b\n\"1\r2\",3\n"),
        ("blank lines", b"\n\na,b\n\n1,2\n\r\n\n3,4\n"),
        ("byte order mark", b"\xEF\xBB\xBFa,b\n1,2\n"),
        ("byte order mark before quotes", b"\xEF\xBB\xBF\"a\",b\n1,2\n"),
        ("byte order mark and a bad header", b"\xEF\xBB\xBFa,a\n1,2\n"),
        ("byte order mark in the middle", b"a,b\n\xEF\xBB\xBF1,2\n"),
        ("quoted", b"a,b\n\"1\",\"2\"\n"),
        ("delimiter in quotes", b"a,b\n\"1,1\",2\n"),
        ("line feed in quotes", b"a,b\n\"1\n1\",2\n3,4\n"),
        ("crlf in quotes", b"a,b\n\"1\r\n1\",2\r\n"),
        ("doubled quote", b"a,b\n\"say \"\"x\"\"\",2\n"),
        ("only a doubled quote", b"a,b\n\"\"\"\",2\n"),
        ("empty fields", b"a,b\n,\n\"\",\"\"\n"),
        ("blanks are content", b"a,b\n 1 , 2\n"),
        ("control and backslash", b"a,b\n\x01\\,\t\n"),
        ("formula text", b"a,b\n=1+1,@x\n"),
        ("numbers stay text", b"a,b\n007,1e5\n"),
        ("too few fields", b"a,b,c\n1,2\n3,4,5\n"),
        ("too many fields", b"a,b\n1,2,3\n3,4\n"),
        ("trailing delimiter", b"a,b\n1,2,\n"),
        ("one column, delimiter guess", b"a;b\n1;2\n"),
        ("too few over two lines", b"a,b,c\n\"1\n2\",3\n4,5,6\n"),
        ("unclosed quote", b"a,b\n1,\"2\n3,4\n"),
        ("unclosed quote at once", b"a,b\n1,\""),
        ("unclosed after a doubled one", b"a,b\n\"1\"\",2\n"),
        ("unclosed quote over the limit", b"a,b\n\"23456789012345678901234567890\n1,2\n3,4\n5,6\n7,8\n9,0\n1,2\n3,4\n5,6\n7,8\n9,0\n"),
        ("quote in the middle", b"a,b\n1,x\"y\"\n3,4\n"),
        ("quote at the end", b"a,b\n1\",2\n3,4\n"),
        ("quote behind a blank", b"a,b\n1, \"x,y\"\n3,4\n"),
        ("text behind a quote", b"a,b\n\"1\"x,2\n3,4\n"),
        ("blank behind a quote", b"a,b\n\"1\" ,2\n3,4\n"),
        ("text behind a quote, then a quote", b"a,b\n\"1\"x\"\n3,4\n"),
        ("bad field on a second line", b"a,b\n\"1\n2\",x\"\n3,4\n"),
        ("nul", b"a,b\n1,x\0y\n3,4\n"),
        ("nul in quotes", b"a,b\n\"\0\",2\n"),
        ("nul in the header", b"a,\0\n1,2\n"),
        ("not utf-8", b"a,b\n1,\xFF\n3,4\n"),
        ("torn utf-8 before a delimiter", b"a,b\n\xC3,\xA9\n3,4\n"),
        ("utf-8", "a,é\nß,€\n".as_bytes()),
        ("utf-16", b"\xFF\xFEa\0,\0b\0\n\0"),
        ("name twice", b"a,b,a\n1,2,3\n4,5,6\n"),
        ("name missing", b"a,,c\n1,2,3\n"),
        ("name missing at the end", b"a,b,\n1,2,3\n"),
        ("header with an unclosed quote", b"a,\"b\n1,2\n"),
        ("quoted names", b"\"a b\",\"c\"\"d\"\n1,2\n"),
        ("fields at the limit", b"a,b,c,d,e\n1,2,3,4,5\n"),
        ("header over the limit of fields", b"a,b,c,d,e,f\n1,2,3,4,5,6\n"),
        ("record over the limit of fields", b"a,b\n1,2,3,4,5,6,7,8\n3,4\n"),
        ("record at the limit of bytes", b"a,b\n1,34567890123456789012345678901234567890123456789012345678XX\r\n3,4\n"),
        ("record over the limit of bytes", b"a,b\n1,34567890123456789012345678901234567890123456789012345678YYY\n3,4\n"),
        ("record far over the limit", b"a,b\n1,34567890123456789012345678901234567890123456789012345678YYYYYYYxxxxxxxxxxxxxx\n3,4\n"),
        ("header over the limit of bytes", b"a,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n3,4\n"),
        ("blank line of blanks", b"a,b\n  \n1,2\n"),
    ]
}

/// Row 31. Every bad record is rejected alone with record, line, column and field, the others come
/// through, and no way of cutting the input changes anything.
#[test]
fn catalogue() {
    let mut log = String::new();
    for (name, input) in cases() {
        let result = every_split(|| CsvDecoder::new(options()).unwrap(), input);
        write!(log, "== {name}\n{result}").unwrap();
    }
    assert!(cases().len() >= 40);
    golden("csv.txt", &log);
}

/// Another delimiter and quote, names from the options.
#[test]
fn dialects() {
    let names = CsvHeader::Names(vec!["x".into(), "y".into()]);
    let dialect = CsvOptions { delimiter: b';', quote: b'\'', header: names, ..options() };
    let input = b"1;'a;b'\n\"2\";\n1\n";
    let log = every_split(|| CsvDecoder::new(dialect.clone()).unwrap(), input);
    assert_eq!(
        log,
        concat!(
            "! poison: record 3, line 3, column 2, field 1 (`x`): ",
            "1 fields where the header names 2 [3/3/13] \"1\"\n",
            "> {\"x\":\"1\",\"y\":\"a;b\"}\n",
            "> {\"x\":\"\\\"2\\\"\",\"y\":\"\"}\n",
        )
    );
}

/// Options that cannot work are refused with the reason.
#[test]
fn options_are_checked() {
    let error = |o: CsvOptions| CsvDecoder::new(o).unwrap_err().to_string();
    let tail = ": choose an ASCII character other than a line end, NUL and the other one";
    assert_eq!(
        error(CsvOptions { delimiter: b'"', ..options() }),
        format!("the csv delimiter cannot be '\"'{tail}")
    );
    assert_eq!(
        error(CsvOptions { quote: b'\n', ..options() }),
        format!("the csv quote cannot be '\\n'{tail}")
    );
    assert_eq!(
        error(CsvOptions { delimiter: 0xC3, ..options() }),
        format!("the csv delimiter cannot be 'Ã'{tail}")
    );
    let names = |n: &[&str]| CsvHeader::Names(n.iter().map(|s| (*s).to_owned()).collect());
    assert_eq!(
        error(CsvOptions { header: names(&[]), ..options() }),
        "the csv names are missing: name at least one"
    );
    assert_eq!(
        error(CsvOptions { header: names(&["a", "b", "a"]), ..options() }),
        "the csv names hold `a` twice"
    );
}
