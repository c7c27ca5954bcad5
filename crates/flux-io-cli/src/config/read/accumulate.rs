//! The accumulator and its policy.

use super::rule::rule;
use crate::config::model::{
    Accumulate, After, Bound, Completion, Emit, Evict, Identity, Keep, Located, NewKeys,
    OnDuplicate, OnEnd, OnExpire, OnLate, OnLimit, OnUnkeyed, Then,
};
use crate::config::problem::Code;
use crate::config::section::Section;
use crate::config::shape::{EXTEND, IDENTITY, UNKEYED};
use toml::de::DeValue;

pub(super) fn accumulate(s: &Section<'_, '_>) -> Option<Accumulate> {
    let name = s.text("name");
    if let Some(name) = &name {
        s.check_name(name);
    }
    let key = field_or_template(s, "key");
    let variable = field_or_template(s, "variable");
    let required = s
        .value("required")
        .and_then(|value| rule(s, value, 1).map(|rule| Located { value: rule, at: value.span() }));
    let bounds = bounds(s);
    let ns = |name: &str| s.duration(name, false).map(|d| d.value);
    let count = |name: &str| s.integer(name).map(|n| n.value);
    let bytes = |name: &str| s.size(name).map(|n| n.value);
    let policy = Accumulate {
        name: name.map_or_else(|| "assemble".to_owned(), |n| n.value),
        key: key.unwrap_or(Located { value: String::new(), at: 0..0 }),
        variable: variable.unwrap_or(Located { value: String::new(), at: 0..0 }),
        required: required?,
        bounds,
        emit: s.choice("emit").unwrap_or(Emit::Fragments),
        identity: identity(s),
        expire_after: ns("expire_after"),
        inactive_after: ns("inactive_after"),
        timeout: ns("timeout"),
        idle_timeout: ns("idle_timeout"),
        flush_after: ns("flush_after"),
        on_expire: on_expire(s),
        after: s.choice("after").unwrap_or(After::Tombstone),
        tombstone_ttl: tombstone_ttl(s),
        max_tombstones: count("max_tombstones"),
        on_late: s.choice("on_late").unwrap_or(OnLate::SideOutput),
        on_duplicate: s.choice("on_duplicate").unwrap_or(OnDuplicate::Count),
        on_unkeyed: on_unkeyed(s),
        on_end: s.choice("on_end").unwrap_or(OnEnd::Partial),
        max_keys: count("max_keys"),
        max_bytes: bytes("max_bytes"),
        max_items: count("max_items"),
        max_key_items: count("max_key_items"),
        max_key_bytes: bytes("max_key_bytes"),
        new_keys: s.table("new_keys").and_then(|s| new_keys(&s)),
        on_limit: s.choice("on_limit").unwrap_or(OnLimit::Evict),
        evict: s.choice("evict").unwrap_or(Evict::Partial),
        max_index: s.integer("max_index").map(|n| n.value as u32),
        completion: s.choice("completion").unwrap_or(Completion::Auto),
    };
    conflicts(s, &policy);
    Some(policy)
}

fn field_or_template(s: &Section<'_, '_>, name: &str) -> Option<Located<String>> {
    let text = s.text(name)?;
    if text.value.contains(['{', '}']) {
        s.checked(text, "a template", s.log.checks.template)
    } else {
        s.checked(text, "a field", s.log.checks.path)
    }
}

/// `lines = "header.lines"`: the variable, a dot, the field.
fn bounds(s: &Section<'_, '_>) -> Vec<Bound> {
    let mut found = Vec::new();
    for (name, value) in s.map("bounds").unwrap_or_default() {
        let Some(text) = s.text_in("bounds", value) else { continue };
        match text.value.split_once('.') {
            Some((variable, field)) if !variable.is_empty() && !field.is_empty() => {
                let at = text.at.start + variable.len() + 1..text.at.end;
                let field = Located { value: field.to_owned(), at };
                if let Some(field) = s.checked(field, "a field", s.log.checks.path) {
                    let variable = variable.to_owned();
                    found.push(Bound { name: name.value, variable, field });
                }
            }
            _ => {
                let what =
                    format!("\"{}\" does not say where `{}` is declared", text.value, name.value);
                let why = "a bound is the field of the fragment of one variable";
                let fix = format!("write {} = \"header.lines\": variable, dot, field", name.value);
                s.log.add(Code::Required, text.at, what, why, fix);
            }
        }
    }
    found
}

fn identity(s: &Section<'_, '_>) -> Identity {
    let Some(value) = s.value("identity") else { return Identity::Variable };
    if matches!(value.get_ref(), DeValue::Table(_)) {
        let inner = s.table_in("identity", value, "`identity`".to_owned(), &IDENTITY);
        let field = inner.and_then(|i| i.checked(i.text("field")?, "a field", i.log.checks.path));
        return field.map_or(Identity::Variable, Identity::Field);
    }
    match s.text_in("identity", value) {
        Some(text) if text.value == "source_seq" => Identity::SourceSeq,
        Some(text) if text.value != "variable" => {
            s.not_a_word("identity", &text, &["variable", "source_seq"]);
            Identity::Variable
        }
        _ => Identity::Variable,
    }
}

