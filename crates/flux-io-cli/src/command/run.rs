//! `run`: a pipeline to its end.

mod engine;
mod files;
mod progress;
mod signals;
mod stalls;
mod summary;

use super::workers;
use crate::cli::Run;
use crate::config::Code;
use crate::config::{SinkKind, Source};
use crate::console::{Exit, Failure, Outcome, print, say};
use crate::job::{Cap, Job, LedgerFile, Settings, describe};
use crate::json::Object;
use crate::load::{Loaded, load};
use flux_io::RunError;
use flux_io::connect::output::is_closed_pipe;
use flux_io::core::{ErrorKind, RunFailure, RunHandle, RunOptions, chain};
use progress::Progress;
use signals::Signals;
use stalls::Stalls;
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::Summary;

pub(super) fn run(args: &Run, json: bool) -> Outcome {
    let mut loaded = load(&args.pipeline.file)?;
    args.overrides.apply(&mut loaded.file.run);
    let ledger = args.ledger.as_deref().map(LedgerFile::create).transpose();
    let ledger = ledger.map_err(|e| no_ledger(&loaded, &e))?;
    let settings = Settings { ledger, ..Settings::default() };
    execute(&loaded, settings, args.quiet, json)
}

/// Runs a pipeline file to its end, and tells how it went.
pub(super) fn execute(loaded: &Loaded, mut settings: Settings, quiet: bool, json: bool) -> Outcome {
    settings.workers = workers(&loaded.file.run);
    files::check(loaded, settings.inputs.is_none())?;
    let job = describe(&loaded.file, &settings).map_err(|e| loaded.refused(&e))?;
    let voice = Voice::new(loaded, quiet, json);
    let handle = RunHandle::new();
    let signals = Signals::watch(&handle, voice);
    voice.event(|| started(loaded, &settings))?;
    let progress = Progress::start(&handle, &job, voice);
    let cap = Arc::new(Cap::new(loaded.file.run.budget.value));
    let options = RunOptions::default()
        .workers(settings.workers)
        .batch(loaded.file.run.batch_rows as usize)
        .handle(&handle);
    let options = RunOptions { memory: Some(Arc::<Cap>::clone(&cap)), ..options };
    let stalls = Stalls::start(voice);
    let options = stalls.watch(options, loaded.file.run.max_stall);
    let Job { plan, tally, sources, accumulator, .. } = job;
    let start = now();
    let ended = engine::run(loaded.file.run.engine, plan, options);
    let took = start.elapsed();
    let stalls = stalls.stop();
    progress.stop();
    let interrupted = signals.stop();
    let (report, failed) = match ended {
        Ok(report) => (report, None),
        Err(RunError::Failed { failure, report }) => (*report, Some(failed(loaded, &failure)?)),
        Err(e) => return Err(defect(loaded, &e)),
    };
    if let Some(file) = settings.ledger.filter(|_| failed.is_none() && report.is_success()) {
        file.publish().map_err(|e| no_ledger(loaded, &e))?;
    }
    let summary = Summary {
        name: &loaded.file.name,
        report: &report,
        tally: &tally.take(),
        stalls,
        sources: &sources,
        accumulator: accumulator.as_deref(),
        took,
        held: cap.peak(),
        budget: loaded.file.run.budget.value,
        sinks: &loaded.file.sinks,
        failed: failed.is_some(),
    };
    match (failed, interrupted) {
        (_, Some(signal)) => {
            voice.summary(&summary)?;
            Ok(Exit::Signal(signal))
        }
        (Some(failure), None) => {
            voice.summary(&summary)?;
            Err(failure)
        }
        (None, None) => {
            voice.summary(&summary)?;
            Ok(Exit::Done)
        }
    }
}

fn no_ledger(loaded: &Loaded, e: &std::io::Error) -> Failure {
    let fix = "give --ledger another path";
    let what = "the ledger file cannot be written";
    Failure::Problems(loaded.problem(Code::NoOutput, 0..0, what, e.to_string(), fix), Exit::Failed)
}

