//! Throughput against capacity, in virtual time.

use crate::parts::{Fragment, Fragments};
use flux_io_core::{
    Batch, Body, BufferPolicy, ChannelDescriptor, ColumnType, Draws, ErasedSink, ErasedSource,
    ExecutionPlan, Filled, Graph, GraphEdge, IoCx, Moment, Sink, Source, SourceId, StageError,
    StageKind, StageNode, WhenFull,
};
use flux_io_sim::{Faults, Swarm, simulate};
use std::time::Duration;

/// How long each side takes for a batch: mostly little, sometimes much.
fn pause(draws: &mut Draws) -> Duration {
    Duration::from_micros(u64::from(if draws.below(8) == 0 { 700 } else { draws.below(40) }))
}

struct Slow<S> {
    inner: S,
    draws: Draws,
    until: Option<Moment>,
}

impl Source for Slow<Fragments> {
    type Col = Vec<Fragment>;
    async fn fill(
        &mut self,
        out: &mut Batch<Vec<Fragment>>,
        cx: &IoCx,
    ) -> Result<Filled, StageError> {
        let at = *self.until.get_or_insert_with(|| cx.now().plus(pause(&mut self.draws)));
        cx.sleep_until(at).await;
        self.until = None;
        self.inner.fill(out, cx).await
    }
}

struct Busy(Draws);

impl Sink for Busy {
    type Col = Vec<Fragment>;
    async fn write(&mut self, b: &mut Batch<Vec<Fragment>>, cx: &IoCx) -> Result<(), StageError> {
        let at = cx.now().plus(pause(&mut self.0));
        cx.sleep_until(at).await;
        b.clear();
        Ok(())
    }
}

fn line(swarm: &mut Swarm, capacity: usize) -> (ExecutionPlan<'static>, ()) {
    (swarm.rows, swarm.chain) = (1, false);
    let c = ColumnType::of::<Vec<Fragment>>();
    let mut graph = Graph::default();
    graph.nodes.push(StageNode::new("rows", StageKind::Source, vec![], vec![c]));
    graph.nodes.push(StageNode::new("sink", StageKind::Sink, vec![c], vec![]));
    let buffer = Some(BufferPolicy { capacity, when_full: WhenFull::Block });
    let channel = ChannelDescriptor { buffer, ..ChannelDescriptor::default() };
    graph.edges.push(GraphEdge { from: (0, 0), to: (1, 0), channel });
    let inner = Fragments((0..400).map(|i| (i, 0)).collect::<Vec<_>>().into_iter());
    let source = Slow { inner, draws: Draws(11), until: None };
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
        Body::Sink(Box::new(ErasedSink(Busy(Draws(12))))),
    ];
    (ExecutionPlan { graph, bodies, dead_letters: None }, ())
}

/// Two sides of equal mean speed that stall at different times: each batch of room lets one go on
/// for longer while the other stalls, until the slower side alone decides. Row 275.
#[test]
fn throughput_rises_with_capacity_until_one_side_decides() {
    let elapsed = |capacity| {
        let (run, _) = simulate(|s| line(s, capacity)).faults(Faults::none()).seed(0).record();
        assert!(run.report.is_success());
        assert_eq!(run.items, 400);
        run.report.elapsed
    };
    let curve: Vec<(usize, Duration)> =
        [1, 2, 4, 8, 16, 32, 64, 128, 256].into_iter().map(|c| (c, elapsed(c))).collect();
    for (capacity, took) in &curve {
        println!("{capacity:>4} batches: {:>7.0} rows a second", 400.0 / took.as_secs_f64());
    }
    for w in curve.windows(2) {
        assert!(w[1].1 <= w[0].1, "more room is slower: {curve:?}");
    }
    let (first, last) = (curve[0].1, curve[curve.len() - 1].1);
    assert!(first.as_secs_f64() > last.as_secs_f64() * 1.15, "room gains nothing: {curve:?}");
    assert_eq!(curve[7].1, last, "beyond what can wait, more room changes nothing: {curve:?}");
}
