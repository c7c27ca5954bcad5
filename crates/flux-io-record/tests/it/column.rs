//! The column's laws, and reading from it.

use flux_io_core::{Column, DeadCause};
use flux_io_record::{Limits, Path, Record, RecordColumn, Template};

fn column(lines: &[&str]) -> RecordColumn {
    let mut c = RecordColumn::default();
    for line in lines {
        c.push_json(line.as_bytes(), &Limits::default()).unwrap();
    }
    c
}

fn texts(c: &RecordColumn) -> Vec<String> {
    c.iter().map(|r| r.text().to_owned()).collect()
}

/// Rows stay in order through scatter and append, and keep their fields; capacity is kept.
#[test]
fn scatter_and_append_keep_order_and_fields() {
    let lines: Vec<String> = (0..100).map(|i| format!("{{\"n\":{i},\"s\":\"x{i}\"}}")).collect();
    let mut c = column(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    c.retain(|i, _| i % 10 != 3);
    let to: Vec<u32> = (0..c.rows()).map(|i| (i % 3) as u32).collect();
    let (mut a, mut b, mut d) =
        (RecordColumn::default(), RecordColumn::default(), RecordColumn::default());
    let held = c.bytes();
    c.scatter(&to, &mut [&mut a, &mut b, &mut d]);
    assert_eq!((c.rows(), c.bytes()), (0, held));
    let n = |r: flux_io_record::RecordRef<'_>| r.get("n").unwrap().as_u64().unwrap();
    let kept: Vec<u64> = (0..100).filter(|i| i % 10 != 3).collect();
    for (k, part) in [&a, &b, &d].into_iter().enumerate() {
        let expected: Vec<u64> = kept.iter().copied().skip(k).step_by(3).collect();
        assert_eq!(part.iter().map(n).collect::<Vec<_>>(), expected);
    }
    a.append(&mut b);
    a.append(&mut RecordColumn::default());
    assert_eq!((a.rows(), b.rows()), (60, 0));
    let mut empty = RecordColumn::default();
    empty.append(&mut a);
    assert_eq!((empty.rows(), a.rows()), (60, 0));
    assert_eq!(n(empty.row(59)), n(empty.row_mut(59)));
}

/// What is passed over costs no copy: retain moves no text, and a refused record leaves no trace.
#[test]
fn retain_and_refusal_move_nothing() {
    let mut c = column(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
    let held = c.bytes();
    let left = c.retain(|_, r| r.get("a").unwrap().as_i64() != Some(2));
    assert_eq!((left, c.rows(), c.bytes()), (1, 2, held));
    let before = texts(&c);
    assert!(c.push_json(br#"{"a":1,"b":"#, &Limits::default()).is_err());
    assert!(
        c.push_with(|d| {
            d.str("x", "y");
            Err(flux_io_core::RowError::poison("no"))
        })
        .is_err()
    );
    assert_eq!(texts(&c), before);
    c.push_json(b" {\"z\":0} ", &Limits::default()).unwrap();
    assert_eq!(c.row(2).text(), "{\"z\":0}");
}

/// Fields by name and path: the last of a repeated name counts, escapes in names are seen through,
/// dots in names need brackets.
#[test]
fn fields_are_found() {
    let c = column(&[
        r#"{"a":1,"a":{"b":[10,{"c.d":"deep"},[null]]},"\u0061b":"esc","x.y":true,"":0}"#,
    ]);
    let r = c.row(0);
    let find = |p: &str| r.find(&Path::parse(p).unwrap()).map(|v| v.raw().to_owned());
    assert_eq!(find("a.b[0]").as_deref(), Some("10"));
    assert_eq!(find(r#"a.b[1]["c.d"]"#).as_deref(), Some("\"deep\""));
    assert_eq!(find("a.b[2][0]").as_deref(), Some("null"));
    assert_eq!(find("a.b[3]"), None);
    assert_eq!(find("a.b.c"), None);
    assert_eq!(find("ab").as_deref(), Some("\"esc\""));
    assert_eq!(find("x.y"), None);
    assert_eq!(find(r#"["x.y"]"#).as_deref(), Some("true"));
    assert_eq!(r.get("x.y").unwrap().as_bool(), Some(true));
    assert_eq!(r.get("").unwrap().as_u64(), Some(0));
    let deep = r.find(&Path::parse(r#"a.b[1]["c.d"]"#).unwrap()).unwrap();
    assert_eq!(&r.text()[deep.at()..deep.at() + 6], "\"deep\"");
}

/// Row 14. Typed reading names the field, the byte and both kinds, never the content.
#[test]
fn typed_reading_names_field_and_kinds() {
    let c = column(&[r#"{"line":"secret","big":99999999999999999999,"f":1.0,"n":null,"i":-1}"#]);
    let r = c.row(0);
    let p = Path::field;
    let text = |e: flux_io_core::RowError| {
        assert_eq!(e.cause, DeadCause::Type);
        e.what
    };
    assert_eq!(
        text(r.read_u64(&p("line")).unwrap_err()),
        "field `line` at byte 9: expected an integer from 0 to 2^64 - 1, found a text"
    );
    assert_eq!(
        text(r.read_i64(&p("big")).unwrap_err()),
        "field `big` at byte 24: expected an integer of 64 bits, found an integer"
    );
    assert_eq!(
        text(r.read_i64(&p("f")).unwrap_err()),
        "field `f` at byte 49: expected an integer of 64 bits, found a number with a fraction"
    );
    assert_eq!(
        text(r.read_str(&p("n")).unwrap_err()),
        "field `n` at byte 57: expected a text, found null"
    );
    assert_eq!(
        text(r.read_bool(&p("i")).unwrap_err()),
        "field `i` at byte 66: expected a boolean, found an integer"
    );
    assert_eq!(text(r.read_f64(&p("none")).unwrap_err()), "the record has no field `none`");
    assert_eq!(r.read_f64(&p("i")).unwrap(), -1.0f64);
    assert_eq!(r.read_str(&p("line")).unwrap(), "secret");
    assert!(matches!(r.read_str(&p("line")).unwrap(), std::borrow::Cow::Borrowed(_)));
}

/// Paths and templates that cannot be read say where.
#[test]
fn paths_and_templates_say_what_is_wrong() {
    for (path, error) in [
        ("", "path ``, character 1: expected a field name"),
        ("a.", "path `a.`, character 3: expected a field name"),
        (".a", "path `.a`, character 1: expected a field name"),
        ("a..b", "path `a..b`, character 3: expected a field name"),
        ("a[", "path `a[`, character 2: `[` is not closed by `]`"),
        ("a[x]", "path `a[x]`, character 2: expected a number or a quoted name in brackets"),
        ("a[-1]", "path `a[-1]`, character 2: expected a number or a quoted name in brackets"),
        (
            "a]",
            "path `a]`, character 2: `]` without `[`; write `[\"...\"]` around a name that holds it",
        ),
        ("[0]", "path `[0]`, character 1: a record is an object: begin with a field name"),
        ("a[\"b", "path `a[\"b`, character 2: the quoted name is not closed by `\"]`"),
        ("a[\"b\"x", "path `a[\"b\"x`, character 2: expected `]` behind the closing quote"),
        (
            "a[\"\\n\"]",
            "path `a[\"\\n\"]`, character 2: only `\\\"` and `\\\\` are escapes in a quoted name",
        ),
        ("a[0]b", "path `a[0]b`, character 5: expected `.` or `[` behind a bracket"),
    ] {
        assert_eq!(Path::parse(path).unwrap_err().to_string(), error);
    }
    for (template, error) in [
        (
            "{a",
            "template `{a`, character 1: `{` is not closed by `}`; write `{{` for the character itself",
        ),
        ("a}", "template `a}`, character 2: `}` without `{`; write `}}` for the character itself"),
        ("x{}", "template `x{}`, character 3: not a field"),
    ] {
        assert_eq!(Template::parse(template).unwrap_err().to_string(), error);
    }
}

/// Templates: the variable of an order's fragment, keys of several fields, braces.
#[test]
fn templates_render() {
    let c = column(&[
        r#"{"kind":"shipped","line":3}"#,
        r#"{"kind":"header"}"#,
        r#"{"line":3}"#,
        r#"{"kind":[],"line":3}"#,
        r#"{"kind":"a\n","line":null}"#,
    ]);
    let t = Template::parse("{kind}:{line}").unwrap();
    let variable = |i: usize| {
        let mut out = String::new();
        t.render_present(c.row(i), &mut out).map(|()| out).map_err(|e| e.what)
    };
    assert_eq!(variable(0).unwrap(), "shipped:3");
    assert_eq!(variable(1).unwrap(), "header");
    assert_eq!(variable(2).unwrap_err(), "the record has no field `kind`");
    assert_eq!(
        variable(3).unwrap_err(),
        "field `kind` at byte 9: expected a text or a number, found an array"
    );
    assert_eq!(variable(4).unwrap(), "a\n");
    let mut out = String::new();
    assert!(t.render(c.row(1), &mut out).is_err());
    out.clear();
    Template::parse("{{{kind}}}/").unwrap().render(c.row(0), &mut out).unwrap();
    assert_eq!(out, "{shipped}/");
    assert_eq!(t.paths().map(Path::as_str).collect::<Vec<_>>(), ["kind", "line"]);
}

/// A record built by hand reads as one that was parsed.
#[test]
fn built_records_are_json() {
    let r = Record::build(|r| {
        r.str("te\"xt", "a\u{1}\n\"\\é").i64("i", i64::MIN).u64("u", u64::MAX);
        r.f64("f", 0.1).f64("nan", f64::NAN).bool("b", false).null("z");
    });
    let again = Record::parse(r.view().text().as_bytes(), &Limits::default()).unwrap();
    assert!(r.view().fields().eq(again.view().fields()));
    assert_eq!(
        r.view().text(),
        r#"{"te\"xt":"a\u0001\n\"\\é","i":-9223372036854775808,"u":18446744073709551615,"f":0.1,"nan":null,"b":false,"z":null}"#
    );
    let mut canonical = String::new();
    r.view().canonical_json(&mut canonical);
    let tree: serde_json::Value = serde_json::from_str(r.view().text()).unwrap();
    assert_eq!(canonical, tree.to_string());
    assert_eq!(Record::default().view().text(), "{}");
}
