//! jq programs on records: what field operations and filters cannot say.

mod access;
mod check;
mod functions;
mod math;
mod meter;
mod number;
mod tokens;
mod value;

use crate::column::{RecordColumn, RecordRef};
use crate::limits::Limits;
use crate::value::Kind;
use flux_io_core::{Column, DeadCause, RowError};
use jaq_core::data::HasLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, DataT, Filter, Lut, Vars};
use meter::Stop;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use value::Value;

/// What one run of a program on one record may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JqLimits {
    /// Steps: values and contexts copied, values read, compared and written; 4,194,304 (2^22),
    /// which take about half a second.
    pub steps: u64,
    /// Bytes of values made, those that are dropped again included; 64 MiB.
    pub bytes: u64,
    /// Limits of each record that results.
    pub record: Limits,
}

impl Default for JqLimits {
    fn default() -> Self {
        Self { steps: 1 << 22, bytes: 64 << 20, record: Limits::default() }
    }
}

/// A program that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("jq, character {}: {what}", at + 1)]
pub struct JqError {
    /// Offset in bytes, from 0.
    pub at: usize,
    /// What is wrong and what to write.
    pub what: String,
}

/// A compiled jq program: a record in, any number of records out.
///
/// The language is jq's, without what looks beyond the record (`input`, `env`, `now`, `debug`,
/// `halt`, modules), without regular expressions and dates, and without definitions that call
/// themselves. Whole numbers are exact within 64 bits; a number that is only passed on keeps its
/// text. Fields keep their order.
///
/// A run ends with an error when it costs more than its [`JqLimits`]: endless programs and texts
/// that double are stopped. Not counted is what the library itself holds while it runs: a search
/// that branches without an end held 180 MB when it was stopped. The stop is an unwinding that is caught here, so in a program that is built
/// with `panic = "abort"` a runaway program ends the process.
#[derive(Clone)]
pub struct Jq {
    code: String,
    filter: Arc<Filter<Program>>,
    limits: JqLimits,
    results: RecordColumn,
}

/// The kinds of data that programs run on, as the library wants them named.
struct Program;

/// The program's table of terms. The library copies it with each context, that is, at least once in
/// each turn of each loop: this is where steps are counted.
struct Table<'a>(&'a Lut<Program>);

impl Clone for Table<'_> {
    fn clone(&self) -> Self {
        meter::steps(1);
        Self(self.0)
    }
}

impl<'a> HasLut<'a, Program> for Table<'a> {
    fn lut(&self) -> &'a Lut<Program> {
        self.0
    }
}

impl DataT for Program {
    type V<'a> = Value;
    type Data<'a> = Table<'a>;
}

/// What the library defines and needs functions for that are not here: the world outside, dates,
/// regular expressions, encodings; and what is
/// defined anew beside [`functions`].
const ABSENT: &[&str] = &[
    "stderr",
    "debug",
    "halt",
    "halt_error",
    "logb",
    "significand",
    "pow10",
    "drem",
    "nexttoward",
    "scalb",
    "gamma",
    "capture_of_match",
    "test",
    "scan_",
    "match",
    "capture",
    "splits",
    "sub",
    "gsub",
    "scan",
    "todate",
    "fromdate",
    "@html",
    "@htmld",
    "@uri",
    "@urid",
    "@base64",
    "@base64d",
    "isnan",
    "repeat",
    "recurse",
    "while",
    "until",
    "getpath",
];

/// More of them.
const OTHER: &[&str] = &[
    "fromdateiso8601",
    "todateiso8601",
    "strftime",
    "strptime",
    "mktime",
    "gmtime",
    "dateadd",
    "datesub",
    "date",
    "@base32",
    "@base32d",
];

/// Names of jq that look beyond the record.
const OUTSIDE: &[&str] = &[
    "input",
    "inputs",
    "debug",
    "stderr",
    "env",
    "$ENV",
    "now",
    "halt",
    "halt_error",
    "input_filename",
    "input_line_number",
    "$__loc__",
    "$__prog_args",
    "localtime",
    "localtime",
];

/// What no case is known of.
fn not_jq(at: usize) -> JqError {
    JqError { at, what: "this is no jq program".into() }
}

fn program(code: &str) -> Result<Filter<Program>, JqError> {
    let marked = check::check(code)?;
    let code = marked.code.as_str();
    let own = |text| jaq_core::load::parse(text, |p| p.defs()).unwrap_or_default();
    let kept = |def: &jaq_core::load::parse::Def<&'static str>| {
        !(ABSENT.contains(&def.name) || def.name == "split" && def.args.len() == 2)
    };
    let theirs = jaq_core::defs().chain(jaq_std::defs()).filter(kept);
    let definitions = own(functions::LOOPS).into_iter().chain(theirs);
    let definitions = definitions.chain(own(functions::DEFINITIONS));
    let functions = jaq_core::funs()
        .chain(jaq_std::base_funs().filter(|f| f.0 != "halt"))
        .chain(functions::functions());
    let arena = Arena::default();
    let modules = Loader::new(definitions).load(&arena, File { code, path: () });
    // It was read before, so only its modules could be missing, and it has none.
    let modules = modules.map_err(|_| not_jq(0))?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|files| {
        let first = files.into_iter().find_map(|(file, errors)| {
            let (name, kind) = errors.into_iter().next()?;
            let at = if file.code == code {
                marked.original(jaq_core::load::span(code, name).start)
            } else {
                0
            };
            Some(JqError { at, what: undefined(name, &kind) })
        });
        first.unwrap_or_else(|| not_jq(0))
    })
}

