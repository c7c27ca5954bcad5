//! The published schema and the reader know the same keys and words.

use crate::examples::{FLIGHTS, FULL, ORDERS};
use crate::{catalogue, golden, read};
use flux_io_cli::config::{Code, json_schema};
use serde_json::Value;
use std::collections::BTreeSet;
use toml::de::{DeTable, DeValue};

/// A TOML file as JSON, as an editor hands it to a schema.
fn json(text: &str) -> Option<Value> {
    Some(table(DeTable::parse(text).ok()?.get_ref()))
}

fn table(t: &DeTable<'_>) -> Value {
    t.iter().map(|(k, v)| (k.get_ref().to_string(), value(v.get_ref()))).collect()
}

fn value(v: &DeValue<'_>) -> Value {
    match v {
        DeValue::String(s) => Value::from(s.as_ref()),
        DeValue::Integer(n) => {
            let n = i128::from_str_radix(&n.as_str().replace('_', ""), n.radix());
            n.ok().and_then(|n| i64::try_from(n).ok()).map_or(Value::from(1e300), Value::from)
        }
        DeValue::Float(x) => Value::from(x.as_str().parse::<f64>().unwrap_or(0.0)),
        DeValue::Boolean(b) => Value::from(*b),
        DeValue::Datetime(_) => serde_json::json!({ "a date": 0 }),
        DeValue::Array(a) => a.iter().map(|v| value(v.get_ref())).collect(),
        DeValue::Table(t) => table(t),
    }
}

/// The part of JSON Schema that ours uses.
fn accepts(schema: &Value, root: &Value, v: &Value) -> bool {
    let s = schema.as_object().unwrap();
    s.iter().all(|(word, rule)| match word.as_str() {
        "type" => match rule.as_str().unwrap() {
            "string" => v.is_string(),
            "boolean" => v.is_boolean(),
            "integer" => v.is_i64() || v.is_u64(),
            "number" => v.is_number(),
            "array" => v.is_array(),
            "object" => v.is_object(),
            other => panic!("{other}"),
        },
        "enum" => rule.as_array().unwrap().contains(v),
        "minimum" => v.as_f64().is_none_or(|x| x >= rule.as_f64().unwrap()),
        "maximum" => v.as_f64().is_none_or(|x| x <= rule.as_f64().unwrap()),
        "exclusiveMinimum" => v.as_f64().is_none_or(|x| x > rule.as_f64().unwrap()),
        "pattern" => v.as_str().is_none_or(|t| matches(rule.as_str().unwrap(), t)),
        "minItems" => v.as_array().is_none_or(|a| a.len() as u64 >= rule.as_u64().unwrap()),
        "minProperties" => v.as_object().is_none_or(|o| o.len() as u64 >= rule.as_u64().unwrap()),
        "items" => v.as_array().is_none_or(|a| a.iter().all(|v| accepts(rule, root, v))),
        "anyOf" => rule.as_array().unwrap().iter().any(|s| accepts(s, root, v)),
        "allOf" => rule.as_array().unwrap().iter().all(|s| accepts(s, root, v)),
        "$ref" => accepts(&root["$defs"]["rule"], root, v),
        "required" => v.as_object().is_none_or(|o| {
            rule.as_array().unwrap().iter().all(|k| o.contains_key(k.as_str().unwrap()))
        }),
        "properties" => v
            .as_object()
            .is_none_or(|o| o.iter().all(|(k, v)| rule.get(k).is_none_or(|s| accepts(s, root, v)))),
        "additionalProperties" => v.as_object().is_none_or(|o| {
            let known = s.get("properties").and_then(Value::as_object);
            let mut others = o.iter().filter(|(k, _)| known.is_none_or(|p| !p.contains_key(*k)));
            others.all(|(_, v)| rule.as_object().is_some_and(|_| accepts(rule, root, v)))
        }),
        "description" | "title" | "$schema" | "$defs" => true,
        other => panic!("{other}"),
    })
}

/// The three patterns of the schema.
fn matches(pattern: &str, text: &str) -> bool {
    let dollar = text.contains('$');
    if pattern.starts_with("^([0-9]+(d|h") {
        dollar || flux_io_cli::config::parse_duration(text).is_ok()
    } else if pattern.starts_with("^[0-9]+(B|") {
        dollar || flux_io_cli::config::parse_size(text).is_ok()
    } else {
        assert_eq!(pattern, "\\$");
        dollar
    }
}

fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(o) => {
            if let Some(Value::Object(properties)) = o.get("properties") {
                found.extend(properties.keys().cloned());
            }
            o.values().for_each(|v| keys(v, found));
        }
        Value::Array(a) => a.iter().for_each(|v| keys(v, found)),
        _ => {}
    }
}

fn used(v: &Value, found: &mut BTreeSet<String>) {
    match v {
        Value::Object(o) => o.iter().for_each(|(k, v)| {
            found.insert(k.clone());
            used(v, found);
        }),
        Value::Array(a) => a.iter().for_each(|v| used(v, found)),
        _ => {}
    }
}

#[test]
fn the_schema_is_the_published_one() {
    golden::golden("schema.json", &json_schema());
}

/// What the reader accepts, the schema accepts; what it refuses for its keys, types, words and
/// numbers, the schema refuses.
#[test]
fn schema_and_reader_agree() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    for file in [FLIGHTS, ORDERS, FULL] {
        assert!(accepts(&schema, &schema, &json(file).unwrap()));
    }
    let (mut taken, mut refused) = (0, 0);
    for (name, file) in catalogue::cases() {
        let Ok(text) = String::from_utf8(file) else { continue };
        let Some(json) = json(text.trim_start_matches('\u{feff}')) else { continue };
        match read(text.as_bytes()) {
            Ok(_) => {
                assert!(accepts(&schema, &schema, &json), "{name}");
                taken += 1;
            }
            Err(problems) => {
                let by_shape = [Code::UnknownKey, Code::Duration, Code::Size];
                // What the environment brings, no schema sees.
                let shown = !text.contains("${");
                if shown && problems.list().iter().any(|p| by_shape.contains(&p.code)) {
                    assert!(!accepts(&schema, &schema, &json), "{name}: {problems}");
                    refused += 1;
                }
            }
        }
    }
    assert!(taken >= 3 && refused >= 10, "{taken} {refused}");
}

/// Every key of the schema is in the full file, and the reader looks at each of its values: a date,
/// which no key takes, is refused wherever it is put.
#[test]
fn the_reader_reads_every_key_of_the_schema() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let (mut known, mut there) = (BTreeSet::new(), BTreeSet::new());
    keys(&schema, &mut known);
    used(&json(FULL).unwrap(), &mut there);
    assert!(known.is_subset(&there), "{:?}", known.difference(&there));
    let mut tried = 0;
    for line in FULL.lines() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        let changed = FULL.replacen(line, &format!("{key} = 1979-05-27"), 1);
        let problems = read(changed.as_bytes()).expect_err(line);
        assert!(!problems.list().is_empty());
        tried += 1;
    }
    assert!(tried > 70, "{tried}");
}
