//! Latency at half of peak rate, for the input of W5.
//!
//! What is measured, on every side alike: from the arrival of a record's last needed fragment to
//! the record's emission. Arrivals are a Poisson process whose instants are fixed before the run
//! (open loop), at half of the rate that the same side reaches on the same input with all
//! fragments at hand, measured just before in the same process. The clock is read once per batch:
//! before a batch to see what has arrived, after it for the emission of all its records. A batch
//! is whatever has arrived, at most 1,024. The first half of the fragments only warms up (the
//! table grows, memory comes from the system); records completed by the second half count.

use std::time::Instant;

use bench_common::{
    Arrivals, BATCH_ITEMS, BenchError, Latencies, Measured, Task, VARIABLES, timed,
};

use crate::w5::{Table, TableFragment};

const BATCH_AT_PEAK: usize = 256;
const BUCKETS: usize = 1 << 16;
const SEED: u64 = 5;

/// Runs the only case, a single-threaded loop.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    if task.case != "loop" {
        return Err(task.unknown());
    }
    let items = task.items as usize;
    let (at_peak, peak_seconds) = timed(|| at_once(items));
    let peak_ns_item = peak_seconds * 1e9 / items as f64;
    let arrivals = Arrivals::poisson(items, 2.0 * peak_ns_item, SEED);
    let ((sum, latencies), seconds) = timed(|| as_they_arrive(&arrivals));
    if sum != at_peak {
        return Err(BenchError::Failed {
            what: "the latency loop",
            detail: "its records differ from those at peak rate".to_owned(),
        });
    }
    let mut measured = Measured::with_sum(task.items, (sum, seconds));
    measured.metrics = latencies.summary();
    measured.metrics.insert("peak_ns_item".to_owned(), peak_ns_item);
    Ok(measured)
}

/// All fragments at hand: gives the peak rate.
fn at_once(items: usize) -> u64 {
    let mut table = Table::with_buckets(BUCKETS);
    let mut batch = Vec::with_capacity(BATCH_AT_PEAK);
    let mut sum = 0u64;
    for start in (0..items).step_by(BATCH_AT_PEAK) {
        fill(&mut batch, start, items.min(start + BATCH_AT_PEAK));
        table.apply(&batch, |_, record| sum = sum.wrapping_add(record));
    }
    sum
}

fn as_they_arrive(arrivals: &Arrivals) -> (u64, Latencies) {
    let mut table = Table::with_buckets(BUCKETS);
    let mut latencies = Latencies::with_capacity(arrivals.len() / VARIABLES);
    let mut batch = Vec::with_capacity(BATCH_ITEMS);
    let mut completed = Vec::with_capacity(BATCH_ITEMS);
    let mut sum = 0u64;
    let mut done = 0;
    let start = Instant::now();
    while done < arrivals.len() {
        let end = arrivals.arrived(done, start.elapsed().as_nanos() as u64, BATCH_ITEMS);
        if end == done {
            std::hint::spin_loop();
            continue;
        }
        fill(&mut batch, done, end);
        completed.clear();
        table.apply(&batch, |index, record| {
            sum = sum.wrapping_add(record);
            completed.push(index);
        });
        let emitted_ns = start.elapsed().as_nanos() as u64;
        if done >= arrivals.len() / 2 {
            for &index in &completed {
                latencies.record(arrivals.at_ns(done + index), emitted_ns);
            }
        }
        done = end;
    }
    (sum, latencies)
}

fn fill(batch: &mut Vec<TableFragment>, start: usize, end: usize) {
    batch.clear();
    batch.extend((start..end).map(|index| TableFragment::at(index as u64)));
}
