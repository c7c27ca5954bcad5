//! `new`: a pipeline file to start from.

use crate::cli::New;
use crate::config::{Code, Problem, Problems};
use crate::console::{Exit, Failure, Outcome, print};
use std::fs::OpenOptions;
use std::io::{self, Write};

/// The file: it passes `check` and `test` as it stands.
const STARTER: &str = include_str!("new/starter.toml");

pub(super) fn new(args: &New) -> Outcome {
    let name = args.file.display().to_string();
    let made = OpenOptions::new().write(true).create_new(true).open(&args.file);
    let written = made.and_then(|mut file| {
        file.write_all(STARTER.as_bytes())?;
        file.sync_all()
    });
    if let Err(e) = written {
        return Err(unwritten(&name, &e));
    }
    print(&format!(
        "{name} is written: try `flux-io check {name}` and `flux-io test {name}`, then edit it"
    ))?;
    Ok(Exit::Done)
}

fn unwritten(name: &str, e: &io::Error) -> Failure {
    let (why, fix) = match e.kind() {
        io::ErrorKind::AlreadyExists => (
            "it is there already, and is left as it is".to_owned(),
            "give another name, or remove the file first",
        ),
        _ => (e.to_string(), "give a path that can be written"),
    };
    let what = "the pipeline file cannot be written";
    let problem = Problem::new(Code::NoOutput, 0..0, what, why, fix);
    Failure::Problems(Box::new(Problems::new(name, "", vec![problem])), Exit::Usage)
}
