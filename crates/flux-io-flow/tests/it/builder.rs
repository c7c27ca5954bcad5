//! What the builder records, and what rustc and the plan know of it.

use crate::kit::{Flow, hole, nothing, probe, rows, segment};
use flux_io_core::{
    AnyBatch, Batch, Body, BufferPolicy, ByHand, ChannelDescriptor, ChannelOrdering, ColumnType,
    ErasedSource, Graph, Hints, Node, OnError, Outbox, Parallelism, Route, StageCx, StageError,
    StageKind, StageNode, Step, WhenFull,
};
use flux_io_flow::stages::Pass;
use flux_io_flow::{Keyed, Pipeline};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Row 45: describing has no effect; the closure runs when the stage does.
#[test]
fn describing_runs_nothing() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let mut s = segment(16, |f: Flow<Vec<u64>>| {
        f.inspect("count", |_| {
            CALLS.fetch_add(1, Ordering::Relaxed);
        })
        .fusion_barrier()
    });
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
    s.feed(rows(0, vec![1, 2])).expect("no fault");
    assert_eq!(CALLS.load(Ordering::Relaxed), 2);
}

/// Three names for three things: a stage's spec, the graph, the plan that runs.
#[test]
fn b001_spec_graph_and_plan_are_three_types() {
    let plan = Pipeline::new().source("a", nothing::<Vec<u64>>()).discard("b").plan();
    let plan: flux_io_core::ExecutionPlan<'_> = plan.expect("valid");
    let graph: &Graph = &plan.graph;
    let spec: &StageNode = &graph.nodes[0];
    assert_eq!((spec.name.as_str(), graph.nodes.len(), plan.bodies.len()), ("a", 2, 2));
}

/// Rows 46, 59, 60: composing appends: both steps are there, in order, whatever they are.
#[test]
fn b002_composing_keeps_both_steps() {
    let plan = Pipeline::new()
        .source("a", nothing::<Vec<u64>>())
        .stage("b", Pass::default())
        .stage("c", Pass::default())
        .map("d", |x| x)
        .map("e", |x| x)
        .discard("f")
        .plan()
        .expect("valid");
    let names: Vec<_> = plan.graph.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d+e", "f"]);
    let edges: Vec<_> = plan.graph.edges.iter().map(|e| (e.from.0, e.to.0)).collect();
    assert_eq!(edges, [(0, 1), (1, 2), (2, 3), (3, 4)]);
}

/// A step is appended to the end: `plan: S -> T` and `step: T -> U` give `S -> U`, for any types.
#[test]
fn b003_b026_types_flow_from_step_to_step() {
    let mut s = segment(16, |f: Flow<Vec<u8>>| {
        f.map("text", |x| x.to_string())
            .map("length", |s| s.len())
            .map("pair", |n| (n, n > 1))
            .fusion_barrier()
    });
    s.feed(rows(0, vec![7, 42])).expect("no fault");
    assert_eq!(s.stage.values(), [(1, false), (2, true)]);
}

/// Lowering is checked, and a wrong column at run time is an error, not a panic.
#[test]
fn b004_a_wrong_column_is_an_error() {
    let plan = Pipeline::new().source("a", nothing::<Vec<u64>>()).map("b", |x| x).discard("c");
    let plan = plan.plan().expect("valid");
    let Some(Body::One(mut node)) = plan.bodies.into_iter().nth(1) else { panic!("a segment") };
    struct Wrong<'a>(&'a mut dyn Node);
    impl flux_io_core::Stage for Wrong<'_> {
        type In = Vec<u8>;
        type Out = Vec<u8>;
        fn on_batch(
            &mut self,
            input: &mut Batch<Vec<u8>>,
            _: &mut flux_io_core::Out<'_, Vec<u8>>,
            cx: &mut StageCx<'_>,
        ) -> Result<Step, StageError> {
            let mut outs = [Outbox::new(ColumnType::of::<Vec<u64>>(), 16)];
            self.0.on_batch(0, &mut AnyBatch::new(std::mem::take(input)), &mut outs, cx)
        }
    }
    let e = ByHand::new(Wrong(&mut *node)).feed(Batch::of(vec![1u8])).expect_err("a wrong column");
    assert!(e.to_string().contains("`alloc::vec::Vec<u8>` arrived"), "{e}");
}

