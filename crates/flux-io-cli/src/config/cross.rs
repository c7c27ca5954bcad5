//! What no part can see alone: names that refer to each other, and parts that need each other.

use super::model::{Accumulate, Located, Pipeline, Sink, SinkKind, Source, SourceKind, Takes};
use super::problem::Code;
use super::section::Section;
use super::suggest::nearest;

/// Checks the whole. `unread` are sinks whose classes are given and could not be read: they are not
/// told that they take nothing.
pub(super) fn check(p: &Pipeline, top: &Section<'_, '_>, unread: &[String]) {
    sources(p, top);
    sinks(p, top, unread);
    names(p, top);
    references(p, top);
    if let Some(a) = &p.accumulate {
        accumulate(p, a, top);
    }
}

fn sources(p: &Pipeline, top: &Section<'_, '_>) {
    if p.sources.is_empty() && top.has("source") {
        let fix = "add a table [source.some_name]";
        top.log.add(
            Code::Missing,
            top.place("source"),
            "there is no source",
            "records must come from somewhere",
            fix,
        );
    }
    let stdin: Vec<&Source> = p.sources.iter().filter(|s| s.kind == SourceKind::Stdin).collect();
    if let Some(second) = stdin.get(1) {
        let why = "standard input can be read once";
        top.log.add(
            Code::Shared,
            second.name.at.clone(),
            "two sources read standard input",
            why,
            "give one of them a file",
        );
    }
    for s in &p.sources {
        path(&s.name, s.path.as_ref(), s.kind == SourceKind::File, "source", top);
        if s.record_limit > p.run.budget.value / 4 {
            let what = format!(
                "records of `{}` may be {} bytes, the budget is {}",
                s.name.value, s.record_limit, p.run.budget.value
            );
            let why = "a record is held in up to four places at once";
            top.log.add(
                Code::Conflict,
                s.name.at.clone(),
                what,
                why,
                "lower record_limit or raise budget",
            );
        }
    }
}

fn path(
    name: &Located<String>,
    path: Option<&Located<String>>,
    wanted: bool,
    part: &str,
    top: &Section<'_, '_>,
) {
    match path {
        None if wanted => {
            let what = format!("[{part}.{}] has no `path`", name.value);
            let fix = format!(
                "add `path = \"...\"`, or kind = \"{}\"",
                if part == "sink" { "stdout" } else { "stdin" }
            );
            top.log.add(Code::Missing, name.at.clone(), what, "it is a file", fix);
        }
        Some(path) if !wanted => {
            let what = format!("[{part}.{}] is no file and has a `path`", name.value);
            top.log.add(
                Code::Conflict,
                path.at.clone(),
                what,
                "the path would be ignored",
                "remove it, or write kind = \"file\"",
            );
        }
        Some(path) if path.value.is_empty() || path.value.contains('\0') => {
            top.log.add(
                Code::Name,
                path.at.clone(),
                "this is no path",
                "a file has a name",
                "write the path of the file",
            );
        }
        _ => {}
    }
}

fn sinks(p: &Pipeline, top: &Section<'_, '_>, unread: &[String]) {
    if p.sinks.is_empty() && top.has("sink") {
        let fix = "add a table [sink.some_name]";
        top.log.add(
            Code::Missing,
            top.place("sink"),
            "there is no sink",
            "results must go somewhere",
            fix,
        );
    }
    for (i, s) in p.sinks.iter().enumerate() {
        path(&s.name, s.path.as_ref(), s.kind == SinkKind::File, "sink", top);
        for other in &p.sinks[..i] {
            shared(s, other, top);
        }
        let routed = p.routes.iter().any(|r| r.to.value == s.name.value);
        if s.takes.is_empty() && !routed && !unread.contains(&s.name.value) {
            let what = format!("nothing goes to [sink.{}]", s.name.value);
            let fix = "add takes = [\"complete\"] (or partial, late, dead_letters ...), or a [[route]] to it";
            top.log.add(
                Code::Missing,
                s.name.at.clone(),
                what,
                "it takes no class and no route leads to it",
                fix,
            );
        }
        for class in &s.takes {
            belongs(p, s, *class, top);
        }
    }
}

fn shared(s: &Sink, other: &Sink, top: &Section<'_, '_>) {
    let same_file = s.kind == SinkKind::File
        && other.kind == SinkKind::File
        && s.path.is_some()
        && s.path.as_ref().map(|p| &p.value) == other.path.as_ref().map(|p| &p.value);
    if same_file {
        let what =
            format!("[sink.{}] and [sink.{}] write to one file", other.name.value, s.name.value);
        let at = s.path.as_ref().map_or(s.name.at.clone(), |p| p.at.clone());
        let fix = "give each its own path, or let one sink take both";
        top.log.add(Code::Shared, at, what, "their lines would mix and tear", fix);
    }
    if let Some(class) = s.takes.iter().find(|class| other.takes.contains(class)) {
        let what = format!(
            "[sink.{}] and [sink.{}] both take {}",
            other.name.value,
            s.name.value,
            class.word()
        );
        let why = "each result goes to one sink";
        top.log.add(
            Code::Shared,
            s.name.at.clone(),
            what,
            why,
            "let one of them take it; split with a [[route]]",
        );
    }
}

