//! The hybrid engine on pipelines: where stages go, what was measured, places that change between
//! runs, engines that stand in.

use flux_io::core::{
    ChannelDescriptor, ConnectorDescriptor, Ended, Engine, ExecutionPlan, RunOptions, StageKind,
};
use flux_io::engine::{Costs, Fallback, Hybrid, HybridEngine, Why};
use flux_io::prelude::*;
use flux_io_engine_rayon::{RayonEngine, RayonExecutor};
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::{TokioEngine, TokioExecutor};
use flux_io_testkit::conformance::engine::by_row;
use flux_io_testkit::doubles::{
    CollectSink, Line, MemorySnapshots, ScriptSource, Shelf, VecSource,
};
use flux_io_testkit::plans::HandPlan;
use std::sync::Arc;

/// Some thousand multiplications.
fn score(x: u64) -> u64 {
    (0..4_000).fold(x, |h, i| (h ^ i).wrapping_mul(0x0100_0000_01B3))
}

fn mixed(rows: u64) -> (ExecutionPlan<'static>, sink::Collected<u64>) {
    let (collect, got) = sink::collect();
    let plan = Pipeline::new()
        .source("numbers", source::iter(0..rows))
        .map("parse", |x| x + 1)
        .fusion_barrier()
        .map("score", score)
        .hint(|h| h.cpu = 1_000)
        .fusion_barrier()
        .map("ask", |x| x)
        .hint(|h| h.waits = true)
        .sink("out", collect)
        .plan()
        .unwrap();
    (plan, got)
}

/// Row 209. A mixed plan is divided, and gives what the reference gives.
#[test]
fn a_mixed_plan_runs_on_two_executors_at_once() {
    let (plan, expected) = mixed(5_000);
    SyncEngine::new().run_plan(plan, RunOptions::default());
    let expected = expected.take();
    for (workers, batch) in [(1, 7), (2, 256)] {
        let (plan, got) = mixed(5_000);
        let engine = Hybrid::new().with(RunOptions::default().workers(workers).batch(batch));
        let table = "\
numbers  rayon  nothing declared; stays with `score`
parse    rayon  nothing declared; stays with `score`
score    rayon  declared to compute, weight 1000
ask      tokio  declared to wait
out      tokio  nothing declared; stays with `ask`
";
        assert_eq!(engine.explain(&plan.graph).unwrap().to_string(), table);
        let report = engine.run(plan).unwrap();
        assert_eq!((report.ended, report.engine), (Ended::Completed, "hybrid"));
        assert_eq!(got.take(), expected);
        let crossing: Vec<_> = report.edges.iter().map(|e| (&*e.from, &*e.to)).collect();
        assert_eq!(crossing, [("score", "ask")], "one hand-off, where the places change");
    }
}

/// Row 211. A run that measures gives costs; with them a stage that declares nothing is found to
/// compute. Without measuring nothing is recorded.
#[test]
fn what_a_run_measured_moves_a_stage() {
    let silent = |rows| {
        let (collect, got) = sink::collect();
        let plan = Pipeline::new()
            .source("numbers", source::iter(0..rows))
            .hint(|h| h.waits = true)
            .map("score", score)
            .sink("out", collect)
            .plan();
        (plan.unwrap(), got)
    };
    let (plan, _got) = silent(2_000);
    let report = Hybrid::new().run(plan).unwrap();
    assert_eq!(Costs::of(&report), Costs::default());
    let (plan, got) = silent(2_000);
    let engine = Hybrid::new().with(RunOptions::default().measure(true));
    let first = engine.explain(&plan.graph).unwrap();
    assert_eq!(first.executor("score"), Some("tokio"));
    let report = engine.run(plan).unwrap();
    let (plan, again) = silent(2_000);
    let engine = engine.costs(Costs::of(&report));
    let second = engine.explain(&plan.graph).unwrap();
    assert_eq!(second.executor("score"), Some("rayon"), "{second}");
    let why = second.rows().iter().find(|r| r.stage == "score").map(|r| &r.why);
    assert!(matches!(why, Some(Why::Measured { .. })), "{second}");
    engine.run(plan).unwrap();
    assert_eq!(got.take(), again.take());
}

fn hybrid() -> HybridEngine {
    HybridEngine::new(TokioExecutor::new(), RayonExecutor::new())
}

