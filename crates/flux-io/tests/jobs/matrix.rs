//! Small pipelines with every kind of stage, each with a model in plain Rust, on every engine and in
//! the simulator.

use super::{ENGINES, run_on};
use flux_io::accumulate::{AccumulateExt, Identity, Require};
use flux_io::core::{Class, DeadCause, Ended, ErrorRecord, ExecutionPlan, RowError, RunReport};
use flux_io::flow::{Calls, Hold, InOrder, Leftover, Pipeline};
use flux_io::prelude::*;
use flux_io::{sink, source};
use flux_io_sim::simulate;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

const BATCHES: [usize; 3] = [1, 7, 1024];
/// Schedules of the simulator, each with batches and queues of its own.
const SEEDS: u64 = 40;

/// What came out: rows of ordered edges as they came, everything else sorted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    ordered: Vec<u64>,
    sorted: Vec<String>,
}

type Read = Box<dyn FnOnce(&RunReport) -> Answer>;

/// Runs what `make` describes (for a number of workers) everywhere and compares with the model.
fn everywhere(make: impl Fn(u32) -> (ExecutionPlan<'static>, Read), model: &Answer) {
    let judge = |report: &RunReport, read: Read| {
        report.check()?;
        if report.ended != Ended::Completed {
            return Err(format!("{:?}: {:?}", report.ended, report.failure));
        }
        for l in report.stages.iter().filter_map(|s| s.ledger.as_ref()) {
            if !l.balanced() || l.get(Class::Open) > 0 {
                return Err(format!("{l}"));
            }
        }
        let answer = read(report);
        if &answer == model { Ok(()) } else { Err(format!("{answer:?} instead of {model:?}")) }
    };
    for on in ENGINES {
        for batch in BATCHES {
            let workers = on.workers(1);
            let (plan, read) = make(workers);
            let options = RunOptions::default().batch(batch).workers(workers);
            let report = run_on(on, plan, options);
            judge(&report, read).unwrap_or_else(|e| panic!("{on:?} {batch}: {e}"));
        }
    }
    simulate(|swarm| make(swarm.pick(1, 3)))
        .seeds(SEEDS)
        .check(|run, read| judge(&run.report, read));
}

const TEXT: &str = "the river carries what the rain has left and what the rain forgets the sea \
                    keeps until the rain comes back and the river begins with the first";

/// Words counted by key. Rows 45, 116, 219.
pub(crate) fn wordcount() {
    let words = || TEXT.split(' ').cycle().take(800).map(str::to_owned);
    let mut model = BTreeMap::<String, u64>::new();
    words().for_each(|w| *model.entry(w).or_default() += 1);
    let sorted = model.iter().map(|(w, n)| format!("{w} {n}")).collect();
    everywhere(
        |workers| {
            let (collect, got) = sink::collect();
            let plan = Pipeline::new()
                .source("words", source::iter(words()))
                .key_by_str("word", |w: &String| w)
                .accumulate("count", |p| {
                    p.require(Require::count(u32::MAX))
                        .identity(Identity::Each)
                        .merge(|n: &mut u64, _: &mut String| *n += 1)
                })
                .parallel(workers)
                .sink("out", collect);
            let read = move |report: &RunReport| {
                assert_eq!(report.ledger("count").map(|l| l.fragments), Some(800));
                let mut sorted: Vec<String> =
                    got.take().iter().map(|o| format!("{} {}", o.key(), o.value())).collect();
                sorted.sort_unstable();
                Answer { ordered: Vec::new(), sorted }
            };
            (plan.plan().unwrap(), Box::new(read))
        },
        &Answer { ordered: Vec::new(), sorted },
    );
}

/// A graph with a split, a merge that restores the order of the source, a broadcast and a zip.
/// Rows 219, 220.
pub(crate) fn graph() {
    const ROWS: u64 = 700;
    let third = |x: u64| if x.is_multiple_of(3) { x * 10 } else { x + 1 };
    let ordered = (0..ROWS).map(|x| third(x) * 1_000 + third(x) % 7).collect();
    everywhere(
        |workers| {
            let (collect, got) = sink::collect();
            let p = Pipeline::new();
            let (yes, no) = p.source("in", source::iter(0..ROWS)).split("third", |x| x % 3 == 0);
            let no = no.map("add", |x| x + 1).parallel(workers);
            let merged = yes.map("tens", |x| x * 10).merge_by_seq(
                "merge",
                no,
                InOrder::within(Hold::rows(64)),
            );
            let [a, b] = <[_; 2]>::try_from(merged.broadcast("both", 2)).unwrap();
            let a = a.map_rows("left", |x: &u64| x * 1_000);
            let b = b.map_rows("right", |x: &u64| x % 7);
            let end = a.zip("zip", b, Leftover::Drop).map("sum", |(a, b)| a + b);
            let plan = end.sink("out", collect).plan().unwrap();
            (
                plan,
                Box::new(move |_: &RunReport| Answer { ordered: got.take(), sorted: Vec::new() }),
            )
        },
        &Answer { ordered, sorted: Vec::new() },
    );
}

/// A future that is pending `n` times.
struct Later(u64);

impl Future for Later {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// An asynchronous lookup that is slow now and then, fails and is tried again, or is refused.
/// Rows 181, 219.
pub(crate) fn lookup() {
    const ROWS: u64 = 400;
    let refused = |x: &u64| x % 50 == 9;
    let ordered = (0..ROWS).filter(|x| !refused(x)).map(|x| x * 2).collect();
    let sorted = (0..ROWS).filter(refused).map(|x| format!("{x:04} Poison")).collect();
    everywhere(
        |_| {
            let (collect, got) = sink::collect();
            let (dead, letters) = sink::collect::<ErrorRecord>();
            let retry = Retry { first: Duration::from_micros(20), ..Retry::default() };
            let tries: Arc<Vec<AtomicU32>> = Arc::new((0..ROWS).map(|_| 0.into()).collect());
            let plan = Pipeline::new()
                .dead_letters("dead", dead)
                .source("in", source::iter(0..ROWS))
                .async_map("ask", Calls::limit(6), move |x| {
                    let (x, tries) = (*x, Arc::clone(&tries));
                    async move {
                        Later(x % 4).await;
                        let before = tries[x as usize].fetch_add(1, Ordering::Relaxed);
                        match x % 50 {
                            9 => Err(RowError::poison("refused")),
                            17 if before < 2 => Err(RowError::transient("busy")),
                            _ => Ok(x * 2),
                        }
                    }
                })
                .on_error(OnError::Retry { retry, then: GiveUp::DeadLetter })
                .sink("out", collect);
            let read = move |_: &RunReport| Answer { ordered: got.take(), sorted: told(&letters) };
            (plan.plan().unwrap(), Box::new(read))
        },
        &Answer { ordered, sorted },
    );
}

/// Dead letters by sequence number and cause.
fn told(letters: &sink::Collected<ErrorRecord>) -> Vec<String> {
    let mut all: Vec<String> =
        letters.take().iter().map(|r| format!("{:04} {:?}", r.seq, r.cause)).collect();
    all.sort_unstable();
    all
}

/// One row in a hundred is poison, one panics, one is too large: exactly those are dead letters,
/// with their places, and the others come out in order. Rows 183, 219.
pub(crate) fn poison() {
    const ROWS: u64 = 1_000;
    let cause = |x: u64| match x {
        x if x % 100 == 42 => Some(DeadCause::Poison),
        777 => Some(DeadCause::Panicked),
        333 => Some(DeadCause::Oversize),
        _ => None,
    };
    let ordered = (0..ROWS).filter(|x| cause(*x).is_none()).collect();
    let sorted = (0..ROWS).filter_map(|x| cause(x).map(|c| format!("{x:04} {c:?}"))).collect();
    everywhere(
        |workers| {
            let (collect, got) = sink::collect();
            let (dead, letters) = sink::collect::<ErrorRecord>();
            let plan = Pipeline::new()
                .dead_letters("dead", dead)
                .source("in", source::iter(0..ROWS))
                .try_map("read", |x: &u64| match *x {
                    x if x % 100 == 42 => Err(RowError::poison("not a number")),
                    333 => Err(RowError::new(DeadCause::Oversize, "too large")),
                    x => {
                        assert!(x != 777, "row {x} is no good");
                        Ok(x)
                    }
                })
                .on_error(OnError::DeadLetter)
                .parallel(workers)
                .sink("out", collect);
            let read = move |_: &RunReport| Answer { ordered: got.take(), sorted: told(&letters) };
            (plan.plan().unwrap(), Box::new(read))
        },
        &Answer { ordered, sorted },
    );
}
