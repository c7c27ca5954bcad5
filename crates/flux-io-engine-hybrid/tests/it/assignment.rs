//! Where stages go, and the reasons that are given.

use crate::kit::{engine, line};
use flux_io_core::{
    AccumulationDescriptor, ConnectorDescriptor, Ended, Engine, Graph, Route, RunOptions,
    StageKind, StageNode,
};
use flux_io_engine_hybrid::{Cost, Costs, HybridEngine, Why};
use flux_io_testkit::doubles::{CollectSink, VecSource};
use flux_io_testkit::plans::HandPlan;

use StageKind::{Accumulator, Merge, Sink, Source, Transform};

const MIXED: [(&str, StageKind); 5] = [
    ("lines", Source),
    ("parse", Transform),
    ("score", Transform),
    ("lookup", Transform),
    ("out", Sink),
];

fn mixed(n: &mut StageNode) {
    match n.name.as_str() {
        "score" => n.hints.cpu = 50,
        "lookup" => n.hints.waits = true,
        _ => {}
    }
}

fn table(engine: &HybridEngine, graph: &Graph) -> String {
    engine.explain(graph, &RunOptions::default()).unwrap().to_string()
}

/// Row 209. A stage that computes and one that waits go different ways, the others stay with a
/// neighbour, and the table says why.
#[test]
fn the_table_gives_the_reason_of_each_place() {
    let expected = "\
lines   cpu  nothing declared; stays with `score`
parse   cpu  nothing declared; stays with `score`
score   cpu  declared to compute, weight 50
lookup  io   declared to wait
out     io   nothing declared; stays with `lookup`
";
    assert_eq!(table(&engine(true), &line(&MIXED, mixed)), expected);
}

/// Row 210. Each of the five things a stage may declare, alone, on a stage between two that
/// declare the opposite.
#[test]
fn every_hint_counts() {
    let place = |describe: &dyn Fn(&mut StageNode), kind: StageKind| {
        let stages = [("in", Source), ("it", kind), ("out", Sink)];
        let g = line(&stages, |n| match n.name.as_str() {
            "in" => n.hints.waits = true,
            "out" => n.hints.cpu = 99,
            _ => describe(n),
        });
        let a = engine(true).explain(&g, &RunOptions::default()).unwrap();
        (a.rows()[1].executor, a.rows()[1].why.clone())
    };
    let with = |name: &str| Why::With(name.into());
    let heavy = |weight, stateful| Why::Declared { weight, stateful };
    // CPU intensity, at the bound and below it.
    assert_eq!(place(&|n| n.hints.cpu = 16, Transform), ("cpu", heavy(16, false)));
    assert_eq!(place(&|n| n.hints.cpu = 15, Transform), ("io", with("in")));
    // Fan-out makes a row heavier; fan-in makes none lighter.
    let fan = |cpu: u32, out: f32| {
        place(
            &|n| {
                n.hints.cpu = cpu;
                n.hints.rows_out_per_in = Some(out);
            },
            Transform,
        )
    };
    assert_eq!(fan(2, 10.0), ("cpu", heavy(20, false)));
    assert_eq!(fan(20, 0.1), ("cpu", heavy(20, false)));
    assert_eq!(fan(20, f32::NAN).0, "cpu");
    // Waiting wins over computing: a waiting stage must not hold a worker that computes.
    let both = |n: &mut StageNode| (n.hints.cpu, n.hints.waits) = (99, true);
    assert_eq!(place(&both, Transform), ("io", Why::Waits));
    // Coarse stages go where the workers for their instances are.
    assert_eq!(place(&|_| {}, Accumulator), ("cpu", with("out")));
    assert_eq!(place(&|_| {}, Merge), ("cpu", with("out")));
    assert_eq!(place(&|_| {}, Transform), ("io", with("in")));
    // A name beats everything, from the stage or its accumulator.
    assert_eq!(place(&|n| n.hints.engine = Some("cpu".into()), Transform), ("cpu", Why::Asked));
    let hinted = |n: &mut StageNode| {
        let engine_hint = Some("io".into());
        n.accumulation = Some(AccumulationDescriptor { engine_hint, ..Default::default() });
    };
    assert_eq!(place(&hinted, Accumulator), ("io", Why::Asked));
    // One that is not here is named, and the rest decides.
    let gpu = |n: &mut StageNode| n.hints.engine = Some("gpu".into());
    let why = Why::NotHere("gpu".into(), Box::new(with("in")));
    assert_eq!(why.to_string(), "`gpu` is not here; nothing declared; stays with `in`");
    assert_eq!(place(&gpu, Transform), ("io", why));
}

/// The chart of the original documents sends stateful stages with a high fan-out to many
/// fine-grained workers, where their state would be shared and their order lost. Here a place
/// changes neither instances nor routes nor order: a stateful stage that computes gets a worker,
/// and its state stays whole.
#[test]
fn b057_a_place_divides_no_state() {
    let g = line(&[("in", Source), ("count", Transform), ("out", Sink)], |n| {
        if n.name == "count" {
            (n.hints.cpu, n.hints.stateful) = (40, true);
            n.hints.rows_out_per_in = Some(8.0);
        }
    });
    let before = g.canonical_hash();
    let a = engine(true).explain(&g, &RunOptions::default().workers(8)).unwrap();
    assert_eq!(a.rows()[1].why, Why::Declared { weight: 320, stateful: true });
    assert_eq!(g.canonical_hash(), before);
    assert!(a.rows()[1].why.to_string().ends_with("its state stays whole"));
}

