//! What the language of pipeline files has and this program does not do: refused at the check,
//! never ignored in silence.

use crate::config::{
    Accumulate, Code, Completion, Identity, Op, OutFormat, Pipeline, Problem, Sink, SinkKind,
    Stage, Takes,
};
use std::ops::Range;

/// Everything in `file` that cannot be had.
pub(crate) fn problems(file: &Pipeline) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Some(a) = &file.accumulate {
        file.stages.iter().for_each(|s| numbered(a, s, &mut found));
    }
    if let Some(a) = &file.accumulate
        && a.completion != Completion::Auto
    {
        let what = format!("completion = \"{}\"", a.completion.word());
        let why =
            "keyed state is not spilled: what the budget does not hold leaves as on_limit says";
        add(
            &mut found,
            &a.required.at,
            what,
            why,
            "remove `completion`, and raise budget if need be",
        );
    }
    for route in file.routes.iter().filter(|r| r.of.contains(&Takes::DeadLetters)) {
        let what = format!("route `{}` looks at dead letters", route.name.value);
        let fix = "leave dead_letters to the sink that takes them";
        add(&mut found, &route.name.at, what, "routes judge results", fix);
    }
    for s in &file.sinks {
        sink(file, s, &mut found);
    }
    found
}

fn add(found: &mut Vec<Problem>, at: &Range<usize>, what: String, why: &str, fix: &str) {
    found.push(Problem::new(Code::Unsupported, at.clone(), what, why, fix));
}

/// One record that becomes several has one number.
fn numbered(a: &Accumulate, stage: &Stage, found: &mut Vec<Problem>) {
    if let Op::Jq(program) = &stage.op
        && a.identity == Identity::SourceSeq
    {
        let what = format!("identity = \"source_seq\" behind jq stage `{}`", stage.name.value);
        let why = "a program may make several records of one, and all would have its number";
        add(found, &program.at, what, why, "give identity a field, or use the other stages");
    }
}

fn sink(file: &Pipeline, s: &Sink, found: &mut Vec<Problem>) {
    let name = &s.name.value;
    if s.format == OutFormat::Csv && s.takes.contains(&Takes::DeadLetters) {
        let what = format!("sink `{name}` takes dead letters as csv");
        let why = "an original is any bytes, and dead letters are read back as ndjson";
        add(found, &s.name.at, what, why, "write format = \"ndjson\"");
    }
    let routed = file.routes.iter().any(|r| r.to.value == s.name.value);
    let mixed = s.takes.contains(&Takes::DeadLetters) && (s.takes.len() > 1 || routed);
    if mixed && s.kind == SinkKind::File {
        let what = format!("sink `{name}` takes dead letters and results");
        let why = "dead letters are written by themselves, and two writers would tear the file";
        add(found, &s.name.at, what, why, "give the dead letters a sink of their own");
    }
}
