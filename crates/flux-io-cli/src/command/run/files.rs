//! Inputs and outputs, looked at before anything runs, so that what is missing is told with its
//! place in the pipeline file.

use crate::config::{Code, Located, Problem, SinkKind};
use crate::console::{Exit, Failure};
use crate::job::is_pattern;
use crate::load::Loaded;
use std::fs;
use std::path::Path;

/// Every input is there, where `inputs` are read, and every output's directory, made if need be.
pub(super) fn check(loaded: &Loaded, inputs: bool) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let sources = loaded.file.sources.iter().filter(|_| inputs);
    for path in sources.filter_map(|s| s.path.as_ref()) {
        problems.extend(input(path));
    }
    if problems.is_empty() {
        for sink in loaded.file.sinks.iter().filter(|s| s.kind == SinkKind::File) {
            problems.extend(sink.path.as_ref().and_then(output));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Problems(loaded.problems(problems), Exit::Failed))
}

/// What a pattern fits is found out by the run, which says so when it is nothing.
fn input(path: &Located<String>) -> Option<Problem> {
    if is_pattern(&path.value) {
        return None;
    }
    let (why, fix) = match fs::metadata(&path.value) {
        Ok(meta) if meta.is_dir() => {
            ("it is a directory".to_owned(), "name its files, for example with `/*.ndjson`")
        }
        Ok(_) => return None,
        Err(e) => (e.to_string(), "check the path; it is taken from the current directory"),
    };
    let what = format!("the input `{}` cannot be read", path.value);
    Some(Problem::new(Code::NoInput, path.at.clone(), what, why, fix))
}

fn output(path: &Located<String>) -> Option<Problem> {
    let what = || format!("the output `{}` cannot be written", path.value);
    let to = Path::new(&path.value);
    if to.is_dir() {
        let (why, fix) = ("it is a directory", "give the name of a file in it");
        return Some(Problem::new(Code::NoOutput, path.at.clone(), what(), why, fix));
    }
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty())?;
    let e = fs::create_dir_all(dir).err()?;
    let why = format!("its directory {} cannot be made: {e}", dir.display());
    Some(Problem::new(Code::NoOutput, path.at.clone(), what(), why, "choose another path"))
}