/// What nothing sets apart stays together: one lane, no hand-off, whatever the plan's size. A
/// sink of dead letters, which has no edge, opens no lane of its own either.
#[test]
fn a_plan_without_a_reason_to_part_stays_together() {
    for cpu in [0, 99] {
        let mut g = line(&MIXED, |n| n.hints.cpu = if n.name == "parse" { cpu } else { 0 });
        g.nodes.push(StageNode::new("dead", Sink, Vec::new(), Vec::new()));
        let a = engine(true).explain(&g, &RunOptions::default()).unwrap();
        let first = a.rows()[0].executor;
        assert_eq!(first, if cpu == 0 { "io" } else { "cpu" });
        assert!(a.rows().iter().all(|r| r.executor == first), "{a}");
        assert_eq!(a.executor("nobody"), None);
    }
}

/// Behind an exchange the instances of a light stage still find workers.
#[test]
fn an_exchange_looks_for_workers() {
    let stages = [("in", Source), ("light", Transform), ("score", Transform), ("out", Sink)];
    let describe = |n: &mut StageNode| match n.name.as_str() {
        "in" => n.hints.waits = true,
        "score" => n.hints.cpu = 40,
        _ => {}
    };
    let mut g = line(&stages, describe);
    let place = |g: &Graph| {
        let a = engine(true).explain(g, &RunOptions::default()).unwrap();
        a.executor("light").unwrap()
    };
    assert_eq!(place(&g), "io");
    g.edges[0].channel.route = Route::Hash;
    assert_eq!(place(&g), "cpu");
}

/// Row 211. What was measured beats what was declared about computing, in both directions, for the
/// batch size of the run; what was declared about waiting stands.
#[test]
fn measured_costs_beat_declared_ones() {
    let cost = |ns_a_row: u64| Cost { rows: 1_000, busy_ns: 1_000 * ns_a_row };
    let mut costs = Costs::default();
    costs.set("parse", cost(400));
    costs.set("score", cost(3));
    costs.set("lookup", cost(9_999));
    let g = line(&MIXED, mixed);
    let expected = "\
lines   cpu  nothing declared; stays with `parse`
parse   cpu  measured to compute, 409 us a batch
score   cpu  measured to be light, 3 us a batch; stays with `parse`
lookup  io   declared to wait
out     io   nothing declared; stays with `lookup`
";
    let engine = engine(true).costs(costs);
    assert_eq!(table(&engine, &g), expected);
    // Rows handed over one by one are never worth a hand-off each.
    let a = engine.explain(&g, &RunOptions::default().batch(1)).unwrap();
    assert_eq!(a.executor("parse"), Some("io"), "{a}");
}

/// A connector that needs a reactor goes where one is, and is refused by name where none is: when
/// asked before, and in the report when run all the same.
#[test]
fn a_reactor_is_asked_for_before_anything_runs() {
    let socket = |n: &mut StageNode| {
        if n.name == "lines" {
            let mut c = ConnectorDescriptor::new("socket", "");
            c.needs_reactor = true;
            n.connector = Some(c);
        }
    };
    let g = line(&MIXED, socket);
    let a = engine(true).explain(&g, &RunOptions::default()).unwrap();
    assert_eq!((a.rows()[0].executor, &a.rows()[0].why), ("io", &Why::Reactor));
    let refused = engine(false).accepts(&g, &RunOptions::default()).unwrap_err();
    let text = "P011: `lines` needs an engine with a reactor and `hybrid` has none (at lines); \
                run the plan on the tokio engine, or on a hybrid that has it";
    assert_eq!(refused.to_string(), text);

    let (sink, shelf) = CollectSink::<u64>::new();
    let mut p = HandPlan::from("lines", VecSource::<u64>::new(0..10));
    socket(&mut p.graph.nodes[0]);
    let report = engine(false).run_plan(p.into("out", sink).plan(), RunOptions::default());
    assert_eq!(report.ended, Ended::Failed);
    let failure = report.failure.unwrap();
    assert_eq!((failure.stage.as_str(), failure.error.what.as_str()), ("engine", text));
    assert_eq!(shelf.len(), 0);
}

/// Lanes that cannot be opened end the run with the reason.
#[test]
fn lanes_that_cannot_be_opened_are_told() {
    let (sink, _) = CollectSink::<u64>::new();
    let plan = HandPlan::from("in", VecSource::<u64>::new(0..10)).into("out", sink).plan();
    let report = engine(true).run_plan(plan, RunOptions::default().workers(3));
    assert_eq!((report.ended, report.engine), (Ended::Failed, "hybrid"));
    assert_eq!(report.failure.unwrap().error.what, "no 3 threads for io");
}
