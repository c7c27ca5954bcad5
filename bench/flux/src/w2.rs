//! W2: hand-off of the numbers 0..n between two tasks, at most 16 batches of 1,024 in flight.

use bench_common::{BATCH_ITEMS, BenchError, Measured, Task, timed};
use flux_io::flow::Pipeline;
use flux_io::source;

use crate::engines::{On, no_value, run as run_flow};

const BATCHES_IN_FLIGHT: usize = 16;

/// Runs one case of W2.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let items = task.items / BATCH_ITEMS as u64 * BATCH_ITEMS as u64;
    let on = match task.case.as_str() {
        "flux-tokio" => On::Tokio(2),
        "flux-sync" => On::Sync,
        "flux-rayon" => On::Rayon(2),
        _ => return Err(task.unknown()),
    };
    let (sum, seconds) = timed(|| hand_off(on, items));
    Ok(Measured::with_sum(items, (sum?, seconds)))
}

/// The buffer between source and fold makes them two tasks.
fn hand_off(on: On, n: u64) -> Result<u64, BenchError> {
    let (flow, sum) = Pipeline::new()
        .source("numbers", source::numbers(0..n))
        .buffer(BATCHES_IN_FLIGHT)
        .fold("sum", 0u64, |sum, x| *sum = sum.wrapping_add(x));
    run_flow(on, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}
