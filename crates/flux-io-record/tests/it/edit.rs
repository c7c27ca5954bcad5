//! Field operations and filters.

use flux_io_core::{Column, DeadCause};
use flux_io_record::{CastTo, Editor, FieldOp, Filter, Limits, RecordColumn, SetTo, Template};

fn column(lines: &[&str]) -> RecordColumn {
    let mut c = RecordColumn::default();
    for line in lines {
        c.push_json(line.as_bytes(), &Limits::default()).unwrap();
    }
    c
}

/// What `ops` make of one record, or the error. The result's spans are checked by a second parse.
fn edit(line: &str, ops: Vec<FieldOp>) -> String {
    let mut out = RecordColumn::default();
    match Editor::new(ops).apply(column(&[line]).row(0), &mut out) {
        Ok(()) => {
            let again = column(&[out.row(0).text()]);
            assert!(again.row(0).fields().eq(out.row(0).fields()), "{}", out.row(0).text());
            out.row(0).text().to_owned()
        }
        Err(e) => {
            assert_eq!((e.cause, out.rows()), (DeadCause::Type, 0));
            e.what
        }
    }
}

fn names(n: &[&str]) -> Vec<String> {
    n.iter().map(|s| (*s).to_owned()).collect()
}

fn cast(field: &str, to: CastTo) -> Vec<FieldOp> {
    vec![FieldOp::Cast { field: field.into(), to }]
}

