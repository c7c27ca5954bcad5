//! W3: word count of a text file.

use bench_common::{BATCH_ITEMS, BenchError, Measured, Task, input_file, timed, word_sum};
use flux_io::accumulate::{AccumulateExt, After, Identity, Require};
use flux_io::connect::lines;
use flux_io::core::{ByteColumn, Var};
use flux_io::flow::Pipeline;
use std::path::Path;

use crate::engines::{On, no_value, run as run_flow};

/// Runs one case of W3.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let path = input_file("w3", task.items);
    let (sum, seconds) = match task.case.as_str() {
        "flux-strings" => timed(|| strings(&path)),
        case => {
            let on = On::of(case).ok_or_else(|| task.unknown())?;
            timed(|| words(on, &path))
        }
    };
    Ok(Measured::with_sum(task.items, (sum?, seconds)))
}

/// Words stay bytes in the arena of their batch; a known word costs no allocation.
fn words(on: On, path: &Path) -> Result<u64, BenchError> {
    let (flow, sum) = Pipeline::new()
        .source("text", lines::file(path))
        .flat_map_rows("words", |line: &[u8], words: &mut ByteColumn| {
            let mut start = 0;
            for (at, &byte) in line.iter().enumerate() {
                if byte == b' ' {
                    if at > start {
                        words.push(&line[start..at]);
                    }
                    start = at + 1;
                }
            }
            if start < line.len() {
                words.push(&line[start..]);
            }
        })
        .key_by_bytes("by word", |word: &[u8]| word)
        .accumulate("count", |policy| {
            policy
                .require(Require::count(u32::MAX))
                .identity(Identity::Each)
                .on_complete(After::Remove)
                .var(|_| Var::one(0))
                .merge(|count: &mut u64, _word| *count += 1)
        })
        .parallel(on.workers())
        .fold("sum", 0u64, |sum, outcome| {
            *sum = sum.wrapping_add(word_sum(outcome.key(), *outcome.value()));
        });
    run_flow(on, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}

/// What one writes first: an owned string a word.
fn strings(path: &Path) -> Result<u64, BenchError> {
    let (flow, sum) = Pipeline::new()
        .source("text", lines::file(path))
        .map_rows("words", |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            line.split(' ').map(str::to_owned).collect::<Vec<_>>()
        })
        .flat_map("word", |words| words)
        .key_by_str("by word", |word: &String| word)
        .accumulate("count", |policy| {
            policy
                .require(Require::count(u32::MAX))
                .identity(Identity::Each)
                .on_complete(After::Remove)
                .merge(|count: &mut u64, _word: &mut String| *count += 1)
        })
        .fold("sum", 0u64, |sum, outcome| {
            *sum = sum.wrapping_add(word_sum(outcome.key().as_bytes(), *outcome.value()));
        });
    run_flow(On::Sync, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}
