//! The workload `cpu`: a map that takes two microseconds a number, summed.

use bench_common::{BenchError, Measured, Task, burn, timed};
use flux_io::flow::Pipeline;
use flux_io::source;

use crate::engines::{On, no_value, run as run_flow};

/// A number takes long, so few make a batch worth handing over.
const BATCH: usize = 64;

/// Runs one case.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let on = On::of(&task.case).ok_or_else(|| task.unknown())?;
    let (sum, seconds) = timed(|| sum_of(on, task.items));
    Ok(Measured::with_sum(task.items, (sum?, seconds)))
}

fn sum_of(on: On, n: u64) -> Result<u64, BenchError> {
    let numbers = Pipeline::new().source("numbers", source::numbers(0..n));
    let burnt = numbers.map("burn", burn).parallel(on.workers());
    let (flow, sum) = burnt.fold("sum", 0u64, |sum, x| *sum = sum.wrapping_add(x));
    run_flow(on, BATCH, true, flow)?;
    sum.take().ok_or_else(no_value)
}