/// A place is not changed while a run goes on. It changes between runs, and so between a run that
/// was drained and the one restored from its checkpoint: nothing is lost or done twice.
#[test]
fn b111_places_change_between_runs_only() {
    let store = Arc::new(MemorySnapshots::new());
    let shelf = Shelf::<u64>::default();
    let options = || {
        let store = Arc::<MemorySnapshots>::clone(&store);
        RunOptions::default().batch(8).measure(true).snapshots(store)
    };
    let plan = |options: &RunOptions, drained: bool| {
        let (checkpoint, stop) = (options.handle.clone(), options.handle.clone());
        let lines = (0..60).map(Line::Row).chain([
            Line::call(move || _ = checkpoint.checkpoint()),
            Line::Cut,
            Line::Gate(store.first_complete()),
            Line::call(move || {
                if drained {
                    stop.stop(StopMode::Graceful { deadline: None });
                }
            }),
            Line::Cut,
        ]);
        let lines = lines.chain((60..100).map(Line::Row));
        let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("score", by_row(|r, out| out.push(score(r))))
            .into("out", CollectSink::onto(&shelf));
        p.graph.nodes[0].hints.waits = true;
        p.plan()
    };
    let mut engine = hybrid();
    let first = options();
    let drained = plan(&first, true);
    assert_eq!(engine.explain(&drained.graph, &first).unwrap().executor("score"), Some("tokio"));
    let report = engine.run_plan(drained, first);
    assert_eq!(report.ended, Ended::Drained, "{:?}", report.failure);
    engine.learn(&report);
    let second = options().restore(true);
    let rest = plan(&second, false);
    let moved = engine.explain(&rest.graph, &second).unwrap();
    assert_eq!(moved.executor("score"), Some("rayon"), "{moved}");
    let report = engine.run_plan(rest, second);
    assert_eq!(report.ended, Ended::Completed, "{:?}", report.failure);
    assert_eq!(shelf.take(), (0..100).map(score).collect::<Vec<_>>());
}

/// Row 213. A connector that needs a reactor: the preferred engine refuses the plan, the next one
/// runs it, and the rows are those the preferred one gives for the same plan without the need.
#[test]
fn a_plan_falls_back_to_an_engine_that_can_run_it() {
    let plan = |needs_reactor: bool| {
        let (sink, shelf) = CollectSink::<u64>::new();
        let mut p = HandPlan::from("in", VecSource::<u64>::new(0..1_000));
        let mut c = ConnectorDescriptor::new("socket", "");
        c.needs_reactor = needs_reactor;
        p.graph.nodes[0].connector = Some(c);
        let p = p.then("odd", by_row(|r, out| out.extend((r % 2 == 1).then_some(r))));
        (p.into("out", sink).plan(), shelf)
    };
    let engines = || Fallback::from(RayonEngine).to(SyncEngine::new()).to(TokioEngine);
    let rows = |engine: &dyn Engine, needs: bool| {
        let (plan, shelf) = plan(needs);
        let report = engine.run_plan(plan, RunOptions::default());
        assert_eq!(report.ended, Ended::Completed, "{:?}", report.failure);
        report.check().unwrap();
        (report.engine, shelf.take())
    };
    let preferred = rows(&engines(), false);
    let fallen = rows(&engines(), true);
    assert_eq!((preferred.0, fallen.0), ("rayon", "tokio"));
    assert_eq!(preferred.1, fallen.1);
    assert_eq!(rows(&hybrid(), true).1, fallen.1);
    // Run all the same, an engine without a reactor says why it did not.
    for engine in [&RayonEngine as &dyn Engine, &SyncEngine::new()] {
        let (plan, shelf) = plan(true);
        let report = engine.run_plan(plan, RunOptions::default());
        assert_eq!((report.ended, shelf.len()), (Ended::Failed, 0));
        let what = report.failure.unwrap().error.what;
        assert!(what.starts_with("P011: `in` needs an engine with a reactor"), "{what}");
    }
}

/// A stage in several instances keeps its order across two executors, and keyed state its owner.
#[test]
fn instances_keep_their_order_across_executors() {
    use flux_io::core::{ChannelOrdering, Route};
    let run = |engine: &dyn Engine| {
        let (sink, shelf) = CollectSink::<u64>::new();
        let mut p = HandPlan::from("in", VecSource::<u64>::new(0..20_000));
        let many = p.many("score", 3, |_| by_row(|r, out| out.extend((r % 3 > 0).then_some(r))));
        let ordering = ChannelOrdering::Ordered;
        let turns = ChannelDescriptor { buffer: None, ordering, route: Route::RoundRobin };
        p.edge((0, 0), (many, 0), turns);
        let out = p.sink("out", sink);
        p.join(many, out);
        p.graph.nodes[0].hints.waits = true;
        p.graph.nodes[many].hints.cpu = 100;
        assert_eq!(p.graph.nodes[out].kind, StageKind::Sink);
        let report = engine.run_plan(p.plan(), RunOptions::default().batch(16).workers(2));
        report.check().unwrap();
        shelf.take()
    };
    assert_eq!(run(&hybrid()), run(&SyncEngine::new()));
}