fn undefined(name: &str, kind: &jaq_core::compile::Undefined) -> String {
    use jaq_core::compile::Undefined;
    if OUTSIDE.contains(&name) {
        return format!("`{name}` is not available: a record is computed from itself alone");
    }
    if ABSENT.contains(&name) || OTHER.contains(&name) {
        return format!(
            "`{name}` is not available: there are no regular expressions, dates and encodings here"
        );
    }
    match kind {
        Undefined::Filter(0) => format!(
            "there is no function `{name}`; a field is written `.{name}`, a text `\"{name}\"`"
        ),
        Undefined::Filter(n) => {
            let s = if *n == 1 { "" } else { "s" };
            format!("there is no function `{name}` with {n} argument{s}")
        }
        Undefined::Var => format!("nothing before binds `{name}`; write `... as {name} | ...`"),
        Undefined::Label => format!("there is no `label {name} |` around this `break`"),
        _ => format!("`{name}` is not defined"),
    }
}

impl Jq {
    /// Compiles a program.
    ///
    /// # Errors
    /// [`JqError`] with the place: not jq, a name that is not defined, a definition that calls
    /// itself, or nested too deeply.
    pub fn compile(code: &str, limits: JqLimits) -> Result<Self, JqError> {
        let filter = Arc::new(program(code)?);
        Ok(Self { code: code.to_owned(), filter, limits, results: RecordColumn::default() })
    }

    /// The program's text.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Adds to `out` what the program makes of `record`, and returns how many records that are.
    /// When it fails, `out` is as before.
    ///
    /// # Errors
    /// Cause failed: what the program said, or it was stopped at a limit. Cause type: a result is
    /// no object. Cause oversize: a result is over the limits of a record.
    pub fn apply(
        &mut self,
        record: RecordRef<'_>,
        out: &mut RecordColumn,
    ) -> Result<usize, RowError> {
        let Self { filter, limits, results, .. } = self;
        results.clear();
        meter::run(limits.steps, limits.bytes, || run(filter, record, &limits.record, results))
            .unwrap_or_else(|why| Err(stopped(why, limits)))?;
        let bytes = results.iter().map(|r| r.text().len()).sum();
        if !out.fits(bytes) {
            let what = format!("the batch has no room for {bytes} bytes more");
            return Err(RowError::new(DeadCause::Oversize, what));
        }
        Ok(results.iter().filter(|r| out.push(*r)).count())
    }
}

fn run(
    filter: &Filter<Program>,
    record: RecordRef<'_>,
    limits: &Limits,
    results: &mut RecordColumn,
) -> Result<(), RowError> {
    let context = Ctx::<Program>::new(Table(&filter.lut), Vars::new([]));
    let mut text = String::new();
    for result in filter.id.run((context, Value::of_record(record))) {
        let value = result.map_err(|e| match e.get_err() {
            Ok(e) => failed(e.into_val()),
            Err(_) => RowError::new(DeadCause::Failed, "jq: a break without its label"),
        })?;
        let n = results.rows() + 1;
        let kind = value.kind();
        if kind != Kind::Object {
            return Err(RowError::wrong_type(format!(
                "jq: result {n} is {kind} and a record is an object; write `{{name: ...}}`"
            )));
        }
        text.clear();
        value.write(&mut text);
        results
            .push_json(text.as_bytes(), limits)
            .map_err(|e| RowError::new(e.cause(), format!("jq: result {n}: {}", e.fault)))?;
    }
    Ok(())
}

/// Characters of a program's own message that are kept.
const MESSAGE: usize = 200;

fn failed(value: Value) -> RowError {
    let what = match &value {
        Value::Text(text) => {
            let end = text.char_indices().nth(MESSAGE).map_or(text.len(), |(at, _)| at);
            format!("jq: {}", text[..end].escape_debug())
        }
        Value::Null => "jq: null (null) was thrown by `error`".into(),
        other => format!("jq: `error` was given {other}"),
    };
    RowError::new(DeadCause::Failed, what)
}

fn stopped(why: Stop, limits: &JqLimits) -> RowError {
    let (steps, bytes, depth) = (limits.steps, limits.bytes, meter::MAX_DEPTH);
    let what = match why {
        Stop::Steps => format!("jq: stopped after {steps} steps: does a loop end?"),
        Stop::Bytes => format!("jq: stopped over {bytes} bytes of values: does something double?"),
        Stop::Depth => format!("jq: stopped at a value nested deeper than {depth}"),
        Stop::Broken => "jq: the jq library broke on this record".into(),
    };
    RowError::new(DeadCause::Failed, what)
}

impl fmt::Debug for Jq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jq").field("code", &self.code).finish_non_exhaustive()
    }
}