#[test]
fn select_drop_rename() {
    let line = r#"{"a":1,"b":"x","a":2,"c":[1, 2]}"#;
    let rename = |from: &str, to: &str| vec![FieldOp::Rename { from: from.into(), to: to.into() }];
    assert_eq!(edit(line, vec![]), line);
    assert_eq!(edit(line, vec![FieldOp::Select(names(&["c", "a", "z"]))]), r#"{"c":[1, 2],"a":2}"#);
    assert_eq!(edit(line, vec![FieldOp::Drop(names(&["a", "z"]))]), r#"{"b":"x","c":[1, 2]}"#);
    assert_eq!(edit(line, rename("a", "n\"")), r#"{"b":"x","n\"":2,"c":[1, 2]}"#);
    assert_eq!(edit(line, rename("b", "a")), r#"{"a":"x","c":[1, 2]}"#);
    assert_eq!(edit(line, rename("z", "a")), line);
    assert_eq!(edit(line, rename("a", "a")), line);
    let both = [rename("b", "d"), vec![FieldOp::Select(names(&["d"]))]].concat();
    assert_eq!(edit(line, both), r#"{"d":"x"}"#);
    assert_eq!(edit(line, vec![FieldOp::Select(vec![])]), "{}");
}

#[test]
fn casts() {
    use CastTo::{Bool, Float, Integer, Text};
    let line = r#"{"t":"12","n":-7,"f":2.0,"g":2.5,"b":true,"e":"","z":null,"o":{},"h":1e3,"x":"1.5x","big":"9223372036854775808","yes":"true"}"#;
    let value = |field: &str, to| {
        let out = edit(line, [cast(field, to), vec![FieldOp::Select(names(&[field]))]].concat());
        out.strip_prefix(&format!("{{\"{field}\":"))
            .map_or(out.clone(), |v| v[..v.len() - 1].into())
    };
    assert_eq!(value("t", Integer), "12");
    assert_eq!(value("t", Float), "12.0");
    assert_eq!(value("n", Text), "\"-7\"");
    assert_eq!(value("n", Float), "-7.0");
    assert_eq!(value("f", Integer), "2");
    assert_eq!(value("h", Integer), "1000");
    assert_eq!(value("b", Text), "\"true\"");
    assert_eq!(value("yes", Bool), "true");
    assert_eq!(value("e", Integer), "null");
    assert_eq!(value("e", Text), "\"\"");
    assert_eq!(value("z", Integer), "null");
    assert_eq!(value("missing", Integer), "{}");
    let whole = "expected an integer of 64 bits or a text of one";
    assert_eq!(
        value("g", Integer),
        format!("field `g` at byte 30: {whole}, found a number with a fraction")
    );
    assert_eq!(value("big", Integer), format!("field `big` at byte 91: {whole}, found a text"));
    assert_eq!(
        value("o", Text),
        "field `o` at byte 63: expected a value that can become a text, found an object"
    );
    assert_eq!(
        value("x", Float),
        "field `x` at byte 78: expected a number or a text of one, found a text"
    );
    assert_eq!(
        value("t", Bool),
        "field `t` at byte 6: expected a boolean or the text `true` or `false`, found a text"
    );
}

#[test]
fn set_and_parse_time() {
    let set = |field: &str, to| FieldOp::Set { field: field.into(), to };
    let line = r#"{"a":1,"ts":"1970-01-02"}"#;
    assert_eq!(
        edit(line, vec![set("a", SetTo::Null), set("new", SetTo::Bool(true))]),
        r#"{"a":null,"ts":"1970-01-02","new":true}"#
    );
    assert_eq!(
        edit(line, vec![set("a", SetTo::Float(1.0)), set("b", SetTo::Integer(-3))]),
        r#"{"a":1.0,"ts":"1970-01-02","b":-3}"#
    );
    let template = |t: &str| SetTo::Text(Template::parse(t).unwrap());
    assert_eq!(
        edit(line, vec![set("b", template("{a}\"{ts}")), set("a", template("<{b}>"))]),
        r#"{"a":"<1\"1970-01-02>","ts":"1970-01-02","b":"1\"1970-01-02"}"#
    );
    assert_eq!(edit(line, vec![set("b", template("{z}"))]), "the record has no field `z`");
    let time = |into: Option<&str>| {
        vec![FieldOp::ParseTime { field: "ts".into(), into: into.map(Into::into) }]
    };
    assert_eq!(edit(line, time(None)), r#"{"a":1,"ts":86400000000000}"#);
    assert_eq!(edit(line, time(Some("ns"))), r#"{"a":1,"ts":"1970-01-02","ns":86400000000000}"#);
    assert_eq!(edit(r#"{"a":1}"#, time(None)), r#"{"a":1}"#);
    assert_eq!(
        edit(r#"{"ts":5}"#, time(None)),
        "field `ts` at byte 7: expected a time as text, found an integer"
    );
    assert_eq!(
        edit(r#"{"ts":"1970-02-30"}"#, time(None)),
        "field `ts` at byte 7: no such day in the calendar"
    );
}

/// A failing record is left out and named, the others go on.
#[test]
fn apply_all_goes_on() {
    let input = column(&[r#"{"a":"1"}"#, r#"{"a":"x"}"#, r#"{"a":"3"}"#]);
    let (mut out, mut bad) = (RecordColumn::default(), vec![]);
    Editor::new(cast("a", CastTo::Integer))
        .apply_all(&input, &mut out, |i, e| bad.push((i, e.cause)));
    let texts: Vec<&str> = out.iter().map(|r| r.text()).collect();
    assert_eq!((texts, bad), (vec![r#"{"a":1}"#, r#"{"a":3}"#], vec![(1, DeadCause::Type)]));
}

#[test]
fn filters() {
    let c = column(&[
        r#"{"n":5,"f":2.5,"s":"UA","b":true,"z":null,"o":{"p":[1,2]},"big":9007199254740993,"wide":123456789012345678901234567890123456789012,"x-y":"\u0041"}"#,
    ]);
    for (text, yes) in [
        ("n == 5", true),
        ("n != 5", false),
        ("n<6", true),
        ("n>=5.0", true),
        ("n > 4.5 and n < 5.5", true),
        ("f > 2", true),
        ("f == 2.5e0", true),
        ("big > 9007199254740992", true),
        ("wide > 5", true),
        ("wide < 5", false),
        ("s == \"UA\"", true),
        ("s == 'UA'", true),
        ("s > \"U\"", true),
        ("s == 5", false),
        ("s != 5", true),
        ("b", true),
        ("not b", false),
        ("b == true", true),
        ("z == null", true),
        ("missing == null", true),
        ("missing != null", false),
        ("missing > 5", false),
        ("missing != 5", true),
        ("missing", false),
        ("z", false),
        ("has n", true),
        ("has z", false),
        ("has missing", false),
        ("o.p[1] == 2", true),
        ("x-y == 'A'", true),
        ("[\"x-y\"] == \"\\u0041\"", true),
        ("n == 1 or n == 5 and not (s == 'AA' or b == false)", true),
        ("(n == 1 or n == 5) and s == 'AA'", false),
        ("not not b", true),
        ("n == -5", false),
        ("android", false),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.passes(c.row(0)).unwrap(), yes, "{text}");
        let again = Filter::parse(&filter.to_string()).unwrap();
        assert_eq!(again, filter, "{filter}");
    }
    for (text, what) in [
        ("s > 5", "field `s` at byte 20: expected a number to compare, found a text"),
        ("n < 'x'", "field `n` at byte 6: expected a text to compare, found an integer"),
        ("n", "field `n` at byte 6: expected a boolean, found an integer"),
        ("b > true", "field `b` at byte 29: expected a number or a text to order, found a boolean"),
        ("o > 1", "field `o` at byte 47: expected a number to compare, found an object"),
    ] {
        let error = Filter::parse(text).unwrap().passes(c.row(0)).unwrap_err();
        assert_eq!((error.cause, error.what.as_str()), (DeadCause::Type, what));
    }
}

#[test]
fn filters_that_cannot_be_read() {
    for (text, error) in [
        ("", "filter, character 1: expected a field, `not`, `has` or `(`"),
        ("a =5", "filter, character 3: write `==` to compare"),
        ("a ==", "filter, character 5: expected a number, a text in quotes, true, false or null"),
        (
            "a == UA",
            "filter, character 6: `UA` is no number, true, false or null; a text stands in quotes",
        ),
        (
            "a == inf",
            "filter, character 6: `inf` is no number, true, false or null; a text stands in quotes",
        ),
        ("a == 'x", "filter, character 6: the text is not closed by '"),
        ("a == \"\\q\"", "filter, character 6: the text has an escape that JSON does not know"),
        ("a == 5 b == 6", "filter, character 8: expected `and`, `or` or the end"),
        ("(a == 5", "filter, character 8: expected `)`"),
        ("a == 5)", "filter, character 7: expected `and`, `or` or the end"),
        ("and a", "filter, character 1: expected a field before `and`"),
        ("a and", "filter, character 6: expected a field, `not`, `has` or `(`"),
        ("a..b == 1", "filter, character 3: expected a field name"),
        ("a && b", "filter, character 3: expected `and`, `or` or the end"),
    ] {
        assert_eq!(Filter::parse(text).unwrap_err().to_string(), error, "{text}");
    }
    let deep = format!("{}a", "(".repeat(100));
    assert!(Filter::parse(&deep).unwrap_err().what.starts_with("more than 64"));
    let wide = vec!["a"; 1000].join(" and ");
    assert!(Filter::parse(&wide).is_ok());
}
