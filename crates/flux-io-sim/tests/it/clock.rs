//! The time a stage is told (S7).

use crate::parts::{Fragment, Fragments};
use flux_io_core::{
    Batch, Body, ChannelDescriptor, ColumnType, Erased, ErasedSink, ErasedSource, ExecutionPlan,
    Graph, GraphEdge, IoCx, Out, Sink, SourceId, Stage, StageCx, StageError, StageKind, StageNode,
    Step,
};
use flux_io_core::{Filled, Source};
use flux_io_sim::{Fault, Faults, Swarm, simulate};
use std::sync::{Arc, Mutex, PoisonError};

type Late = Arc<Mutex<Vec<String>>>;

/// Compares the time it is told with the engine's.
struct Clock {
    name: &'static str,
    io: IoCx,
    late: Late,
}

impl Stage for Clock {
    type In = Vec<Fragment>;
    type Out = Vec<Fragment>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<Fragment>>,
        out: &mut Out<'_, Vec<Fragment>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if cx.now() != self.io.now() {
            let text = format!("{} is told {:?} at {:?}", self.name, cx.now(), self.io.now());
            self.late.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        out.swap(input);
        Ok(Step::Done)
    }
}

struct Nowhere;

impl Sink for Nowhere {
    type Col = Vec<Fragment>;
    async fn write(&mut self, b: &mut Batch<Vec<Fragment>>, _: &IoCx) -> Result<(), StageError> {
        b.clear();
        Ok(())
    }
}

fn line(swarm: &mut Swarm) -> (ExecutionPlan<'static>, Late) {
    let late = Late::default();
    let n = swarm.pick(1, 200);
    let rows: Vec<Fragment> = (0..n).map(|i| (i, 0)).collect();
    let c = ColumnType::of::<Vec<Fragment>>();
    let mut graph = Graph::default();
    graph.nodes.push(StageNode::new("rows", StageKind::Source, vec![], vec![c]));
    graph.nodes.push(StageNode::new("first", StageKind::Transform, vec![c], vec![c]));
    graph.nodes.push(StageNode::new("second", StageKind::Transform, vec![c], vec![c]));
    graph.nodes.push(StageNode::new("nowhere", StageKind::Sink, vec![c], vec![]));
    for i in 0..3 {
        let channel = ChannelDescriptor::default();
        graph.edges.push(GraphEdge { from: (i, 0), to: (i + 1, 0), channel });
    }
    let clock = |swarm: &Swarm, name| {
        Body::One(Box::new(Erased(Clock { name, io: swarm.io(), late: Arc::clone(&late) })))
    };
    let source = swarm.source("rows", Fragments(rows.into_iter()));
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
        clock(swarm, "first"),
        clock(swarm, "second"),
        Body::Sink(Box::new(ErasedSink(swarm.sink("nowhere", Nowhere)))),
    ];
    (ExecutionPlan { graph, bodies, dead_letters: None }, late)
}

/// A stage is told the time after every wait of its task: for rows, for room on an edge, for a slow
/// sink. A time from before the wait would make deadlines come early (S7).
#[test]
fn a_stage_is_told_the_time_after_every_wait() {
    // Time passes between polls too: before the first one, and behind a yield.
    let faults = Faults::none()
        .with(Fault::SlowWrite)
        .with(Fault::SlowFill)
        .with(Fault::SlowStep)
        .with(Fault::Suspend);
    simulate(line).faults(faults).seeds(400).check(|_, late| {
        match late.lock().unwrap_or_else(PoisonError::into_inner).first() {
            Some(l) => Err(l.clone()),
            None => Ok(()),
        }
    });
}

/// Gives the time at which each row was read.
struct Times(u32);

impl Source for Times {
    type Col = Vec<u64>;
    async fn fill(&mut self, out: &mut Batch<Vec<u64>>, cx: &IoCx) -> Result<Filled, StageError> {
        let n = self.0.min(cx.max_rows() as u32);
        out.col.extend((0..n).map(|_| cx.now().0));
        self.0 -= n;
        Ok(if self.0 == 0 { Filled::End } else { Filled::More })
    }
}

/// Appends rows to the open batch, so that the driver must close it.
struct Append;

impl Stage for Append {
    type In = Vec<u64>;
    type Out = Vec<u64>;
    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.batch().col.append(&mut input.col);
        out.seal_if_full();
        Ok(Step::Done)
    }
}

/// Notes rows that took time to come.
struct AtOnce(IoCx, Late);

impl Sink for AtOnce {
    type Col = Vec<u64>;
    async fn write(&mut self, b: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<(), StageError> {
        let now = self.0.now().0;
        if let Some(then) = b.col.iter().find(|t| **t != now) {
            let text = format!("a row of {then}ns came at {now}ns");
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        b.clear();
        Ok(())
    }
}

fn quiet(swarm: &mut Swarm) -> (ExecutionPlan<'static>, Late) {
    let late = Late::default();
    let n = swarm.pick(1, 100);
    let c = ColumnType::of::<Vec<u64>>();
    let mut graph = Graph::default();
    graph.nodes.push(StageNode::new("times", StageKind::Source, vec![], vec![c]));
    graph.nodes.push(StageNode::new("append", StageKind::Transform, vec![c], vec![c]));
    graph.nodes.push(StageNode::new("again", StageKind::Transform, vec![c], vec![c]));
    graph.nodes.push(StageNode::new("at once", StageKind::Sink, vec![c], vec![]));
    for i in 0..3 {
        let channel = ChannelDescriptor::default();
        graph.edges.push(GraphEdge { from: (i, 0), to: (i + 1, 0), channel });
    }
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(swarm.source("times", Times(n)), SourceId(0)))),
        Body::One(Box::new(Erased(Append))),
        Body::One(Box::new(Erased(Append))),
        Body::Sink(Box::new(ErasedSink(AtOnce(swarm.io(), Arc::clone(&late))))),
    ];
    (ExecutionPlan { graph, bodies, dead_letters: None }, late)
}

/// A quiet input holds nothing back: before a task waits, what is open is closed and sent.
#[test]
fn nothing_is_held_back_while_a_source_is_quiet() {
    let faults = Faults::none().with(Fault::SlowFill).with(Fault::ShortFill);
    simulate(quiet).faults(faults).seeds(400).check(|_, late| {
        match late.lock().unwrap_or_else(PoisonError::into_inner).first() {
            Some(l) => Err(l.clone()),
            None => Ok(()),
        }
    });
}
