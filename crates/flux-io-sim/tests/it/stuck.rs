//! Runs that cannot end: deadlock, livelock, leaked timers.

use crate::parts::{Fragment, Fragments, ONE, Recipe, assembly, nothing_lost};
use flux_io_core::{
    AnyBatch, Batch, Body, ChannelDescriptor, ColumnType, ErasedSink, ErasedSource, ExecutionPlan,
    Filled, Graph, GraphEdge, IoCx, Node, Outbox, Sink, Source, SourceId, StageCx, StageError,
    StageKind, StageNode, Step,
};
use flux_io_sim::{FailureKind, Swarm, simulate};

struct Nowhere;

impl Sink for Nowhere {
    type Col = Vec<Fragment>;
    async fn write(&mut self, b: &mut Batch<Vec<Fragment>>, _: &IoCx) -> Result<(), StageError> {
        b.clear();
        Ok(())
    }
}

/// Gives every row to both ports.
struct Both;

impl Node for Both {
    fn on_batch(
        &mut self,
        _: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = input.get::<Vec<Fragment>>()?.col.clone();
        for o in outs {
            o.push_batch(AnyBatch::new(Batch::of(rows.clone())));
        }
        Ok(Step::Done)
    }
}

/// Takes port 1 only when port 0 has ended: with a diamond in front it can never be.
#[derive(Default)]
struct FirstThenSecond(bool);

impl Node for FirstThenSecond {
    fn on_batch(
        &mut self,
        _: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let fresh = input.empty();
        outs[0].push_batch(std::mem::replace(input, fresh));
        Ok(Step::Done)
    }
    fn on_input_end(
        &mut self,
        port: usize,
        _: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0 |= port == 0;
        Ok(Step::Done)
    }
    fn accepts(&self, port: usize) -> bool {
        port == 0 || self.0
    }
}

fn diamond(swarm: &mut Swarm) -> (ExecutionPlan<'static>, ()) {
    let n = swarm.pick(4, 20);
    let rows: Vec<Fragment> = (0..n).map(|i| (i, 0)).collect();
    let source = swarm.source("rows", Fragments(rows.into_iter()));
    let c = ColumnType::of::<Vec<Fragment>>();
    let mut graph = Graph { buffer: ONE, ..Graph::default() };
    graph.nodes.push(StageNode::new("rows", StageKind::Source, vec![], vec![c]));
    graph.nodes.push(StageNode::new("both", StageKind::Branch, vec![c], vec![c, c]));
    graph.nodes.push(StageNode::new("first", StageKind::Merge, vec![c, c], vec![c]));
    graph.nodes.push(StageNode::new("nowhere", StageKind::Sink, vec![c], vec![]));
    let channel = ChannelDescriptor { buffer: Some(ONE), ..ChannelDescriptor::default() };
    for (from, to) in [((0, 0), (1, 0)), ((1, 0), (2, 0)), ((1, 1), (2, 1)), ((2, 0), (3, 0))] {
        graph.edges.push(GraphEdge { from, to, channel });
    }
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
        Body::One(Box::new(Both)),
        Body::One(Box::new(FirstThenSecond::default())),
        Body::Sink(Box::new(ErasedSink(Nowhere))),
    ];
    (ExecutionPlan { graph, bodies, dead_letters: None }, ())
}

#[test]
fn a_deadlock_is_told_with_its_cycle() {
    let failure =
        simulate(diamond).seeds(200).try_check(|_, ()| Ok(())).expect_err("it must deadlock");
    assert_eq!(failure.kind, FailureKind::Stuck);
    let m = &failure.message;
    assert!(m.starts_with("deadlock: nothing can run"), "{m}");
    assert!(m.contains("sender waits for room"), "{m}");
    assert!(m.contains("waits for first#0 (room)"), "{m}");
    assert!(m.contains("cycle: "), "{m}");
    assert!(failure.choices() <= 30, "{failure}");
}

/// Never gives a row and never ends.
struct Empty;

impl Source for Empty {
    type Col = Vec<Fragment>;
    async fn fill(&mut self, _: &mut Batch<Vec<Fragment>>, _: &IoCx) -> Result<Filled, StageError> {
        Ok(Filled::More)
    }
}

fn line(
    swarm: &mut Swarm,
    source: impl Source<Col = Vec<Fragment>> + 'static,
) -> ExecutionPlan<'static> {
    let source = swarm.source("rows", source);
    let c = ColumnType::of::<Vec<Fragment>>();
    let mut graph = Graph::default();
    graph.nodes.push(StageNode::new("rows", StageKind::Source, vec![], vec![c]));
    graph.nodes.push(StageNode::new("nowhere", StageKind::Sink, vec![c], vec![]));
    let channel = ChannelDescriptor::default();
    graph.edges.push(GraphEdge { from: (0, 0), to: (1, 0), channel });
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
        Body::Sink(Box::new(ErasedSink(Nowhere))),
    ];
    ExecutionPlan { graph, bodies, dead_letters: None }
}

#[test]
fn a_run_that_goes_on_for_ever_is_told() {
    let failure = simulate(|s| (line(s, Empty), ()))
        .bound(1_000)
        .shrink_runs(3)
        .seeds(1)
        .try_check(|_, ()| Ok(()))
        .expect_err("it never ends");
    assert_eq!(failure.kind, FailureKind::Stuck);
    assert!(failure.message.starts_with("livelock: 1000 steps"), "{failure}");
}

/// Waits for somebody who never comes.
struct Forgotten;

impl Source for Forgotten {
    type Col = Vec<Fragment>;
    async fn fill(&mut self, _: &mut Batch<Vec<Fragment>>, _: &IoCx) -> Result<Filled, StageError> {
        std::future::pending().await
    }
}

#[test]
fn a_lost_wake_up_is_a_deadlock() {
    let failure = simulate(|s| (line(s, Forgotten), ()))
        .seeds(1)
        .try_check(|_, ()| Ok(()))
        .expect_err("it waits for ever");
    assert!(failure.message.contains("task rows#0"), "{failure}");
    assert!(failure.message.contains("no timer is armed"), "{failure}");
}

/// Reads through blocking jobs.
struct Blocks(u32);

impl Source for Blocks {
    type Col = Vec<Fragment>;
    async fn fill(
        &mut self,
        out: &mut Batch<Vec<Fragment>>,
        cx: &IoCx,
    ) -> Result<Filled, StageError> {
        let n = self.0;
        let read = cx.blocking(move || n).await;
        let n = read.ok_or_else(|| StageError::permanent("the job is gone"))?;
        self.0 -= 1;
        out.col.push((n, 0));
        Ok(if self.0 == 0 { Filled::End } else { Filled::More })
    }
}

#[test]
fn blocking_jobs_are_steps_of_their_own() {
    let stats = simulate(|s| {
        let n = s.pick(1, 30);
        (line(s, Blocks(n)), n)
    })
    .seeds(300)
    .check(|run, n| {
        if run.items == u64::from(n) { Ok(()) } else { Err(format!("{} of {n}", run.items)) }
    });
    assert_eq!(stats.runs, 300);
}

/// The largest and the smallest sizes: no deadlock with one slot and one row.
#[test]
fn the_tightest_sizes_do_not_deadlock() {
    simulate(|s| {
        (s.capacity, s.rows, s.chain) = (1, 1, false);
        assembly(s, Recipe::plain(80))
    })
    .seeds(200)
    .check(nothing_lost);
}
