//! The workload `cpu`: a map that takes two microseconds a number, summed.

use std::thread;

use bench_common::{BenchError, Measured, Task, burn, timed};
use rayon::prelude::*;

/// Runs one case.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let n = task.items;
    let (sum, seconds) = match task.case.as_str() {
        "loop" => timed(|| Ok(sum_of(0..n))),
        "loop-2t" => timed(|| {
            thread::scope(|scope| {
                let other = scope.spawn(move || sum_of(n / 2..n));
                let own = sum_of(0..n / 2);
                let other = other.join().map_err(|_| BenchError::panicked("the loop"))?;
                Ok(own.wrapping_add(other))
            })
        }),
        "rayon-2t" => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
            let pool = pool
                .map_err(|error| BenchError::Failed { what: "rayon", detail: error.to_string() })?;
            timed(|| {
                let sum = || (0..n).into_par_iter().map(burn).reduce(|| 0, u64::wrapping_add);
                Ok(pool.install(sum))
            })
        }
        _ => return Err(task.unknown()),
    };
    Ok(Measured::with_sum(n, (sum?, seconds)))
}

fn sum_of(numbers: std::ops::Range<u64>) -> u64 {
    numbers.map(burn).fold(0, u64::wrapping_add)
}
