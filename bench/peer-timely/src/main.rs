//! The timely side. A case's name ends with its number of workers (`timely-1t`, `timely-2t`).

mod files;
mod flows;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bench_common::{BenchError, Measured, Task, run_child, timed};
use timely::worker::Worker;

/// Where the last operator of each worker adds its sum when its input has ended.
type Total = Arc<AtomicU64>;

fn main() -> ExitCode {
    run_child(run)
}

fn run(task: &Task) -> Result<Measured, BenchError> {
    let n = task.items;
    match (task.workload.as_str(), task.case.as_str()) {
        ("w1", "timely-1t") => on_workers(1, n, flows::map_filter_map_sum),
        ("w1", "timely-2t") => on_workers(2, n, flows::map_filter_map_sum),
        ("w2", "timely-exchange") => on_workers(2, n, flows::exchange_to_second_worker),
        ("w3", "timely-1t") => on_workers(1, n, files::count_words),
        ("w3", "timely-2t") => on_workers(2, n, files::count_words),
        ("w4", "timely-1t") => on_workers(1, n, files::spreads_few),
        ("w4", "timely-2t") => on_workers(2, n, files::spreads_few),
        ("w4m", "timely-1t") => on_workers(1, n, files::spreads_many),
        ("w4m", "timely-2t") => on_workers(2, n, files::spreads_many),
        ("cpu", "timely-1t") => on_workers(1, n, flows::burn_sum),
        ("cpu", "timely-2t") => on_workers(2, n, flows::burn_sum),
        ("w5", "timely-1t") => on_workers(1, n, flows::assemble),
        ("w5", "timely-2t") => on_workers(2, n, flows::assemble),
        _ => Err(task.unknown()),
    }
}

/// Builds the flow on each worker and runs all to the end; the time covers start-up and shut-down.
fn on_workers(
    workers: usize,
    items: u64,
    flow: fn(&mut Worker, u64, Total),
) -> Result<Measured, BenchError> {
    let config =
        if workers == 1 { timely::Config::thread() } else { timely::Config::process(workers) };
    let total = Total::default();
    let shared = Arc::clone(&total);
    let (done, seconds) = timed(|| {
        let guards = timely::execute(config, move |worker| {
            flow(worker, items, Arc::clone(&shared));
            while worker.step() {}
        })?;
        guards.join().into_iter().collect::<Result<Vec<()>, String>>()
    });
    done.map_err(|detail| BenchError::Failed { what: "timely", detail })?;
    Ok(Measured::with_sum(items, (total.load(Relaxed), seconds)))
}