/// Deals rows out to two ports, even ones to the first.
struct Deal;
impl Node for Deal {
    fn on_batch(
        &mut self,
        _: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for x in input.get_mut::<Vec<u64>>()?.col.drain(..) {
            outs[(x % 2) as usize].typed::<Vec<u64>>()?.batch().col.push(x);
        }
        Ok(Step::Done)
    }
}

/// Takes from two ports; says which one ended.
struct Join(Vec<usize>);
impl Node for Join {
    fn on_batch(
        &mut self,
        _: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut out = outs[0].typed::<Vec<u64>>()?;
        out.swap(input.get_mut()?);
        Ok(Step::Done)
    }
    fn on_input_end(
        &mut self,
        port: usize,
        _: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.push(port);
        Ok(Step::Done)
    }
}

/// Rows 47, 48, 49, 62, 63: branches and merges are stages with ports; linear call sites stay.
#[test]
fn b027_b052_branches_and_merges_have_ports() {
    let c = ColumnType::of::<Vec<u64>>();
    let p = Pipeline::new();
    let input = p.source("a", nothing::<Vec<u64>>()).map("b", |x| x).into_port();
    let branch = StageNode::new("deal", StageKind::Branch, vec![c], vec![c, c]);
    let channel = ChannelDescriptor::default();
    let outs = p.attach(branch, Body::One(Box::new(Deal)), vec![input], channel);
    let [even, odd] = <[_; 2]>::try_from(outs).expect("two ports");
    let odd = odd.into_flow::<Vec<u64>>().expect("of that column").map("c", |x| x + 1);
    assert!(even.column() == c);
    let merge = StageNode::new("join", StageKind::Merge, vec![c, c], vec![c]);
    let body = Body::One(Box::new(Join(vec![])));
    let out = p.attach(merge, body, vec![even, odd.into_port()], channel).remove(0);
    assert!(out.into_flow::<Vec<u8>>().is_err(), "the column is checked");
    let text = p.plan().expect_err("the merge leads nowhere").to_string();
    assert!(text.contains("P002: output 0 of stage `join`"), "{text}");
}

/// Fused operators keep counters of their own, by name.
#[test]
fn b034_fused_operators_are_counted_one_by_one() {
    let flow = Pipeline::new().source("a", nothing::<Vec<u64>>());
    let plan = flow.map("b", |x| x).filter("c", |x| *x > 1).discard("d").plan().expect("valid");
    let names: Vec<_> = plan.graph.nodes[1].operators.iter().map(|o| o.name.clone()).collect();
    assert_eq!(names, ["b", "c"]);
    let mut s = probe::<Vec<u64>, u64>(plan, "b+c", 16);
    s.feed(rows(0, vec![1, 2, 3])).expect("no fault");
    let counts: Vec<_> = s.stage.counts().iter().map(|c| (c.rows_in, c.rows_out)).collect();
    assert_eq!(counts, [(3, 3), (3, 2)]);
}

/// Rows 98, 99: what is fused and what is not.
#[test]
fn fusion_ends_where_it_must() {
    let stages = |f: Flow<Vec<u64>>| f.discard("end").plan().expect("valid").graph.nodes.len() - 2;
    let f = || Pipeline::new().source("a", nothing::<Vec<u64>>());
    assert_eq!(stages(f().map("b", |x| x).map("c", |x| x).fusion_barrier()), 1);
    assert_eq!(stages(f().map("b", |x| x).fusion_barrier().map("c", |x| x).fusion_barrier()), 2);
    assert_eq!(stages(f().map("b", |x| x).buffer(3).map("c", |x| x).fusion_barrier()), 2);
    assert_eq!(stages(f().map("b", |x| x).parallel(2).map("c", |x| x).fusion_barrier()), 2);
    assert_eq!(
        stages(f().map("b", |x| x).stage("s", Pass::default()).map("c", |x| x).fusion_barrier()),
        3
    );
    // Different error policies do not end it: each operator has its own.
    let f =
        f().map("b", |x| x).on_error(OnError::Skip).map("c", |x| x).on_error(OnError::DeadLetter);
    let g = f.discard("end").plan().expect("valid").graph;
    let on: Vec<_> = g.nodes[1].operators.iter().map(|o| o.on_error).collect();
    assert_eq!(on, [OnError::Skip, OnError::DeadLetter]);
}

