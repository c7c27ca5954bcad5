//! The main job: a week of flights, assembled from the fragments of a feed.
//!
//! Each flight that was to leave New York comes in up to four fragments (schedule, aircraft,
//! departure, arrival) that arrive out of order. The pipeline holds them by flight until all four
//! are there; what is not complete 72 hours of event time after its first fragment leaves as a
//! partial result that says what is missing. Cancelled flights never depart, diverted ones never
//! arrive: the partial results are the news.
//!
//! `cargo run --release -p flux-io --example flights -- --help` lists the options.
//! The data and their origin: `examples/data/README.md`.
//!
//! Rows 55, 117, 118, 121, 127.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

#[path = "support/command.rs"]
mod command;
#[path = "support/engines.rs"]
mod engines;
#[path = "support/figures.rs"]
mod figures;

use command::{Args, Failure};
use engines::Engine;
use figures::grouped;
use flux_io::connect::ndjson;
use flux_io::prelude::*;
use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::flights::week_path;
use flux_io_testkit::jobs::outcome::{OutcomeLine, Tally, canonical_json_of};
use flux_io_testkit::jobs::time::parse_instant;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str =
    "usage: flights [FILE] [--no-deadline] [--engine sync|tokio|rayon] [--workers N]
  FILE           NDJSON, plain or gzip; without it the week in examples/data
  --no-deadline  keep incomplete flights to the end of the file instead of 72 h of event time
  --engine       who runs it; tokio when not said
  --workers      workers, and shards of the keyed state; 1 when not said";

/// How far the feed lags at most.
const LAG: Duration = Duration::from_secs(15 * 60);
/// How long a flight may take from its first fragment, in event time.
const DEADLINE: Duration = Duration::from_secs(72 * 3600);
/// Partial flights shown of each kind.
const SHOWN: usize = 2;

/// The four parts of a flight, in the order of the requirement.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Schedule,
    Aircraft,
    Departure,
    Arrival,
}

/// A line of the feed, as far as the pipeline looks into it; text is borrowed from the line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    flight: Cow<'a, str>,
    kind: Part,
    #[serde(borrow)]
    ts: Cow<'a, str>,
}

/// A fragment on its way: the whole line goes along.
struct Fragment {
    flight: String,
    part: Part,
    time: Timestamp,
    json: Box<[u8]>,
}

/// What a flight is assembled into: its parts as they came.
type Flight = [Option<Box<[u8]>>; 4];

fn parse(line: &[u8]) -> Result<Fragment, RowError> {
    let Line { flight, kind, ts } = ndjson::parse_borrowed(line)?;
    let time = parse_instant(&ts).map_err(|e| RowError::wrong_type(format!("ts {ts:?}: {e}")))?;
    let (flight, json) = (flight.into_owned(), line.into());
    Ok(Fragment { flight, part: kind, time: Timestamp(time), json })
}

/// The whole pipeline. Describing it opens no file and starts nothing.
fn pipeline(
    file: &Path,
    deadline: Option<Duration>,
    workers: u32,
    flights: impl Sink<Col = Vec<Outcome<String, Flight>>> + 'static,
) -> impl flux_io::flow::Runnable<'static> {
    Pipeline::new()
        .source("feed", ndjson::file(file))
        .try_map_rows("parse", parse)
        .on_error(OnError::DeadLetter)
        .event_time("time", |f: &Fragment| f.time)
        .lag(LAG)
        .key_by_str("flight", |f: &Fragment| &f.flight)
        .accumulate("assemble", |policy| {
            let policy = policy
                .require(Require::all(["schedule", "aircraft", "departure", "arrival"]))
                .on_complete(After::Tombstone(Keep::ToEnd));
            let policy = match deadline {
                Some(after) => policy.expire_after(after),
                None => policy,
            };
            policy.var(|f: &Fragment| Var::one(f.part as u16)).merge(
                |flight: &mut Flight, f: &mut Fragment| {
                    flight[f.part as usize] = Some(std::mem::take(&mut f.json));
                },
            )
        })
        .parallel(workers)
        .sink("flights", flights)
}

fn main() -> ExitCode {
    command::run(USAGE, job)
}

