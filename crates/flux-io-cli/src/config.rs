//! The pipeline file: TOML to a checked, typed [`Pipeline`], or every problem in it at once.
//!
//! Nothing here touches the world: the text and a way to look up environment variables are given,
//! so that a faulty file changes nothing and the same file means the same everywhere.

mod choice;
mod cross;
mod env;
mod log;
mod model;
mod problem;
mod read;
mod schema;
mod section;
mod shape;
mod suggest;
mod text;
mod units;

pub use model::{
    Accumulate, After, Bound, CastTo, Completion, Compression, CsvShape, Emit, Engine, EventTime,
    Evict, Expect, ExpectStatus, Expr, Fixture, Format, FrameLength, Identity, Keep, Located,
    NewKeys, OnBad, OnDuplicate, OnEnd, OnExpire, OnLate, OnLimit, OnUnkeyed, Op, OutFormat, Part,
    Pipeline, Route, Rule, Run, SetValue, Sink, SinkKind, Source, SourceKind, Stage, Takes, Then,
    UpTo,
};
pub use problem::{Code, Problem, Problems};
pub use schema::json_schema;
pub use units::{UnitError, parse_duration, parse_size};

use log::Log;
use toml::de::DeTable;

/// The version of the pipeline file's language that this program reads.
pub const VERSION: u64 = 1;

/// Bytes of a pipeline file at most: 1 MiB. It is written by hand.
pub const MAX_BYTES: usize = 1 << 20;

/// How the texts that mean something are checked. Each function is given the text and returns,
/// when it is wrong, the offset in bytes where and what to write instead.
///
/// The languages of fields, templates and filters belong to the record; whoever joins both hands
/// them in here. [`Checks::none`] accepts everything.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// A path to a field.
    pub path: fn(&str) -> Result<(), (usize, String)>,
    /// A template, `"{kind}:{line}"`.
    pub template: fn(&str) -> Result<(), (usize, String)>,
    /// A filter, `dep_delay > 15`.
    pub filter: fn(&str) -> Result<(), (usize, String)>,
    /// A jq program.
    pub jq: fn(&str) -> Result<(), (usize, String)>,
}

impl Checks {
    /// Accepts every text.
    #[must_use]
    pub const fn none() -> Self {
        const fn yes(_: &str) -> Result<(), (usize, String)> {
            Ok(())
        }
        Self { path: yes, template: yes, filter: yes, jq: yes }
    }
}

/// Reads a pipeline file. `file` is its name as messages show it; `env` looks environment
/// variables up for `${NAME}` and `${NAME:-default}`.
///
/// # Errors
/// Every [`Problem`] of the file, in its order.
pub fn parse(
    file: &str,
    bytes: &[u8],
    env: &dyn Fn(&str) -> Option<String>,
    checks: Checks,
) -> Result<Pipeline, Problems> {
    let text = match text::of(bytes) {
        Ok(text) => text,
        Err((problem, readable)) => return Err(Problems::new(file, readable, vec![problem])),
    };
    let log = Log::new(env, checks);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        log.syntax(text, error.message(), error.span());
    }
    let torn = !errors.is_empty();
    let pipeline = read::pipeline(table.get_ref(), &log, text.len());
    let found = log.into_problems(text, torn);
    match pipeline {
        Some(pipeline) if found.is_empty() => Ok(pipeline),
        _ => Err(Problems::new(file, text, found)),
    }
}
