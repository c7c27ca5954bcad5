//! The requirement: a list of variables, or a rule.

use crate::config::model::{Located, Part, Rule, UpTo};
use crate::config::problem::Code;
use crate::config::section::{Section, Value};
use crate::config::shape::RULE;
use toml::de::DeValue;

/// Rules inside each other at most.
const MAX_DEPTH: u32 = 16;

const KINDS: [&str; 8] = ["all", "any", "at_least", "count", "count_from", "weight", "and", "or"];

pub(super) fn rule(s: &Section<'_, '_>, value: &Value<'_>, depth: u32) -> Option<Rule> {
    if depth > MAX_DEPTH {
        let what = format!("rules stand more than {MAX_DEPTH} deep inside each other");
        s.log.add(Code::Range, value.span(), what, "nobody could check it", "flatten the rule");
        return None;
    }
    match value.get_ref() {
        DeValue::Array(_) => Some(Rule::All(parts(s, s.texts_in("required", value)?)?)),
        DeValue::Table(table) => {
            let inner =
                Section::open("a rule of `required`".to_owned(), value.span(), table, &RULE, s.log);
            of_table(&inner, depth)
        }
        _ => {
            let what = format!("`required` in {} is no list of variables and no rule", s.title);
            let fix = "write [\"header\", \"shipped:1..{lines}\"] or { at_least = 2, of = [\"a\", \"b\", \"c\"] }";
            s.log.add(Code::Type, value.span(), what, "expected a list or a table", fix);
            None
        }
    }
}

fn of_table(s: &Section<'_, '_>, depth: u32) -> Option<Rule> {
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| s.has(kind)).collect();
    let [kind] = given[..] else {
        let what = format!("a rule of `required` says {} things", given.len());
        let why = format!("it has exactly one of {}", KINDS.join(", "));
        let fix = "join several with { and = [...] } or { or = [...] }";
        s.log.add(Code::Required, s.at.clone(), what, why, fix);
        return None;
    };
    let takes_of = matches!(kind, "at_least" | "weight");
    if takes_of != s.has("of") {
        let (what, fix) = if takes_of {
            (format!("`{kind}` needs `of`"), "add of = [\"a\", \"b\"] (weights: of = { a = 1.0 })")
        } else {
            (format!("`of` does not belong to `{kind}`"), "remove it, or use at_least or weight")
        };
        s.log.add(Code::Required, s.at.clone(), what, "`of` says which variables count", fix);
        return None;
    }
    match kind {
        "all" => Some(Rule::All(parts(s, s.texts("all")?)?)),
        "any" => Some(Rule::Any(parts(s, s.texts("any")?)?)),
        "at_least" => at_least(s),
        "count" => Some(Rule::Count(s.integer("count")?.value as u32)),
        "count_from" => Some(Rule::CountFrom(s.text("count_from")?.value)),
        "weight" => weight(s),
        "and" => Some(Rule::And(rules(s, "and", depth)?)),
        _ => Some(Rule::Or(rules(s, "or", depth)?)),
    }
}

fn at_least(s: &Section<'_, '_>) -> Option<Rule> {
    let k = s.integer("at_least")?;
    let of = parts(s, s.texts("of")?)?;
    if of.iter().all(|p| p.each.is_none()) && k.value > of.len() as u64 {
        let what = format!("at least {} of {} variables", k.value, of.len());
        let fix = format!("write at_least = {} or less", of.len());
        s.log.add(Code::Range, k.at, what, "no key could ever be complete", fix);
        return None;
    }
    Some(Rule::KOfN(k.value as u32, of))
}

fn weight(s: &Section<'_, '_>) -> Option<Rule> {
    let value = s.value("weight")?;
    let least = s.number_in("weight", value)?;
    let mut weighted = Vec::new();
    for (name, value) in s.map("of")? {
        let weight = s.number_in("of", value)?;
        weighted.push((part(s, &name)?, weight));
    }
    let sum: f64 = weighted.iter().map(|(_, w)| w).sum();
    if weighted.iter().all(|(p, _)| p.each.is_none()) && sum < least {
        let what = format!("the weights add up to {sum}, less than {least}");
        s.log.add(
            Code::Range,
            value.span(),
            what,
            "no key could ever be complete",
            "lower `weight`",
        );
        return None;
    }
    Some(Rule::Weighted(least, weighted))
}