fn job(mut args: Args) -> Result<(), Failure> {
    let deadline = (!args.flag("--no-deadline")).then_some(DEADLINE);
    let engine = args.value("--engine", Engine::Tokio)?;
    let workers = args.value("--workers", 1_u32)?.max(1);
    let file = args.last()?.map_or_else(week_path, PathBuf::from);
    let name = file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());

    let (sink, flights) = sink::collect();
    let options = RunOptions::default().workers(workers);
    let (report, took) = engine.run(options, pipeline(&file, deadline, workers, sink))?;
    let ledger = report.ledger("assemble").unwrap_or_default();
    let pace = figures::pace(ledger.fragments, took);
    let dead: u64 = report.dead_letters.values().sum();
    if ledger.fragments == 0 {
        return Err(Failure::Job(match report.samples.first() {
            None => format!("{name} has no lines"),
            Some(first) => format!(
                "{name}: none of its {dead} lines is a fragment of a flight; line {}: {}",
                first.seq + 1,
                first.what
            ),
        }));
    }

    let within = if deadline.is_some() { "72 h" } else { "none" };
    println!("{name} on {engine}, workers {workers}; lag 15 min, deadline {within}\n");
    let (late, flights): (Vec<_>, Vec<_>) =
        flights.take().into_iter().partition(|o| matches!(o, Outcome::Late { .. }));
    let tally = Tally::of(&flights.iter().map(outcome_line).collect::<Vec<_>>());
    println!("fragments   {:>8}", grouped(ledger.fragments));
    println!("flights     {:>8}", grouped(tally.complete + tally.partial));
    println!("  complete  {:>8}", grouped(tally.complete));
    println!("  partial   {:>8}", grouped(tally.partial));
    for (missing, n) in &tally.missing {
        println!("    {n:>6} without {}", missing.replace(',', ", "));
    }
    let duplicates = grouped(ledger.get(Class::Duplicate));
    println!("duplicates {duplicates}, late {}, dead letters {dead}\n", grouped(late.len() as u64));
    for sample in report.samples.iter().take(3) {
        println!("dead letter, line {}: {}", sample.seq + 1, sample.what);
    }
    show_partials(&flights);
    println!("\nledger: {ledger}");
    println!("{pace}");
    println!("digest {}", figures::verdict(&tally, expected_for(&file)?.as_ref())?);
    Ok(())
}

/// A few flights of each kind of incompleteness, the earliest first.
fn show_partials(flights: &[Outcome<String, Flight>]) {
    let mut kinds: BTreeMap<String, Vec<&Outcome<String, Flight>>> = BTreeMap::new();
    for outcome in flights.iter().filter(|o| !o.is_complete()) {
        kinds.entry(outcome.headers().missing_vars()).or_default().push(outcome);
    }
    for (missing, mut outcomes) in kinds {
        outcomes.sort_by_key(|o| o.key());
        for outcome in outcomes.into_iter().take(SHOWN) {
            let (key, headers) = (outcome.key(), outcome.headers());
            let (missing, to) = (missing.replace(',', ", "), destination(outcome.value()));
            let (score, why) = (headers.completeness, headers.reason.as_str());
            println!("{key} to {to}: no {missing} (score {score:.2}, reason {why})");
        }
    }
}

/// Where a flight was to go, read from its schedule only now that somebody asks.
fn destination(flight: &Flight) -> String {
    #[derive(Deserialize)]
    struct Schedule {
        dest: String,
    }
    let schedule = flight[Part::Schedule as usize].as_deref();
    let read = schedule.and_then(|json| ndjson::parse::<Schedule>(json).ok());
    read.map_or_else(|| "an unknown place".to_owned(), |s| s.dest)
}

/// What the digest sees of a flight: status, what is missing, and every field that arrived.
fn outcome_line(outcome: &Outcome<String, Flight>) -> OutcomeLine {
    let missing = outcome.headers().missing.iter().flatten().map(ToString::to_string).collect();
    let parts = outcome.value().iter().flatten();
    let canonical = parts.map(|json| canonical_json_of(json).unwrap_or_default());
    OutcomeLine::new(outcome.key().clone(), missing, canonical)
}

/// The published numbers, when they stand beside the data: `NAME.expected.json`.
fn expected_for(file: &Path) -> Result<Option<Expected>, Failure> {
    let name = file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let stem = name.split_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let beside = file.with_file_name(format!("{stem}.expected.json"));
    if beside.is_file() { Ok(Some(Expected::read(&beside)?)) } else { Ok(None) }
}