fn on_expire(s: &Section<'_, '_>) -> OnExpire {
    let Some(value) = s.value("on_expire") else { return OnExpire::Leave(Then::Partial) };
    if matches!(value.get_ref(), DeValue::Table(_)) {
        let inner = s.table_in("on_expire", value, "`on_expire`".to_owned(), &EXTEND);
        let read = inner.and_then(|i| {
            let then = i.choice("then").unwrap_or(Then::Partial);
            Some(OnExpire::Extend { times: i.integer("extend")?.value as u32, then })
        });
        return read.unwrap_or(OnExpire::Leave(Then::Partial));
    }
    let then = s.text_in("on_expire", value).and_then(|text| s.word("on_expire", &text));
    OnExpire::Leave(then.unwrap_or(Then::Partial))
}

fn tombstone_ttl(s: &Section<'_, '_>) -> Keep {
    match s.value("tombstone_ttl").map(|v| v.get_ref()) {
        None => Keep::ToEnd,
        Some(DeValue::String(text)) if text == "end" => Keep::ToEnd,
        Some(_) => s.duration("tombstone_ttl", false).map_or(Keep::ToEnd, |d| Keep::For(d.value)),
    }
}

fn on_unkeyed(s: &Section<'_, '_>) -> OnUnkeyed {
    let Some(value) = s.value("on_unkeyed") else { return OnUnkeyed::DeadLetter };
    if matches!(value.get_ref(), DeValue::Table(_)) {
        let inner = s.table_in("on_unkeyed", value, "`on_unkeyed`".to_owned(), &UNKEYED);
        let key = inner.and_then(|i| i.text("key"));
        return key.map_or(OnUnkeyed::DeadLetter, |key| OnUnkeyed::Key(key.value));
    }
    if let Some(text) = s.text_in("on_unkeyed", value)
        && text.value != "dead_letter"
    {
        s.not_a_word("on_unkeyed", &text, &["dead_letter"]);
    }
    OnUnkeyed::DeadLetter
}

fn new_keys(s: &Section<'_, '_>) -> Option<NewKeys> {
    let (per_second, burst) = (s.integer("per_second"), s.integer("burst"));
    Some(NewKeys { per_second: per_second?.value as u32, burst: burst?.value as u32 })
}

/// Settings of the policy that cannot both be meant.
fn conflicts(s: &Section<'_, '_>, p: &Accumulate) {
    let conflict = |key: &str, what: &str, why: &str, fix: &str| {
        s.log.add(Code::Conflict, s.place(key), what, why, fix);
    };
    for (small, large, of, to) in [
        ("inactive_after", "expire_after", p.inactive_after, p.expire_after),
        ("idle_timeout", "timeout", p.idle_timeout, p.timeout),
    ] {
        if let (Some(of), Some(to)) = (of, to)
            && of >= to
        {
            let what = format!("`{small}` is not shorter than `{large}`");
            let why = "the absolute deadline would always come first";
            conflict(small, &what, why, "make it shorter, or remove it");
        }
    }
    for (small, large, of, to) in [
        ("max_key_items", "max_items", p.max_key_items, p.max_items),
        ("max_key_bytes", "max_bytes", p.max_key_bytes, p.max_bytes),
    ] {
        if let (Some(of), Some(to)) = (of, to)
            && of > to
        {
            let what = format!("`{small}` is over `{large}`");
            conflict(
                small,
                &what,
                "one key may not hold more than all keys",
                "lower it, or remove it",
            );
        }
    }
    if p.after != After::Tombstone {
        for key in ["tombstone_ttl", "max_tombstones", "on_late"] {
            if s.has(key) {
                let what = format!("`{key}` without tombstones");
                let why =
                    format!("after = \"{}\" keeps none, so nothing is ever late", p.after.word());
                conflict(key, &what, &why, "remove it, or write after = \"tombstone\"");
            }
        }
    }
    if s.has("evict") && p.on_limit == OnLimit::Refuse {
        let why = "on_limit = \"refuse\" makes no key leave";
        conflict("evict", "`evict` where nothing is evicted", why, "remove one of the two");
    }
    let limits = ["max_keys", "max_bytes", "max_items", "new_keys"];
    if s.has("on_limit") && p.on_limit == OnLimit::Refuse && !limits.iter().any(|k| s.has(k)) {
        let why = "without a limit of its own, only the memory budget refuses keys";
        conflict(
            "on_limit",
            "`refuse` without a limit",
            why,
            "add max_keys, max_bytes or max_items",
        );
    }
    let deadlines = ["expire_after", "inactive_after", "timeout", "idle_timeout"];
    if s.has("on_expire") && !deadlines.iter().any(|key| s.has(key)) {
        let why = "without a deadline no key expires";
        conflict(
            "on_expire",
            "`on_expire` without a deadline",
            why,
            "add expire_after or timeout, or remove it",
        );
    }
}
