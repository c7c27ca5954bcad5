//! Latency at half of peak rate, measured as the hand loop measures it: the same arrivals, fixed
//! before the run; the clock is read by the source once a batch to see what has arrived, and by
//! the sink once a batch for the emission of all its records. The first half warms up.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use bench_common::{
    Arrivals, BATCH_ITEMS, BenchError, Latencies, Measured, Task, VARIABLES, timed,
};
use flux_io::accumulate::{AccumulateExt, After, Require};
use flux_io::core::{Batch, Filled, IoCx, Outcome, Sink, Source, StageError, Var};
use flux_io::flow::Pipeline;

use crate::engines::{On, run as run_flow};
use crate::w5::{self, NAMES, Record, Row};

const SEED: u64 = 5;

/// Runs one case.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let on = match task.case.as_str() {
        "flux-sync" => On::Sync,
        "flux-tokio" => On::Tokio(1),
        _ => return Err(task.unknown()),
    };
    let items = task.items as usize;
    let (at_peak, peak_seconds) = timed(|| w5::inline(on, After::Remove, task.items));
    let peak_ns_item = peak_seconds * 1e9 / items as f64;
    let arrivals = Arc::new(Arrivals::poisson(items, 2.0 * peak_ns_item, SEED));
    let (seen, seconds) = timed(|| as_they_arrive(on, arrivals));
    let seen = seen?;
    if seen.sum != at_peak? {
        return Err(BenchError::Failed {
            what: "the latency flow",
            detail: "its records differ from those at peak rate".to_owned(),
        });
    }
    let mut measured = Measured::with_sum(task.items, (seen.sum, seconds));
    measured.metrics = seen.latencies.summary();
    measured.metrics.insert("peak_ns_item".to_owned(), peak_ns_item);
    Ok(measured)
}

/// What the sink saw.
struct Seen {
    sum: u64,
    latencies: Latencies,
}

fn as_they_arrive(on: On, arrivals: Arc<Arrivals>) -> Result<Seen, BenchError> {
    let latencies = Latencies::with_capacity(arrivals.len() / VARIABLES);
    let seen = Arc::new(Mutex::new(Seen { sum: 0, latencies }));
    let start = Instant::now();
    let source = AsTheyArrive { arrivals: Arc::clone(&arrivals), start, done: 0 };
    let sink = Stamp { arrivals, start, seen: Arc::clone(&seen) };
    let flow = Pipeline::new()
        .source("fragments", source)
        .key_by("record", |row| row.row.key)
        .accumulate("assemble", |policy| {
            policy
                .require(Require::all(NAMES))
                .on_complete(After::Remove)
                .var(|row: &Numbered| Var::one(row.row.variable.into()))
                .merge(|open: &mut Open, row| {
                    open.record.set(row.row.variable, &row.row.value);
                    open.last = row.index;
                })
                .finish(|key, open| (open.last, open.record.sum(*key)))
        })
        .sink("records", sink);
    run_flow(on, BATCH_ITEMS, true, flow)?;
    let failed = || BenchError::Failed {
        what: "the latency flow",
        detail: "its sink outlived the run".to_owned(),
    };
    let seen = Arc::into_inner(seen).ok_or_else(failed)?;
    Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A fragment with its place in the input.
struct Numbered {
    index: usize,
    row: Row,
}

/// A record in the making, and which fragment came last.
#[derive(Default)]
struct Open {
    last: usize,
    record: Record,
}

/// Gives what has arrived, at most a batch.
struct AsTheyArrive {
    arrivals: Arc<Arrivals>,
    start: Instant,
    done: usize,
}

impl Source for AsTheyArrive {
    type Col = Vec<Numbered>;

    fn try_fill(
        &mut self,
        out: &mut Batch<Self::Col>,
        max: usize,
    ) -> Option<Result<Filled, StageError>> {
        let now_ns = self.start.elapsed().as_nanos() as u64;
        let end = self.arrivals.arrived(self.done, now_ns, max);
        if end == self.done {
            return None;
        }
        let rows = (self.done..end).map(|index| Numbered { index, row: Row::at(index as u64) });
        out.col.extend(rows);
        self.done = end;
        Some(Ok(if end == self.arrivals.len() { Filled::End } else { Filled::More }))
    }

    /// Waits by asking again and again, as the hand loop does.
    async fn fill(&mut self, out: &mut Batch<Self::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        let max = cx.max_rows();
        poll_fn(|task| match self.try_fill(out, max) {
            Some(filled) => Poll::Ready(filled),
            None => {
                task.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    }
}

/// Stamps the records of a batch.
struct Stamp {
    arrivals: Arc<Arrivals>,
    start: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl Sink for Stamp {
    type Col = Vec<Outcome<u64, (usize, u64)>>;

    async fn write(&mut self, batch: &mut Batch<Self::Col>, _cx: &IoCx) -> Result<(), StageError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let emitted_ns = self.start.elapsed().as_nanos() as u64;
        for outcome in batch.col.drain(..) {
            let (last, sum) = *outcome.value();
            seen.sum = seen.sum.wrapping_add(sum);
            if last >= self.arrivals.len() / 2 {
                seen.latencies.record(self.arrivals.at_ns(last), emitted_ns);
            }
        }
        Ok(())
    }
}
