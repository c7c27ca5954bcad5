//! W4: smallest, mean and largest value of each key, over rows `key;value` of a file.

use bench_common::{BATCH_ITEMS, BenchError, Measured, Spread, Task, input_file, row_of, timed};
use flux_io::accumulate::{AccumulateExt, After, Identity, Require};
use flux_io::connect::lines;
use flux_io::flow::Pipeline;
use std::path::Path;

use crate::engines::{On, no_value, run as run_flow};

/// Runs one case of W4.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let path = input_file(&task.workload, task.items);
    let on = On::of(&task.case).ok_or_else(|| task.unknown())?;
    let (sum, seconds) = timed(|| spreads(on, &path));
    Ok(Measured::with_sum(task.items, (sum?, seconds)))
}

/// Lines stay as they were read; the key is a slice of its line.
fn spreads(on: On, path: &Path) -> Result<u64, BenchError> {
    let (flow, sum) = Pipeline::new()
        .source("rows", lines::file(path))
        .key_by_bytes("by key", |line: &[u8]| row_of(line).map_or(line, |row| row.0))
        .accumulate("spread", |policy| {
            policy
                .require(Require::count(u32::MAX))
                .identity(Identity::Each)
                .on_complete(After::Remove)
                .merge(|spread: &mut Spread, line: &mut [u8]| {
                    if let Some((_, value)) = row_of(line) {
                        spread.add(value);
                    }
                })
        })
        .parallel(on.workers())
        .fold("sum", 0u64, |sum, outcome| {
            *sum = sum.wrapping_add(outcome.value().check(outcome.key()));
        });
    run_flow(on, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}
