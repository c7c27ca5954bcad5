//! Black-box tests: the pipeline file (what is accepted, every bad input with its exact message, the
//! published schema), and the program as a process.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod assembled;
mod book;
mod broken;
mod catalogue;
mod examples;
mod golden;
#[cfg(unix)]
mod live;
mod program;
mod schema;
#[cfg(unix)]
mod signals;
mod surfaces;
mod usage;

use flux_io_cli::config::{Checks, Pipeline, Problems, parse};

/// Reads a file with two environment variables set.
pub(crate) fn read(bytes: &[u8]) -> Result<Pipeline, Problems> {
    let env = |name: &str| match name {
        "WORKERS" => Some("2".to_owned()),
        "WORDS" => Some("many".to_owned()),
        _ => None,
    };
    parse("pipeline.toml", bytes, &env, checks())
}

/// Stand-ins for the record's languages: a bang is wrong wherever it stands.
fn checks() -> Checks {
    fn no_bang(text: &str) -> Result<(), (usize, String)> {
        match text.find('!') {
            Some(at) => Err((at, "remove the `!`".to_owned())),
            None => Ok(()),
        }
    }
    Checks { path: no_bang, template: no_bang, filter: no_bang, jq: no_bang }
}