fn belongs(p: &Pipeline, s: &Sink, class: Takes, top: &Section<'_, '_>) {
    let right = match class {
        Takes::DeadLetters => true,
        Takes::Records => p.accumulate.is_none(),
        Takes::Complete | Takes::Partial | Takes::Late | Takes::Corrected => p.accumulate.is_some(),
    };
    // An accumulator that could not be read is not absent.
    let unread = class != Takes::Records && top.has("accumulate");
    if !right && !unread {
        let what = format!(
            "[sink.{}] takes {}, which this pipeline does not make",
            s.name.value,
            class.word()
        );
        let (why, fix) = if class == Takes::Records {
            ("an accumulator turns all records into results", "take complete, partial or late")
        } else {
            ("only an accumulator makes it", "add [accumulate], or take records")
        };
        top.log.add(Code::Reference, s.name.at.clone(), what, why, fix);
    }
}

/// Names of stages, routes and tests are each told apart.
fn names(p: &Pipeline, top: &Section<'_, '_>) {
    let stages: Vec<&Located<String>> = p.stages.iter().map(|s| &s.name).collect();
    let routes: Vec<&Located<String>> = p.routes.iter().map(|r| &r.name).collect();
    let tests: Vec<&Located<String>> = p.tests.iter().map(|t| &t.name).collect();
    for (part, list) in [("stage", stages), ("route", routes), ("test", tests)] {
        for (i, name) in list.iter().enumerate() {
            if list[..i].iter().any(|other| other.value == name.value) {
                let what = format!("two of [[{part}]] are called `{}`", name.value);
                let why = "reports name them";
                top.log.add(Code::Shared, name.at.clone(), what, why, "rename one of them");
            }
        }
    }
}

fn references(p: &Pipeline, top: &Section<'_, '_>) {
    let sources: Vec<&str> = p.sources.iter().map(|s| s.name.value.as_str()).collect();
    let sinks: Vec<&str> = p.sinks.iter().map(|s| s.name.value.as_str()).collect();
    let known = |name: &Located<String>, part: &str, list: &[&str]| {
        if !list.contains(&name.value.as_str()) {
            let fix = match nearest(&name.value, list.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("there are: {}", list.join(", ")),
            };
            let what = format!("there is no {part} `{}`", name.value);
            top.log.add(
                Code::Reference,
                name.at.clone(),
                what,
                format!("it is no [{part}.NAME] of this file"),
                fix,
            );
        }
    };
    for name in p.stages.iter().flat_map(|s| &s.of) {
        known(name, "source", &sources);
    }
    for route in &p.routes {
        known(&route.to, "sink", &sinks);
    }
    for test in &p.tests {
        match &test.source {
            Some(name) => known(name, "source", &sources),
            None if p.sources.len() > 1 => {
                let what =
                    format!("test `{}` does not say which source reads its input", test.name.value);
                let fix = format!("add source = \"{}\"", sources[0]);
                top.log.add(Code::Missing, test.name.at.clone(), what, "there are several", fix);
            }
            None => {}
        }
    }
}

fn accumulate(p: &Pipeline, a: &Accumulate, top: &Section<'_, '_>) {
    let timed = a.expire_after.is_some() || a.inactive_after.is_some();
    if timed && !top.has("event_time") {
        let what = "a deadline in event time without [event_time]";
        let fix =
            "add [event_time] with field = \"...\", or use timeout and idle_timeout (the clock)";
        top.log.add(
            Code::Conflict,
            top.place("accumulate"),
            what,
            "records have no time to go by",
            fix,
        );
    }
    let declared: Vec<&str> = a.bounds.iter().map(|b| b.name.as_str()).collect();
    let used = a.required.value.bounds();
    for name in &used {
        if !declared.contains(name) {
            let fix = match nearest(name, declared.iter().copied()) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => {
                    format!("add bounds = {{ {name} = \"header.{name}\" }}: variable, dot, field")
                }
            };
            let what = format!("nothing declares `{{{name}}}`");
            top.log.add(
                Code::Required,
                a.required.at.clone(),
                what,
                "a fragment must say how far the numbers go",
                fix,
            );
        }
    }
    for bound in &a.bounds {
        if !used.contains(&bound.name.as_str()) {
            let what = format!("the bound `{}` is not used", bound.name);
            let fix =
                format!("use it as \"...:1..{{{}}}\" in `required`, or remove it", bound.name);
            top.log.add(
                Code::Required,
                bound.field.at.clone(),
                what,
                "it would be read and mean nothing",
                fix,
            );
        }
        let parts = a.required.value.parts();
        if !parts.is_empty() && !parts.iter().any(|part| part.name == bound.variable) {
            let what = format!(
                "`{}` is declared by `{}`, which is not required",
                bound.name, bound.variable
            );
            let why = "a key could be complete without ever knowing how far its numbers go";
            let fix = format!("add \"{}\" to `required`", bound.variable);
            top.log.add(Code::Required, bound.field.at.clone(), what, why, fix);
        }
    }
    if let Some(limit) = a.max_bytes
        && limit > p.run.budget.value
    {
        let what = format!("`max_bytes` is {limit}, the budget of the run {}", p.run.budget.value);
        top.log.add(
            Code::Conflict,
            top.place("accumulate"),
            what,
            "open keys live inside the budget",
            "lower max_bytes or raise budget",
        );
    }
}