fn started(loaded: &Loaded, settings: &Settings) -> Object {
    let run = &loaded.file.run;
    Object::event("start")
        .text("pipeline", &loaded.file.name)
        .text("engine", run.engine.word())
        .plain("workers", settings.workers)
        .plain("budget", run.budget.value)
}

/// Wall time, for people.
#[expect(clippy::disallowed_methods, reason = "the program shows its user the clock on the wall")]
fn now() -> Instant {
    Instant::now()
}

/// How a run speaks: to whom, and in what form.
#[derive(Clone, Copy, Debug)]
struct Voice {
    quiet: bool,
    json: bool,
    /// Standard output is taken by a sink.
    taken: bool,
}

impl Voice {
    fn new(loaded: &Loaded, quiet: bool, json: bool) -> Self {
        let taken = loaded.file.sinks.iter().any(|s| s.kind == SinkKind::Stdout);
        Self { quiet, json, taken }
    }

    fn report(self, text: &str) -> std::io::Result<()> {
        if self.taken {
            say(text);
            return Ok(());
        }
        print(text)
    }

    /// A line of JSON, when that is asked for.
    fn event(self, make: impl FnOnce() -> Object) -> std::io::Result<()> {
        if self.json { self.report(&make().line()) } else { Ok(()) }
    }

    fn summary(self, summary: &Summary<'_>) -> std::io::Result<()> {
        match (self.json, self.quiet) {
            (true, _) => self.report(&summary.event().line()),
            (false, true) => Ok(()),
            (false, false) => self.report(&summary.text()),
        }
    }
}

/// What stopped the run, shown in the pipeline file; a reader of standard output that went away is
/// a quiet end.
fn failed(loaded: &Loaded, failure: &RunFailure) -> Result<Failure, Failure> {
    if is_closed_pipe(&failure.error) {
        return Err(Failure::ClosedPipe);
    }
    let why = chain(&failure.error);
    let stage = failure.stage.as_str();
    let source = |s: &&Source| s.name.value == stage;
    if let Some(source) = loaded.file.sources.iter().find(source) {
        let at = source.path.as_ref().map_or(&source.name.at, |p| &p.at).clone();
        let what = format!("source `{stage}` cannot be read to its end");
        let fix = "mend or remove the input; what was read before is not written either";
        let problems = loaded.problem(Code::ReadFailed, at, what, why, fix);
        return Ok(Failure::Problems(problems, Exit::Failed));
    }
    let sinks = &loaded.file.sinks;
    if let Some(sink) = sinks.iter().find(|s| stage.strip_prefix("sink.") == Some(&s.name.value)) {
        let at = sink.path.as_ref().map_or(&sink.name.at, |p| &p.at).clone();
        let what = format!("sink `{}` cannot be written", sink.name.value);
        let fix = "make room, or give another path; no output file of this run was left half-done";
        let problems = loaded.problem(Code::WriteFailed, at, what, why, fix);
        return Ok(Failure::Problems(problems, Exit::Failed));
    }
    if failure.error.kind == ErrorKind::Stuck {
        let what = "the run cannot go on: its stages wait for each other";
        let fix = "this is a defect of flux-io: please report it with the pipeline file";
        let problems = loaded.problem(Code::Stalled, 0..0, what, why.trim_end(), fix);
        return Ok(Failure::Problems(problems, Exit::Failed));
    }
    let what = format!("`{stage}` stopped the run");
    let fix = "mend the input, or choose on_bad = \"dead_letter\" (on_expire for keys) to go on";
    let problems = loaded.problem(Code::Stopped, 0..0, what, why, fix);
    Ok(Failure::Problems(problems, Exit::Failed))
}

fn defect(loaded: &Loaded, e: &RunError) -> Failure {
    let what = "what was counted does not add up";
    let fix = "this is a defect of flux-io: please report it with the pipeline file";
    let problems = loaded.problem(Code::Unbalanced, 0..0, what, chain(e), fix);
    Failure::Problems(problems, Exit::Failed)
}

/// `n` in groups of three digits.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many a second.
fn rate(n: u64, took: Duration) -> u64 {
    (n as f64 / took.as_secs_f64().max(1e-9)) as u64
}
