//! The workload `mixed`: each number waits for a call of a millisecond, at most 64 at a time and in
//! order, and then takes 16 microseconds of work in two instances.

use std::time::Duration;

use bench_common::{BenchError, Measured, Task, burn, timed};
use flux_io::core::RowError;
use flux_io::flow::{Calls, Pipeline, effect};
use flux_io::source;

use crate::engines::{On, no_value, run as run_flow};

const BATCH: usize = 64;
const CALLS: usize = 64;
const CALL: Duration = Duration::from_millis(1);
const BURNS: u64 = 8;

/// Runs one case.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let on = On::of(&task.case).ok_or_else(|| task.unknown())?;
    let (sum, seconds) = timed(|| sum_of(on, task.items));
    Ok(Measured::with_sum(task.items, (sum?, seconds)))
}

fn sum_of(on: On, n: u64) -> Result<u64, BenchError> {
    let numbers = Pipeline::new().source("numbers", source::numbers(0..n));
    let called = numbers.async_map("call", Calls::limit(CALLS), |x| {
        let x = *x;
        effect::of(move |env: effect::Env| async move {
            env.sleep(CALL).await;
            Ok::<u64, RowError>(x)
        })
    });
    let burnt = called
        .hint(|h| h.waits = true)
        .map("burn", |x| (0..BURNS).fold(x, |x, _| burn(x)))
        .hint(|h| h.cpu = 100)
        .parallel(on.workers());
    let (flow, sum) = burnt.fold("sum", 0u64, |sum, x| *sum = sum.wrapping_add(x));
    run_flow(on, BATCH, true, flow)?;
    sum.take().ok_or_else(no_value)
}