/// Rows 49, 53: the edge's buffer beats the stage's, which beats the plan's.
#[test]
fn b098_buffers_have_one_precedence() {
    let p = Pipeline::new().default_buffer(3, WhenFull::DropOldest);
    let end = p
        .source("a", nothing::<Vec<u64>>())
        .stage("b", Pass::default())
        .buffer(7)
        .stage("c", Pass::default())
        .input_buffer(5, WhenFull::DropNewest)
        .discard("d");
    let mut g = end.plan().expect("valid").graph;
    let in_force = |g: &Graph| -> Vec<_> {
        let b = g.edges.iter().map(|e| g.effective_buffer(e));
        b.map(|b: BufferPolicy| (b.capacity, b.when_full)).collect()
    };

    assert_eq!(
        in_force(&g),
        [(3, WhenFull::DropOldest), (7, WhenFull::DropOldest), (3, WhenFull::DropOldest)]
    );
    g.edges[1].channel.buffer = None;
    assert_eq!(
        in_force(&g),
        [(3, WhenFull::DropOldest), (5, WhenFull::DropNewest), (3, WhenFull::DropOldest)]
    );
}

/// Row 52.
#[test]
fn parallelism_is_a_hint_that_resolves() {
    use Parallelism::{CpuBound, Fixed, IoBound, Sequential};
    let resolved = [Sequential, Fixed(3), CpuBound, IoBound].map(|p| p.resolve(4));
    assert_eq!(resolved, [1, 3, 4, 16]);
    let f = Pipeline::new().source("a", nothing::<Vec<u64>>()).map("b", |x| x).parallelism(IoBound);
    let plan = f.key_by("key", |x| *x).keyed_stage("d", |_| {}, |_| Pass::default()).parallel(5);
    let plan = plan.discard("end").plan().expect("valid");
    let how: Vec<_> = plan.graph.nodes.iter().map(|n| (n.parallelism, n.scalable)).collect();
    assert_eq!(how[1..4], [(IoBound, true), (Sequential, false), (Fixed(5), true)]);
    assert!(matches!(plan.bodies[1], Body::Many(_)) && matches!(plan.bodies[3], Body::Many(_)));
    let e = &plan.graph.edges[0].channel;
    assert_eq!((e.route, e.ordering), (Route::RoundRobin, ChannelOrdering::Ordered));
}

/// Each instance of a parallel segment has its own copy of the closures.
#[test]
fn instances_do_not_share_state() {
    let mut n = 0;
    let flow = Pipeline::new().source("a", nothing::<Vec<u64>>());
    let flow = flow.map("count", move |x: u64| {
        n += 1;
        (x, n)
    });
    let plan = flow.parallel(2).discard("end").plan().expect("valid");
    let Some(Body::Many(make)) = plan.bodies.into_iter().nth(1) else { panic!("many") };
    for _ in 0..2 {
        let one = Pipeline::new().source("a", nothing::<Vec<u64>>());
        let mut node = Some(make(0));
        let one = one.node_of::<Vec<(u64, i32)>>("n", Handed(node.take().expect("there")));
        let mut s = probe::<Vec<u64>, (u64, i32)>(one.discard("end"), "n", 16);
        s.feed(rows(0, vec![5, 6])).expect("no fault");
        assert_eq!(s.stage.values(), [(5, 1), (6, 2)]);
    }
}

struct Handed(Box<dyn Node>);
impl Node for Handed {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.on_batch(port, input, outs, cx)
    }
}

/// Row 68.
#[test]
fn metadata_is_kept_and_part_of_the_identity() {
    let plan = |v: &str| {
        let p = Pipeline::new().metadata("owner", v);
        p.source("a", nothing::<Vec<u64>>()).discard("b").plan().expect("valid").graph
    };
    assert_eq!(plan("x").metadata["owner"], "x");
    assert_ne!(plan("x").canonical_hash(), plan("y").canonical_hash());
    assert_eq!(plan("x").canonical_hash(), plan("x").canonical_hash());
}

