//! Orders of any size: the TPC-H order lifecycle, where the header says how many lines follow and
//! may come last.
//!
//! The required set depends on the data: an order is complete with its header and, for each of its
//! lines, a shipped and a received fragment. With `--chaos` fragments are lost, sent twice, cut in
//! half, of the wrong type or too large; every one of them is accounted for. The outcome is the
//! same in every order of arrival, on every engine, and known beforehand at scales 0.01 and 0.1.
//!
//! `cargo run --release -p flux-io --example orders -- --scale 0.01 --arrival header-last --chaos`
//! The fragments and the chaos: `examples/data/README.md`.
//!
//! Rows 55, 110, 117, 118, 124, 183.

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
use flux_io_testkit::jobs::lines::Lines;
use flux_io_testkit::jobs::orders::{Arrival, DEADLINE_DAYS, Orders};
use flux_io_testkit::jobs::outcome::{OutcomeLine, Tally, canonical_json_of};
use flux_io_testkit::jobs::time::parse_date;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

const USAGE: &str =
    "usage: orders [--scale S] [--arrival time|shuffled|header-last] [--chaos] [--engine E] [--workers N]
  --scale    1 is 1.5 million orders; 0.01 when not said
  --arrival  in which order fragments come; time when not said
  --chaos    fragments are lost, doubled and broken
  --engine   sync, tokio or rayon; tokio when not said
  --workers  workers, and shards of the keyed state; 1 when not said";

/// Seed of the shuffle: any other gives the same outcome.
const SEED: u64 = 7;
/// One more day than the longest order takes, in event time; for fragments that come in time order.
const DEADLINE: Duration = Duration::from_secs(DEADLINE_DAYS.unsigned_abs() * 86_400);

/// A word of the command line: in which order fragments come.
struct Comes(Arrival);

impl FromStr for Comes {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "time" => Ok(Self(Arrival::Time)),
            "shuffled" => Ok(Self(Arrival::Shuffled(SEED))),
            "header-last" => Ok(Self(Arrival::HeaderLast)),
            _ => Err(()),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Header,
    Shipped,
    Received,
}

/// A line of the feed, as far as the pipeline looks into it.
#[derive(Deserialize)]
struct Line<'a> {
    order: u64,
    kind: Kind,
    #[serde(borrow)]
    ts: Cow<'a, str>,
    line: Option<u32>,
    lines: Option<u32>,
}

/// A fragment on its way: the whole line goes along.
struct Fragment {
    order: u64,
    var: Var,
    /// How many lines the order has, if this is its header.
    lines: Option<u32>,
    time: Timestamp,
    json: Box<[u8]>,
}

/// What an order is assembled into: its fragments as they came, by variable.
type Order = BTreeMap<Var, Box<[u8]>>;

fn parse(json: &[u8]) -> Result<Fragment, RowError> {
    let Line { order, kind, ts, line, lines } = ndjson::parse_borrowed(json)?;
    let number = |n: Option<u32>, field: &str| {
        n.ok_or_else(|| RowError::wrong_type(format!("a {field} is needed")))
    };
    let (var, lines) = match kind {
        Kind::Header => (Var::one(0), Some(number(lines, "number of `lines`")?)),
        Kind::Shipped => (Var::nth(1, number(line, "`line`")?), None),
        Kind::Received => (Var::nth(2, number(line, "`line`")?), None),
    };
    let time = parse_date(&ts).map_err(|e| RowError::wrong_type(format!("ts {ts:?}: {e}")))?;
    Ok(Fragment { order, var, lines, time: Timestamp(time), json: json.into() })
}

/// The whole pipeline, behind anything that can be read.
fn pipeline(
    feed: impl Read + Send + 'static,
    deadline: Option<Duration>,
    workers: u32,
    orders: impl Sink<Col = Vec<Outcome<u64, Order>>> + 'static,
) -> impl flux_io::flow::Runnable<'static> {
    Pipeline::new()
        .source("feed", ndjson::reader("generated orders", feed))
        .on_error(OnError::DeadLetter)
        .try_map_rows("parse", parse)
        .on_error(OnError::DeadLetter)
        .event_time("time", |f: &Fragment| f.time)
        .key_by("order", |f: &Fragment| f.order)
        .accumulate("assemble", |policy| {
            let policy = policy
                .require(
                    Require::new().one("header").each("shipped", "lines").each("received", "lines"),
                )
                .on_complete(After::Tombstone(Keep::ToEnd));
            let policy = match deadline {
                Some(after) => policy.expire_after(after),
                None => policy,
            };
            policy.var(|f: &Fragment| f.var).bound("lines", |f: &Fragment| f.lines).merge(
                |order: &mut Order, f: &mut Fragment| {
                    order.insert(f.var, std::mem::take(&mut f.json));
                },
            )
        })
        .parallel(workers)
        .sink("orders", orders)
}

