//! An edge that drops what it has no room for, in front of a slow sink: what is lost is counted,
//! what is not lost keeps its order, and the promise of a dropped batch outlives its rows.

use super::data::{Feed, Log};
use super::{Oracle, Scenario, Size, ended_well};
use flux_io::core::{
    Batch, ExecutionPlan, Out, Stage, StageCx, StageError, Step, Timestamp, WhenFull,
};
use flux_io::flow::Pipeline;
use flux_io_sim::{Fault, Faults, Swarm};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub(crate) const SCENARIO: Scenario = Scenario { name: "lossy", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless().with(Fault::TransientFill).with(Fault::TransientWrite).with(Fault::Drain)
}

/// Keeps the last promise, and whether a row came behind it.
struct Promise(Arc<AtomicI64>, Arc<AtomicI64>);

impl Stage for Promise {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut marks = input.meta.marks.iter().peekable();
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                self.0.fetch_max(m.watermark.0, Ordering::Relaxed);
            }
            if time(row) <= self.0.load(Ordering::Relaxed) {
                self.1.store(time(row), Ordering::Relaxed);
            }
        }
        marks.for_each(|m| _ = self.0.fetch_max(m.watermark.0, Ordering::Relaxed));
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        _: &mut Out<'_, Vec<u64>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.fetch_max(w.0, Ordering::Relaxed);
        Ok(Step::Done)
    }
}

/// The event time of a row.
const fn time(row: &u64) -> i64 {
    *row as i64 + 1
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let n = u64::from(swarm.pick(size.0, size.1));
    let room = swarm.pick(1, 3) as usize;
    let when = [WhenFull::DropOldest, WhenFull::DropNewest][swarm.pick(0, 1) as usize];
    let log = Log::<u64>::default();
    let (promised, late) = (Arc::new(AtomicI64::new(-1)), Arc::new(AtomicI64::new(-1)));
    let source = Feed::new((0..n).collect()).slow(swarm.delays());
    let own = swarm.pick(0, 1) == 1;
    let source = if own { source.promising(|row| time(row) - 1) } else { source };
    let sink = swarm.sink("out", log.clone()).traced(|x: &u64| *x);
    let rows = Pipeline::new().source("rows", swarm.source("rows", source));
    let rows = if own { rows } else { rows.event_time("time", |x: &u64| Timestamp(time(x))) };
    let mut plan = rows
        .buffer(room)
        .when_full(when)
        .stage("promise", Promise(Arc::clone(&promised), Arc::clone(&late)))
        .sink("out", sink)
        .plan()
        .expect("a plan without faults");
    super::retried(&mut plan);
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        let got = log.rows();
        if let Some(w) = got.windows(2).find(|w| w[0] >= w[1]) {
            return Err(format!("{} came before {}", w[0], w[1]));
        }
        let dropped: u64 = run.report.edges.iter().map(|e| e.stats.dropped).sum();
        if got.len() as u64 + dropped != run.items {
            let (n, out) = (run.items, got.len());
            return Err(format!("{n} rows were read, {out} came out, {dropped} were dropped"));
        }
        let late = late.load(Ordering::Relaxed);
        if late >= 0 {
            return Err(format!("a row of time {late} came behind its watermark"));
        }
        let promised = promised.load(Ordering::Relaxed);
        if run.items > 1 && promised != run.items as i64 - 1 {
            return Err(format!("the last promise is {promised} behind {} rows", run.items));
        }
        Ok(())
    });
    (plan, oracle)
}
