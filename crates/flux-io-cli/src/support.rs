//! What the language of pipeline files has and this program does not do: refused at the check,
//! never ignored in silence.

use crate::config::{
    Code, Completion, Compression, Format, Op, OutFormat, Pipeline, Problem, Sink, SinkKind,
    Source, Takes,
};
use std::ops::Range;

/// Everything in `file` that cannot be had.
pub(crate) fn problems(file: &Pipeline) -> Vec<Problem> {
    let mut found = Vec::new();
    file.sources.iter().for_each(|s| source(s, &mut found));
    for stage in &file.stages {
        if let Op::Jq(program) = &stage.op {
            let what = format!("stage `{}` is a jq program", stage.name.value);
            let why = "this program has no jq";
            add(
                &mut found,
                &program.at,
                what,
                why,
                "use select, drop, rename, cast, set or filter",
            );
        }
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

fn source(s: &Source, found: &mut Vec<Problem>) {
    let name = &s.name.value;
    if matches!(s.format, Format::Csv | Format::Frames) {
        let what = format!("source `{name}` is {}", s.format.word());
        let why = "this program reads ndjson and lines";
        add(found, &s.name.at, what, why, "turn the input into one JSON object a line");
    }
    if s.compression == Compression::Zstd || ends(s.path.as_ref(), ".zst") {
        let what = format!("source `{name}` is compressed with zstd");
        let fix = "compress it with gzip, or not at all";
        add(found, &s.name.at, what, "this program reads gzip", fix);
    }
    if let Some(path) = &s.path
        && path.value.contains(['*', '?', '['])
    {
        let what = format!("the path of source `{name}` is a pattern");
        add(found, &path.at, what, "this program reads one file a source", "name one file");
    }
}

fn ends(path: Option<&crate::config::Located<String>>, end: &str) -> bool {
    path.is_some_and(|path| path.value.ends_with(end))
}

fn sink(file: &Pipeline, s: &Sink, found: &mut Vec<Problem>) {
    let name = &s.name.value;
    if s.format == OutFormat::Csv {
        let what = format!("sink `{name}` is csv");
        add(found, &s.name.at, what, "this program writes ndjson", "write format = \"ndjson\"");
    }
    let packed = match s.compression {
        Compression::None => false,
        Compression::Auto => ends(s.path.as_ref(), ".gz") || ends(s.path.as_ref(), ".zst"),
        Compression::Gzip | Compression::Zstd => true,
    };
    if packed {
        let what = format!("sink `{name}` is compressed");
        let why = "this program writes plain files";
        add(found, &s.name.at, what, why, "give it another path, and compress the file afterwards");
    }
    let routed = file.routes.iter().any(|r| r.to.value == s.name.value);
    let mixed = s.takes.contains(&Takes::DeadLetters) && (s.takes.len() > 1 || routed);
    if mixed && s.kind == SinkKind::File {
        let what = format!("sink `{name}` takes dead letters and results");
        let why = "dead letters are written by themselves, and two writers would tear the file";
        add(found, &s.name.at, what, why, "give the dead letters a sink of their own");
    }
}