fn rules(s: &Section<'_, '_>, name: &str, depth: u32) -> Option<Vec<Rule>> {
    let value = s.value(name)?;
    match value.get_ref() {
        DeValue::Array(items) if !items.is_empty() => {
            let read: Vec<_> = items.iter().map(|item| rule(s, item, depth + 1)).collect();
            read.into_iter().collect()
        }
        _ => {
            let what = format!("`{name}` is no list of rules");
            let fix = format!("write {name} = [[\"a\", \"b\"], {{ any = [\"c\", \"d\"] }}]");
            s.log.add(
                Code::Type,
                value.span(),
                what,
                "expected at least one rule in brackets",
                fix,
            );
            None
        }
    }
}

fn parts(s: &Section<'_, '_>, texts: Vec<Located<String>>) -> Option<Vec<Part>> {
    let mut found: Vec<Part> = Vec::new();
    let mut good = true;
    for text in &texts {
        match part(s, text) {
            Some(part) if found.iter().any(|p| p.name == part.name) => {
                let what = format!("`{}` is required twice", part.name);
                let why = "a variable is there or not; twice says nothing more";
                s.log.add(Code::Required, text.at.clone(), what, why, "remove one of them");
                good = false;
            }
            Some(part) => found.push(part),
            None => good = false,
        }
    }
    good.then_some(found)
}

/// `header`, `shipped:1..7` or `shipped:1..{lines}`.
fn part(s: &Section<'_, '_>, text: &Located<String>) -> Option<Part> {
    let bad = |why: &str, fix: &str| {
        let what = format!("\"{}\" is no required variable", text.value);
        s.log.add(Code::Required, text.at.clone(), what, why, fix);
        None
    };
    let numbered = "write \"shipped:1..{lines}\" or \"shipped:1..7\"";
    let Some((name, range)) = text.value.rsplit_once(":1..") else {
        return if text.value.is_empty() {
            bad("its name is empty", "name the variable")
        } else if text.value.contains("..") {
            bad("the numbers of a variable begin with 1, after a colon", numbered)
        } else if text.value.contains(['{', '}']) {
            bad("only the end of a range may be declared by a fragment", numbered)
        } else {
            Some(Part { name: text.value.clone(), each: None })
        };
    };
    if name.is_empty() || name.contains(['{', '}']) {
        return bad("a plain name stands in front of the range", numbered);
    }
    let bound = range.strip_prefix('{').and_then(|r| r.strip_suffix('}'));
    let each = match (bound, range.parse::<u32>()) {
        (Some(bound), _) if !bound.is_empty() && !bound.contains(['{', '}']) => {
            UpTo::Declared(bound.to_owned())
        }
        (None, Ok(n)) if n > 0 => UpTo::Fixed(n),
        _ => {
            return bad("the range ends with a number of at least 1 or a name in braces", numbered);
        }
    };
    Some(Part { name: name.to_owned(), each: Some(each) })
}

impl Rule {
    /// All variables the rule names.
    pub(in crate::config) fn parts(&self) -> Vec<&Part> {
        match self {
            Self::All(parts) | Self::Any(parts) | Self::KOfN(_, parts) => parts.iter().collect(),
            Self::Weighted(_, parts) => parts.iter().map(|(part, _)| part).collect(),
            Self::Count(_) | Self::CountFrom(_) => Vec::new(),
            Self::And(rules) | Self::Or(rules) => rules.iter().flat_map(Self::parts).collect(),
        }
    }

    /// All names of bounds the rule uses.
    pub(in crate::config) fn bounds(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .parts()
            .into_iter()
            .filter_map(|part| match &part.each {
                Some(UpTo::Declared(name)) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        self.counted(&mut names);
        names
    }

    fn counted<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::CountFrom(name) => names.push(name),
            Self::And(rules) | Self::Or(rules) => rules.iter().for_each(|r| r.counted(names)),
            _ => {}
        }
    }
}
