//! Dataflow mode: bounds, instances, order, and what is refused.

use flux_io_core::{
    Batch, ChannelDescriptor, ChannelOrdering, Ended, Engine, Out, Route, RunOptions, RunReport,
    Stage, StageCx, Step,
};
use flux_io_engine_tokio::{Block, DataflowEngine, TokioEngine};
use flux_io_testkit::conformance::engine::{OnBatch, by_row};
use flux_io_testkit::doubles::{CollectSink, VecSource};
use flux_io_testkit::plans::HandPlan;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! tests {
    ($($module:ident: $($law:ident),+;)+) => { $($(
        #[test]
        fn $law() {
            laws::$module::$law(&Workers(DataflowEngine::new().every(Block::new().most(3)), 2));
        }
    )+)+ };
}

mod keeps_the_laws {
    use flux_io_engine_tokio::{Block, DataflowEngine};
    use flux_io_testkit::conformance::engine::{self as laws, Workers};

    flux_io_testkit::with_engine_laws!(tests);
}

const ROWS: u64 = 2_000;

/// Passes rows on; its instance 0 is done with its first batch only when the others have passed on
/// everything but that batch and the one that waits behind it.
fn hesitant(
    shard: u32,
    passed: &Arc<AtomicU64>,
) -> impl Stage<In = Vec<u64>, Out = Vec<u64>> + use<> {
    let passed = Arc::clone(passed);
    OnBatch(move |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, cx: &mut StageCx<'_>| {
        let rows = b.len() as u64;
        if shard == 0 && passed.load(Ordering::Acquire) < ROWS - 2 * rows {
            return Ok(Step::Wait(cx.now().plus(std::time::Duration::from_micros(100))));
        }
        passed.fetch_add(rows, Ordering::AcqRel);
        out.swap(b);
        Ok(Step::Done)
    })
}

fn dealt(
    engine: &dyn Engine,
    make: impl Fn(u32) -> Box<dyn FnOnce() + Send> + Send + Sync + 'static,
) -> (RunReport, Vec<u64>) {
    let (sink, shelf) = CollectSink::<u64>::new();
    let mut p = HandPlan::from("in", VecSource::<u64>::new(0..ROWS)).capacity(2);
    let many = p.many("many", 4, move |shard| {
        make(shard)();
        by_row(|r, out| out.push(r))
    });
    let ordering = ChannelOrdering::Ordered;
    let turns = ChannelDescriptor { buffer: None, ordering, route: Route::RoundRobin };
    p.edge((0, 0), (many, 0), turns);
    let pass = p.stage("pass", by_row(|r, out| out.push(r)));
    p.join(many, pass);
    let out = p.sink("out", sink);
    p.join(pass, out);
    let report = engine.run_plan(p.plan(), RunOptions::default().batch(16).workers(2));
    assert_eq!(report.check(), Ok(()));
    (report, shelf.take())
}

/// Row 208. Each stage is a block: a task and a bounded queue of its own, no more instances than it
/// may have, in order where nobody gave the order up.
#[test]
fn every_stage_is_a_bounded_block() {
    let made = Arc::new(AtomicU64::new(0));
    let engine = DataflowEngine::new()
        .every(Block::new().capacity(3))
        .block("many", Block::new().most(2).capacity(1));
    let count = Arc::clone(&made);
    let (report, rows) = dealt(&engine, move |_| {
        let count = Arc::clone(&count);
        Box::new(move || _ = count.fetch_add(1, Ordering::Relaxed))
    });
    assert_eq!((report.ended, report.engine), (Ended::Completed, "dataflow"));
    assert_eq!(rows, (0..ROWS).collect::<Vec<_>>());
    assert_eq!(made.load(Ordering::Relaxed), 2, "at most two at once, although the plan has four");
    let edges: Vec<_> = report.edges.iter().map(|e| (&*e.from, &*e.to, e.capacity)).collect();
    assert_eq!(edges, [("in", "many", 1), ("many", "pass", 3), ("pass", "out", 3)]);
    assert!(report.edges.iter().all(|e| e.stats.high <= e.capacity));
    let chained = dealt(&TokioEngine, |_| Box::new(|| ())).0;
    assert!(chained.edges.len() < edges.len(), "outside this mode stages share tasks");
}

/// Row 208. An unordered block is not held up by its slowest instance: all other batches pass it.
/// Every row still comes out once.
#[test]
fn an_unordered_block_lets_others_pass() {
    for batch in [1, 16, 100] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let passed = Arc::new(AtomicU64::new(0));
        let mut p = HandPlan::from("in", VecSource::<u64>::new(0..ROWS)).capacity(1);
        let many = p.many("many", 3, move |shard| hesitant(shard, &passed));
        let ordering = ChannelOrdering::Ordered;
        let turns = ChannelDescriptor { buffer: None, ordering, route: Route::RoundRobin };
        p.edge((0, 0), (many, 0), turns);
        let out = p.sink("out", sink);
        p.join(many, out);
        let engine = DataflowEngine::new().block("many", Block::new().unordered());
        let options = RunOptions::default().batch(batch).workers(2);
        let report = engine.run_plan(p.plan(), options);
        assert_eq!(report.ended, Ended::Completed);
        assert_eq!(report.check(), Ok(()));
        let mut rows = shelf.take();
        assert!(!rows.is_sorted(), "the first batch of instance 0 came out last");
        rows.sort_unstable();
        assert_eq!(rows, (0..ROWS).collect::<Vec<_>>());
    }
}

/// A block that no stage has is refused by name, before anything runs.
#[test]
fn a_block_without_a_stage_is_refused() {
    let engine = DataflowEngine::new().block("score", Block::new().most(2));
    let (sink, shelf) = CollectSink::<u64>::new();
    let plan = HandPlan::from("in", VecSource::<u64>::new(0..9)).into("out", sink).plan();
    let report = engine.run_plan(plan, RunOptions::default());
    assert_eq!((report.ended, shelf.len()), (Ended::Failed, 0));
    let what = report.failure.unwrap().error.what;
    assert_eq!(
        what,
        "P031: there is no stage `score` to be a block (at score); name one of in, out"
    );
}
