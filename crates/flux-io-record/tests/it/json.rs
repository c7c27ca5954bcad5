//! The scanner against serde_json: same acceptance, same values, same canonical text.

use flux_io_record::{Kind, Limits, Record, ValueRef};
use proptest::prelude::*;
use serde_json::Value;

/// Names that repeat often, need escapes, or are empty.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "", "x\"y", "é", "\\", "\u{1}", "a.b", "\u{10348}"])
            .prop_map(str::to_owned),
        1 => ".{0,6}",
    ]
}

/// A JSON text with white space, escapes, repeated names and odd numbers.
fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
        "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?",
    ];
    let text = prop_oneof![
        ".{0,12}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        "(\\\\u00[0-9a-fA-F]{2}|\\\\n|\\\\/|\\\\ud83d\\\\ude00|[a-z é]){0,6}"
            .prop_map(|s| format!("\"{s}\"")),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number,
        text,
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|v| format!("[{}]", v.join(" , "))),
            prop::collection::vec((name(), inner), 0..5).prop_map(object),
        ]
    })
}

fn object(members: Vec<(String, String)>) -> String {
    let members: Vec<String> = members
        .into_iter()
        .map(|(k, v)| format!("{} :\t{v}", serde_json::to_string(&k).unwrap()))
        .collect();
    format!("{{ {} }}", members.join(",\n"))
}

fn record() -> impl Strategy<Value = String> {
    prop::collection::vec((name(), json()), 0..8).prop_map(object)
}

fn same(ours: ValueRef<'_>, theirs: &Value) -> Result<(), TestCaseError> {
    match theirs {
        Value::Null => prop_assert_eq!(ours.kind(), Kind::Null),
        Value::Bool(b) => prop_assert_eq!(ours.as_bool(), Some(*b)),
        Value::String(s) => prop_assert!(ours.as_str().is_some_and(|ours| ours == s.as_str())),
        Value::Number(n) => {
            prop_assert_eq!(ours.as_f64().map(f64::to_bits), n.as_f64().map(f64::to_bits));
            if let Some(i) = n.as_i64() {
                prop_assert_eq!(ours.as_i64(), Some(i));
            }
            if let Some(u) = n.as_u64() {
                prop_assert_eq!(ours.as_u64(), Some(u));
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                same(ours.item(i).unwrap(), item)?;
            }
            prop_assert_eq!(ours.item(items.len()), None);
        }
        Value::Object(members) => {
            for (k, v) in members {
                same(ours.get(k).unwrap(), v)?;
            }
            prop_assert_eq!(ours.get("\u{7}no such name"), None);
        }
    }
    Ok(())
}

/// Same verdict; when accepted, same values at every place and the same canonical text. Integers
/// beyond 64 bits are the one difference in the text: we keep their digits.
fn agree(line: &[u8]) -> Result<bool, TestCaseError> {
    let ours = Record::parse(line, &Limits::default());
    let theirs = serde_json::from_slice::<Value>(line).ok().filter(Value::is_object);
    prop_assert_eq!(
        ours.is_ok(),
        theirs.is_some(),
        "{:?}: {:?}",
        String::from_utf8_lossy(line),
        ours.as_ref().err()
    );
    let (Ok(ours), Some(theirs)) = (ours, theirs) else { return Ok(false) };
    let ours = ours.view();
    for (k, v) in theirs.as_object().unwrap() {
        same(ours.get(k).unwrap(), v)?;
    }
    let mut canonical = String::new();
    ours.canonical_json(&mut canonical);
    let digits = canonical.bytes().filter(u8::is_ascii_digit).count();
    if digits < 20 {
        prop_assert_eq!(&canonical, &serde_json::to_string(&theirs).unwrap());
    }
    let again = Record::parse(canonical.as_bytes(), &Limits::default()).unwrap();
    let mut twice = String::new();
    again.view().canonical_json(&mut twice);
    prop_assert_eq!(canonical, twice);
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, rng_seed: proptest::test_runner::RngSeed::Fixed(14), failure_persistence: None, ..ProptestConfig::default() })]

    /// Valid records read as serde_json reads them.
    #[test]
    fn valid_records_read_as_serde_json_reads_them(text in record()) {
        prop_assert!(agree(text.as_bytes())?);
    }

    /// Broken records are refused exactly when serde_json refuses them.
    #[test]
    fn mutated_records_are_judged_as_serde_json_judges_them(
        text in record(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..4),
    ) {
        let mut line = text.into_bytes();
        for (at, what, byte) in edits {
            let at = at.index(line.len().max(1));
            let odd = b"{}[]\",:\\ue+-.0159tfn\0\n \x80\xC3";
            match what {
                0 if !line.is_empty() => { line.remove(at); }
                1 => line.insert(at.min(line.len()), odd[byte as usize % odd.len()]),
                2 if !line.is_empty() => line[at] = byte,
                _ => line.truncate(at),
            }
        }
        agree(&line)?;
    }

    /// Shortest floats as other writers write them.
    #[test]
    fn floats_are_written_as_serde_json_writes_them(x in any::<f64>(), shift in -20i32..20) {
        for x in [x, (shift as f64) * 0.1, 10f64.powi(shift), 1.5 * 10f64.powi(shift)] {
            if x.is_finite() {
                let record = Record::build(|r| { r.f64("x", x); });
                let value: Value = serde_json::json!({ "x": x });
                prop_assert_eq!(record.view().text(), value.to_string());
            }
        }
    }
}

/// Every truncation of a record is refused, and only the whole is accepted.
#[test]
fn every_truncation_is_torn() {
    let whole = br#"{"a":[1,{"b":"\u00e9\ud83d\ude00"}],"c":-1.5e+3,"d":true,"e":null}"#;
    for n in 0..whole.len() {
        let error = Record::parse(&whole[..n], &Limits::default()).unwrap_err();
        assert_eq!(error.cause(), flux_io_core::DeadCause::Poison, "{n}: {error}");
    }
    assert!(Record::parse(whole, &Limits::default()).is_ok());
}