/// Row 67: any change of a spec changes the hash.
#[test]
fn b061_every_change_of_a_spec_changes_the_hash() {
    let base = || Pipeline::new().source("a", nothing::<Vec<u64>>());
    let hash = |f: Flow<Vec<u64>>| f.discard("end").plan().expect("valid").graph.canonical_hash();
    let lag = |n| {
        let f = base().event_time("t", |x| flux_io_core::Timestamp(*x as i64));
        hash(f.lag(std::time::Duration::from_secs(n)))
    };
    let hashes = [
        hash(base()),
        hash(base().map("m", |x| x).fusion_barrier()),
        hash(base().map("n", |x| x).fusion_barrier()),
        hash(base().filter("m", |_| true).fusion_barrier()),
        hash(base().map("m", |x| x).on_error(OnError::Skip).fusion_barrier()),
        hash(base().map("m", |x| x).pure().fusion_barrier()),
        hash(base().map("m", |x| x).parallel(2)),
        hash(base().map("m", |x| x).parallel(3)),
        hash(base().buffer(2)),
        hash(base().when_full(WhenFull::DropOldest)),
        hash(base().batch("m", flux_io_flow::Batching::Record)),
        hash(base().batch("m", flux_io_flow::Batching::Fixed(2))),
        lag(1),
        lag(2),
    ];
    assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len(), "{hashes:?}");
}

/// Two flows of one pipeline, described in either order, are one graph.
#[test]
fn b061_flows_may_be_described_in_any_order() {
    let graph = |swap: bool| {
        let p = Pipeline::new();
        let one = |p: &Pipeline<'static>| {
            p.source("a", nothing::<Vec<u64>>()).map("b", |x| x).discard("c")
        };
        let two = |p: &Pipeline<'static>| p.source("d", nothing::<Vec<u8>>()).sink("e", hole());
        let end = if swap {
            let e = two(&p);
            e.and(one(&p))
        } else {
            let e = one(&p);
            e.and(two(&p))
        };
        end.plan().expect("valid").graph
    };
    assert_eq!(graph(false).canonical_hash(), graph(true).canonical_hash());
}

/// One set of six kinds, each with ports of its own.
#[test]
fn b109_there_is_one_set_of_kinds() {
    use StageKind::{Accumulator, Branch, Merge, Sink, Source, Transform};
    let kinds = [Source, Transform, Accumulator, Branch, Merge, Sink].map(StageKind::as_str);
    assert_eq!(kinds, ["source", "transform", "accumulator", "branch", "merge", "sink"]);
}

/// Row 55: the words of the builder, on borrowed data where the engine is scoped.
#[test]
fn closures_may_borrow() {
    let table = [10u64, 20, 30];
    let seen = Rc::new(Cell::new(0));
    let p = Pipeline::new();
    let (end, sum) = p.source("a", nothing::<Vec<usize>>()).map("look up", |i| table[i]).fold(
        "sum",
        0,
        |s, x| *s += x,
    );
    let plan = end.plan().expect("valid");
    assert_eq!((plan.graph.nodes.len(), sum.take()), (2, None));
    seen.set(table.len());
    drop(plan);
    assert_eq!(seen.get(), 3);
}

/// Row 100: the plan has stages in order, channels and the accumulators' places.
#[test]
fn a_plan_has_a_body_for_every_stage() {
    let plan = Pipeline::new()
        .source("a", nothing::<Vec<u64>>())
        .key_by("key", |x| *x)
        .keyed_stage(
            "acc",
            |n| n.hints = Hints { stateful: true, ..Hints::default() },
            |_| Pass::default(),
        )
        .sink("b", hole::<Vec<u64>>())
        .plan()
        .expect("valid");
    let bodies: Vec<_> = plan.bodies.iter().map(|b| format!("{b:?}")).collect();
    assert_eq!(bodies, ["Source", "One", "Many", "Sink"]);
    let _ = ErasedSource::new(nothing::<Vec<u8>>(), flux_io_core::SourceId(0));
}
