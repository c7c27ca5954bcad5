//! `dlq retry`: originals go through the pipeline again.

use super::letter::{Letter, read};
use crate::cli::Retry;
use crate::command::run::execute;
use crate::config::{Code, Format, Located, Pipeline, Problem, Sink, SinkKind};
use crate::console::{Exit, Failure, Outcome, say};
use crate::job::Settings;
use crate::json::Object;
use crate::load::{Loaded, load};
use flux_io::record::{Limits, Record};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn retry(args: &Retry, json: bool) -> Outcome {
    let mut loaded = load(&args.pipeline.file)?;
    args.overrides.apply(&mut loaded.file.run);
    let letters = read(&args.letters.letters)?;
    if let Some(dir) = &args.out {
        redirect(&mut loaded, dir)?;
    }
    keep_letters(&loaded, &args.letters.letters)?;
    let mut again = Again::default();
    for letter in &letters {
        again.add(&loaded.file, letter);
    }
    for source in &mut loaded.file.sources {
        source.format = Format::Ndjson;
    }
    tell(&again, letters.len(), args.quiet, json);
    if again.letters == 0 {
        return Ok(Exit::Done);
    }
    let settings = Settings { inputs: Some(again.inputs), ..Settings::default() };
    execute(&loaded, settings, args.quiet, json)
}

/// Sends every file that is written into `dir`.
fn redirect(loaded: &mut Loaded, dir: &Path) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for sink in &mut loaded.file.sinks {
        let Some(path) = &mut sink.path else { continue };
        let name = Path::new(&path.value).file_name().unwrap_or_default();
        let to = dir.join(name).to_string_lossy().into_owned();
        if let Some(other) = taken.insert(to.clone(), sink.name.value.clone()) {
            let what = format!("sinks `{other}` and `{}` would both write {to}", sink.name.value);
            let why = "with --out only the names of files are kept";
            let fix = "give their files different names, or use --replace";
            problems.push(Problem::new(Code::Shared, path.at.clone(), what, why, fix));
        }
        path.value = to;
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Problems(loaded.problems(problems), Exit::Usage))
}

/// The letters are read while outputs are written, and are kept: no output may stand on them.
fn keep_letters(loaded: &Loaded, letters: &Path) -> Result<(), Failure> {
    let same = |sink: &&Sink| {
        let path = sink.path.as_ref().map(|path: &Located<String>| Path::new(&path.value));
        sink.kind == SinkKind::File
            && path.is_some_and(|path| match (path.canonicalize(), letters.canonicalize()) {
                (Ok(a), Ok(b)) => a == b,
                _ => path == letters,
            })
    };
    let Some(sink) = loaded.file.sinks.iter().find(same) else { return Ok(()) };
    let at = sink.path.as_ref().map_or(&sink.name.at, |path| &path.at).clone();
    let what = format!("sink `{}` would write over the letters that are read", sink.name.value);
    let why = "what cannot be read again stays in them alone";
    let fix = "give another --out, or move the letters first";
    Err(Failure::Problems(loaded.problem(Code::Shared, at, what, why, fix), Exit::Usage))
}

/// What is read again, and why the rest is not.
#[derive(Debug, Default)]
struct Again {
    /// Records by source, one a line.
    inputs: BTreeMap<String, Vec<u8>>,
    letters: u64,
    records: u64,
    left: BTreeMap<&'static str, u64>,
}

impl Again {
    fn add(&mut self, file: &Pipeline, letter: &Letter) {
        match lines(file, letter) {
            Ok((source, lines)) => {
                self.letters += 1;
                self.records += lines.len() as u64;
                let input = self.inputs.entry(source).or_default();
                for line in lines {
                    input.extend_from_slice(line.as_bytes());
                    input.push(b'\n');
                }
            }
            Err(why) => *self.left.entry(why).or_default() += 1,
        }
    }
}

/// The source that reads a letter again, and what it reads.
fn lines(file: &Pipeline, letter: &Letter) -> Result<(String, Vec<String>), &'static str> {
    if letter.originals.is_empty() {
        return Err("without what they were");
    }
    let only = file.sources.first().filter(|_| file.sources.len() == 1);
    let named = letter
        .source
        .as_ref()
        .and_then(|name| file.sources.iter().find(|source| source.name.value == *name));
    let source = match &letter.source {
        Some(_) => named.ok_or("of a source that the pipeline file does not have")?,
        None => only.ok_or("of whole keys, and there are several sources")?,
    };
    let name = &source.name.value;
    let of_source = letter.stage == *name || letter.stage.starts_with(&format!("{name}."));
    let staged = file
        .stages
        .iter()
        .any(|stage| stage.of.is_empty() || stage.of.iter().any(|of| of.value == *name));
    if !of_source && staged {
        return Err("behind stages, which would be run twice");
    }
    let line = |text: &String| {
        let read = Record::parse(text.as_bytes(), &Limits::default());
        // In an object, line feeds stand between values only.
        let flat = text.replace(['\n', '\r'], " ");
        match read {
            Ok(_) => Ok(flat),
            Err(_) if source.format == Format::Ndjson => Ok(flat),
            Err(_) => Err("that are no JSON objects: mend them, or read them with their format"),
        }
    };
    Ok((name.clone(), letter.originals.iter().map(line).collect::<Result<_, _>>()?))
}

fn tell(again: &Again, all: usize, quiet: bool, json: bool) {
    let left: u64 = again.left.values().sum();
    if json {
        let event = Object::event("retry")
            .plain("letters", all)
            .plain("read_again", again.letters)
            .plain("records", again.records)
            .counts("left", again.left.iter().map(|(why, n)| (*why, *n)));
        say(&event.line());
    } else if !quiet {
        say(&format!("{} of {all} dead letters are read again, {left} stay", again.letters));
        for (why, n) in &again.left {
            say(&format!("  {n} {why}"));
        }
    }
}