/// Lines in memory, read like a file.
struct Reading {
    lines: Lines,
    at: usize,
}

impl Read for Reading {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let mut rest = self.lines.as_ndjson().get(self.at..).unwrap_or_default();
        let n = rest.read(to)?;
        self.at += n;
        Ok(n)
    }
}

fn main() -> ExitCode {
    command::run(USAGE, job)
}

fn job(mut args: Args) -> Result<(), Failure> {
    let scale = args.value("--scale", 0.01_f64)?;
    let Comes(arrival) = args.value("--arrival", Comes(Arrival::Time))?;
    let chaos = args.flag("--chaos");
    let engine = args.value("--engine", Engine::Tokio)?;
    let workers = args.value("--workers", 1_u32)?.max(1);
    if let Some(stray) = args.last()? {
        return Err(Failure::Usage(format!("`{stray}` is not understood")));
    }

    let made = Orders::generate(scale).map_err(|e| Failure::Usage(e.to_string()))?;
    let (lines, sent) = made.lines(arrival, chaos);
    drop(made);
    let deadline = (arrival == Arrival::Time).then_some(DEADLINE);
    let (sink, orders) = sink::collect();
    let options = RunOptions::default().workers(workers);
    let flow = pipeline(Reading { lines, at: 0 }, deadline, workers, sink);
    let (report, took) = engine.run(options, flow)?;

    let ledger = report.ledger("assemble").unwrap_or_default();
    let pace = figures::pace(ledger.fragments, took);
    let tally = Tally::of(&orders.take().iter().map(outcome_line).collect::<Vec<_>>());
    let within = deadline.map_or_else(|| "none".to_owned(), |_| format!("{DEADLINE_DAYS} days"));
    println!(
        "scale {scale}, {arrival:?}, chaos {chaos}; {engine}, workers {workers}; deadline {within}\n"
    );
    println!("lines       {:>11}", grouped(sent.input_lines));
    println!("orders      {:>11}", grouped(tally.complete + tally.partial));
    println!("  complete  {:>11}", grouped(tally.complete));
    println!("  partial   {:>11}", grouped(tally.partial));
    let duplicates = ledger.get(Class::Duplicate);
    println!(
        "duplicates  {:>11} ({} sent twice)",
        grouped(duplicates),
        grouped(sent.second_copies)
    );
    for (cause, n) in &report.dead_letters {
        println!("dead letter {:>11} {cause}", grouped(*n));
    }
    println!("\nledger: {ledger}");
    println!("{pace} (feed and outcomes are in memory)");
    let expected = expected_for(scale, chaos)?;
    println!("digest {}", figures::verdict(&tally, expected.as_ref())?);
    if duplicates != sent.second_copies {
        let what = format!("{duplicates} duplicates, but {} were sent twice", sent.second_copies);
        return Err(Failure::Job(what));
    }
    Ok(())
}

/// What the digest sees of an order: status, what is missing, and every field that arrived.
fn outcome_line(outcome: &Outcome<u64, Order>) -> OutcomeLine {
    let missing = outcome.headers().missing.iter().flatten().map(ToString::to_string).collect();
    let parts = outcome.value().values();
    let canonical = parts.map(|json| canonical_json_of(json).unwrap_or_default());
    OutcomeLine::new(outcome.key().to_string(), missing, canonical)
}

/// The published numbers, for the scales that have them.
fn expected_for(scale: f64, chaos: bool) -> Result<Option<Expected>, Failure> {
    let known = ["0.01", "0.1"].into_iter().find(|known| *known == scale.to_string());
    let Some(known) = known else { return Ok(None) };
    Ok(Some(Expected::named(&format!("orders-{known}{}", if chaos { "-chaos" } else { "" }))?))
}
