//! Stages.

use crate::config::model::{CastTo, Expr, Located, OnBad, Op, SetValue, Stage};
use crate::config::problem::Code;
use crate::config::section::{Section, Value};
use toml::de::DeValue;

const OPS: [&str; 8] = ["filter", "select", "drop", "rename", "cast", "set", "parse_time", "jq"];

pub(super) fn stage(s: &Section<'_, '_>) -> Option<Stage> {
    let name = s.text("name");
    if let Some(name) = &name {
        s.check_name(name);
    }
    let of = s.texts("of").unwrap_or_default();
    let on_bad = s.choice("on_bad").unwrap_or(OnBad::DeadLetter);
    // Each is read, also when one is too many, so that all problems are told.
    let ops = [
        expr(s, "filter", "a filter", s.log.checks.filter).map(Op::Filter),
        names(s, "select").map(Op::Select),
        names(s, "drop").map(Op::Drop),
        rename(s).map(Op::Rename),
        cast(s).map(Op::Cast),
        set(s).map(Op::Set),
        names(s, "parse_time").map(Op::ParseTime),
        expr(s, "jq", "a jq program", s.log.checks.jq).map(Op::Jq),
    ];
    let given: Vec<&str> = OPS.into_iter().filter(|op| s.has(op)).collect();
    if given.len() != 1 {
        let why = "a stage does one thing, so that reports can name it";
        let (what, fix) = if given.is_empty() {
            (format!("{} does nothing", s.title), format!("add one of {}", OPS.join(", ")))
        } else {
            (
                format!("{} does {} things: {}", s.title, given.len(), given.join(", ")),
                "make a [[stage]] of each, in the order they are to happen".to_owned(),
            )
        };
        let code = if given.is_empty() { Code::Missing } else { Code::Conflict };
        let at = given.get(1).map_or(s.at.clone(), |key| s.place(key));
        s.log.add(code, at, what, why, fix);
        return None;
    }
    let op = ops.into_iter().flatten().next();
    Some(Stage { name: name?, of, op: op?, on_bad })
}

fn expr(
    s: &Section<'_, '_>,
    name: &str,
    what: &str,
    check: fn(&str) -> Result<(), (usize, String)>,
) -> Option<Expr> {
    s.checked(s.text(name)?, what, check)
}

fn names(s: &Section<'_, '_>, name: &str) -> Option<Vec<String>> {
    Some(s.texts(name)?.into_iter().map(|t| t.value).collect())
}

fn rename(s: &Section<'_, '_>) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (from, value) in s.map("rename")? {
        let to = s.text_in("rename", value)?;
        if found.iter().any(|(_, other)| *other == to.value) {
            let what = format!("two fields would be called \"{}\"", to.value);
            s.log.add(
                Code::Shared,
                to.at,
                what,
                "one would replace the other",
                "rename one of them differently",
            );
            return None;
        }
        found.push((from.value, to.value));
    }
    Some(found)
}

fn cast(s: &Section<'_, '_>) -> Option<Vec<(String, CastTo)>> {
    let entries = s.map("cast")?;
    let read = entries.into_iter().map(|(field, value)| {
        let text = s.text_in("cast", value)?;
        Some((field.value, s.word("cast", &text)?))
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

fn set(s: &Section<'_, '_>) -> Option<Vec<(String, SetValue)>> {
    let entries = s.map("set")?;
    let read = entries.into_iter().map(|(field, value)| Some((field.value, set_value(s, value)?)));
    read.collect::<Vec<_>>().into_iter().collect()
}

fn set_value(s: &Section<'_, '_>, value: &Value<'_>) -> Option<SetValue> {
    let bad = |why: &str| {
        let what = format!("a field in `set` of {} gets what a record cannot hold", s.title);
        let fix = "write a text, a number, true or false";
        s.log.add(Code::Type, value.span(), what, why, fix);
    };
    match value.get_ref() {
        DeValue::Boolean(b) => Some(SetValue::Bool(*b)),
        DeValue::Integer(n) => {
            let n = i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok();
            if n.is_none() {
                bad("integers have 64 bits");
            }
            n.map(SetValue::Integer)
        }
        DeValue::Float(x) => {
            let x = x.as_str().replace('_', "").parse::<f64>().ok().filter(|x| x.is_finite());
            if x.is_none() {
                bad("JSON has no NaN and no infinity");
            }
            x.map(SetValue::Float)
        }
        DeValue::String(text) if text.is_empty() => {
            Some(SetValue::Template(Located { value: String::new(), at: value.span() }))
        }
        DeValue::String(_) => {
            let text = s.text_in("set", value)?;
            s.checked(text, "a template", s.log.checks.template).map(SetValue::Template)
        }
        _ => {
            bad("a field gets one plain value");
            None
        }
    }
}
