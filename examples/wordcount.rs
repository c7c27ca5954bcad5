//! Words of a text, counted by key: accumulation that is never complete and leaves at the end.
//!
//! Every word is a fragment of its own count. Nothing is required but more than will ever come, so
//! each word stays open until the input ends and leaves then, as a partial result with reason
//! `end`.
//!
//! A word that stands twice counts twice: with `Identity::Each` no fragment is a copy of another,
//! and a count costs the same however often its word comes.
//!
//! `cargo run --release -p flux-io --example wordcount -- FILE`, or `... -- - < FILE` for standard input;
//! without an argument it counts a text of its own. Batch size and engine change the speed, never
//! the counts: try `--batch 1 --engine rayon --workers 2`.
//!
//! Rows 45, 55, 116, 121.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

#[path = "support/command.rs"]
mod command;
#[path = "support/engines.rs"]
mod engines;

use command::{Args, Failure};
use engines::Engine;
use flux_io::accumulate::Identity;
use flux_io::connect::lines;
use flux_io::flow::Runnable;
use flux_io::prelude::*;
use std::process::ExitCode;

const USAGE: &str =
    "usage: wordcount [FILE|-] [--batch N] [--engine sync|tokio|rayon] [--workers N]
  FILE       a text, plain or gzip; `-` is standard input; without it a text of its own
  --batch    rows of a batch; 1024 when not said
  --engine   who runs it; sync when not said
  --workers  workers, and shards of the counts; 1 when not said";

/// Words shown.
const TOP: usize = 10;

/// What is counted when no text is given.
const TEXT: &str = "\
The river carries what the rain has left: leaves, sand, the name of a boat.
What the river carries, the sea keeps; what the sea keeps, the rain forgets.
A boat without a name waits for the river, and the river waits for the rain.
Count the words, said the rain, and the river began with the first.";

/// The words of a line, in lower case, without what stands around them.
fn words(line: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(line).to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The whole pipeline behind any source of lines.
fn pipeline(
    text: impl Source<Col = ByteColumn> + 'static,
    workers: u32,
    counts: impl Sink<Col = Vec<Outcome<String, u64>>> + 'static,
) -> impl Runnable<'static> {
    Pipeline::new()
        .source("text", text)
        .map_rows("words", words)
        .flat_map("word", |words: Vec<String>| words)
        .key_by_str("by word", |word: &String| word)
        .accumulate("count", |policy| {
            policy
                .require(Require::count(u32::MAX))
                .identity(Identity::Each)
                .merge(|count: &mut u64, _word: &mut String| *count += 1)
        })
        .parallel(workers)
        .sink("counts", counts)
}

fn main() -> ExitCode {
    command::run(USAGE, job)
}

fn job(mut args: Args) -> Result<(), Failure> {
    let batch = args.value("--batch", 1024_usize)?.max(1);
    let engine = args.value("--engine", Engine::Sync)?;
    let workers = args.value("--workers", 1_u32)?.max(1);
    let (sink, counts) = sink::collect();
    let options = RunOptions::default().batch(batch).workers(workers);
    let (report, took) = match args.last()?.as_deref() {
        None => {
            let text = lines::reader("its own text", TEXT.as_bytes());
            engine.run(options, pipeline(text, workers, sink))
        }
        Some("-") => engine.run(options, pipeline(lines::stdin(), workers, sink)),
        Some(file) => engine.run(options, pipeline(lines::file(file), workers, sink)),
    }?;

    let outcomes = counts.take();
    let mut counts: Vec<(u64, &str)> =
        outcomes.iter().map(|o| (*o.value(), o.key().as_str())).collect();
    counts.sort_by(|(n, word), (m, other)| m.cmp(n).then_with(|| word.cmp(other)));
    for (n, word) in counts.iter().take(TOP) {
        println!("{n:>8} {word}");
    }
    let words: u64 = counts.iter().map(|(n, _)| n).sum();
    let (different, seconds) = (counts.len(), took.as_secs_f64());
    println!("{words} words, {different} different; {engine}, batches of {batch}, {seconds:.3} s");
    println!("ledger: {}", report.ledger("count").unwrap_or_default());
    Ok(())
}
