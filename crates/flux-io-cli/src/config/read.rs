//! From tables to the model, part by part.

mod accumulate;
mod rule;
mod source;
mod stage;

use super::cross;
use super::log::Log;
use super::model::{Compression, Engine};
use super::model::{
    EventTime, Expect, Fixture, Located, OutFormat, Pipeline, Route, Run, Sink, SinkKind,
};
use super::problem::Code;
use super::section::Section;
use super::shape::PIPELINE;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// The whole file. `None` when so much is missing that there is no pipeline to speak of; problems
/// are in the log either way.
pub(super) fn pipeline(table: &DeTable<'_>, log: &Log<'_>, len: usize) -> Option<Pipeline> {
    let top = Section::open("the file".to_owned(), 0..len.min(1), table, &PIPELINE, log);
    let version = top.integer("version");
    let name = top.text("name");
    if let Some(name) = &name {
        top.check_name(name);
    }
    let run = run(top.table("run").as_ref());
    let sources = top.named("source").into_iter().map(|(n, s)| source::source(n, &s)).collect();
    let stages: Vec<_> = top.tables("stage").iter().map(stage::stage).collect();
    let event_time = top.table("event_time").map(|s| event_time(&s));
    let accumulate = top.table("accumulate").map(|s| accumulate::accumulate(&s));
    let routes: Vec<_> = top.tables("route").iter().map(route).collect();
    let sinks = top.named("sink");
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for (name, section) in sinks {
        let sink = sink(name, &section);
        if section.has("takes") && sink.takes.is_empty() {
            unread.push(sink.name.value.clone());
        }
        read.push(sink);
    }
    let sinks = read;
    let tests: Vec<_> = top.tables("test").iter().map(fixture).collect();
    version?;
    let pipeline = Pipeline {
        name: name.map_or_else(|| "pipeline".to_owned(), |name| name.value),
        run,
        sources,
        stages: stages.into_iter().collect::<Option<_>>()?,
        event_time: flat(event_time)?,
        accumulate: flat(accumulate)?,
        routes: routes.into_iter().collect::<Option<_>>()?,
        sinks,
        tests: tests.into_iter().collect::<Option<_>>()?,
    };
    cross::check(&pipeline, &top, &unread);
    Some(pipeline)
}

/// Absent is fine, present and wrong is not.
fn flat<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    match found {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

fn run(section: Option<&Section<'_, '_>>) -> Run {
    let budget = section.and_then(|s| s.size("budget"));
    Run {
        budget: budget.unwrap_or(Located { value: 256 << 20, at: 0..0 }),
        engine: section.and_then(|s| s.choice("engine")).unwrap_or(Engine::Tokio),
        workers: section.and_then(|s| s.integer("workers")).map(|n| n.value as u32),
        batch_rows: section.and_then(|s| s.integer("batch_rows")).map_or(1024, |n| n.value as u32),
        max_stall: section.map_or(Some(MAX_STALL), max_stall),
    }
}

/// Long beside what a disk, a pipe or a jq program takes for one batch.
const MAX_STALL: Duration = Duration::from_secs(30);

fn max_stall(s: &Section<'_, '_>) -> Option<Duration> {
    match s.value("max_stall").map(|v| v.get_ref()) {
        None => Some(MAX_STALL),
        Some(DeValue::String(text)) if text == "off" => None,
        Some(_) => Some(s.duration("max_stall", true).map_or(MAX_STALL, |d| {
            if d.value.is_zero() {
                let what = format!("`max_stall` in {} is 0", s.title);
                let why = "every run would stand still at once";
                let fix = "give it a length, or write \"off\"";
                s.log.add(Code::Range, d.at, what, why, fix);
            }
            d.value
        })),
    }
}

fn event_time(s: &Section<'_, '_>) -> Option<EventTime> {
    let field = s.text("field").and_then(|f| s.checked(f, "a field", s.log.checks.path));
    let lag = s.duration("lag", true).map_or(Duration::ZERO, |d| d.value);
    let idle_after = s.duration("idle_after", false).map(|d| d.value);
    Some(EventTime { field: field?, lag, idle_after })
}

fn route(s: &Section<'_, '_>) -> Option<Route> {
    let name = s.text("name");
    if let Some(name) = &name {
        s.check_name(name);
    }
    let of = s.choices("of").unwrap_or_default();
    let when = s.text("when").and_then(|t| s.checked(t, "a filter", s.log.checks.filter));
    let to = s.text("to");
    Some(Route { name: name?, of, when: when?, to: to? })
}

fn sink(name: Located<String>, s: &Section<'_, '_>) -> Sink {
    let format = s.choice("format").unwrap_or(OutFormat::Ndjson);
    let columns = s.texts("columns");
    if s.has("columns") && format != OutFormat::Csv {
        let what = format!("`columns` in {} belongs to csv", s.title);
        let why = format!("the format is {}", format.word());
        let fix = "remove it, or write format = \"csv\"";
        s.log.add(Code::Conflict, s.place("columns"), what, why, fix);
    }
    for (i, column) in columns.iter().flatten().enumerate() {
        if columns.iter().flatten().take(i).any(|before| before.value == column.value) {
            let what = format!("`columns` in {} holds \"{}\" twice", s.title, column.value);
            let why = "a column of csv has one name";
            s.log.add(Code::Shared, column.at.clone(), what, why, "name it once");
        }
    }
    Sink {
        name,
        kind: s.choice("kind").unwrap_or(SinkKind::File),
        path: path(s),
        format,
        compression: s.choice("compression").unwrap_or(Compression::Auto),
        columns: columns.map(|all| all.into_iter().map(|c| c.value).collect()),
        takes: s.choices("takes").unwrap_or_default(),
    }
}

/// The path; when it is given and cannot be read, a stand-in, so that it is not missed too.
fn path(s: &Section<'_, '_>) -> Option<Located<String>> {
    let stand_in = || Located { value: "?".to_owned(), at: s.place("path") };
    s.text("path").or_else(|| s.has("path").then(stand_in))
}

fn fixture(s: &Section<'_, '_>) -> Option<Fixture> {
    let name = s.text("name");
    let source = s.text("source");
    let input = s.text("input");
    let expect: Vec<_> = s.tables("expect").iter().map(expect).collect();
    let dead_letters = s.integer("dead_letters").map(|n| n.value);
    let duplicates = s.integer("duplicates").map(|n| n.value);
    let expect = expect.into_iter().collect::<Option<_>>()?;
    Some(Fixture { name: name?, source, input: input?.value, expect, dead_letters, duplicates })
}

fn expect(s: &Section<'_, '_>) -> Option<Expect> {
    let key = s.text("key");
    let status = s.choice("status");
    let missing = s.texts("missing").unwrap_or_default();
    let missing = missing.into_iter().map(|m| m.value).collect();
    Some(Expect { key: key?.value, status: status?, missing })
}
