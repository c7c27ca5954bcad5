//! Throughput against capacity, in virtual time.

use crate::parts::{Fragment, Fragments};
use flux_io_core::{
    Batch, Body, BufferPolicy, ChannelDescriptor, ColumnType, Draws, ErasedSink, ErasedSource,
    ExecutionPlan, Filled, Graph, GraphEdge, IoCx, Moment, Sink, Source, SourceId, StageError,
    StageKind, StageNode, WhenFull,
};
use flux_io_sim::{Faults, Swarm, simulate};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

struct Busy {
    draws: Draws,
    rows: Arc<AtomicU64>,
}

impl Sink for Busy {
    type Col = Vec<Fragment>;
    async fn write(&mut self, b: &mut Batch<Vec<Fragment>>, cx: &IoCx) -> Result<(), StageError> {
        let at = cx.now().plus(pause(&mut self.draws));
        cx.sleep_until(at).await;
        self.rows.fetch_add(b.len() as u64, Ordering::Relaxed);
        b.clear();
        Ok(())
    }
}

/// The line, and the rows that came through it.
fn line(
    swarm: &mut Swarm,
    capacity: usize,
    when_full: WhenFull,
) -> (ExecutionPlan<'static>, Arc<AtomicU64>) {
    (swarm.rows, swarm.chain) = (1, false);
    let c = ColumnType::of::<Vec<Fragment>>();
    let mut graph = Graph::default();
    graph.nodes.push(StageNode::new("rows", StageKind::Source, vec![], vec![c]));
    graph.nodes.push(StageNode::new("sink", StageKind::Sink, vec![c], vec![]));
    let buffer = Some(BufferPolicy { capacity, when_full });
    let channel = ChannelDescriptor { buffer, ..ChannelDescriptor::default() };
    graph.edges.push(GraphEdge { from: (0, 0), to: (1, 0), channel });
    let inner = Fragments((0..400).map(|i| (i, 0)).collect::<Vec<_>>().into_iter());
    let rows = Arc::default();
    let source = Slow { inner, draws: Draws(11), until: None };
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
        Body::Sink(Box::new(ErasedSink(Busy { draws: Draws(12), rows: Arc::clone(&rows) }))),
    ];
    (ExecutionPlan { graph, bodies, dead_letters: None }, rows)
}

const CAPACITIES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Two sides of equal mean speed that stall at different times: each batch of room lets one go on
/// for longer while the other stalls, until the slower side alone decides. Row 275.
#[test]
fn throughput_rises_with_capacity_until_one_side_decides() {
    let elapsed = |capacity| {
        let (run, _) = simulate(|s| line(s, capacity, WhenFull::Block))
            .faults(Faults::none())
            .seed(0)
            .record();
        assert!(run.report.is_success());
        assert_eq!(run.items, 400);
        run.report.elapsed
    };
    let curve: Vec<(usize, Duration)> = CAPACITIES.into_iter().map(|c| (c, elapsed(c))).collect();
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

/// Where a full edge drops, the source never waits: more room lets more rows through in the same
/// time, until none is dropped. Every row is delivered or counted as dropped. Row 275.
#[test]
fn dropping_less_with_capacity_until_nothing_is_dropped() {
    for when_full in [WhenFull::DropNewest, WhenFull::DropOldest] {
        let point = |capacity| {
            let (run, rows) =
                simulate(|s| line(s, capacity, when_full)).faults(Faults::none()).seed(0).record();
            assert!(run.report.is_success());
            run.report.check().expect("everything adds up");
            let delivered = rows.expect("no rule was broken").load(Ordering::Relaxed);
            let dropped: u64 = run.report.edges.iter().map(|e| e.stats.dropped).sum();
            assert_eq!(delivered + dropped, 400);
            (capacity, delivered, run.report.elapsed)
        };
        let curve = CAPACITIES.map(point);
        for (capacity, delivered, took) in &curve {
            let speed = *delivered as f64 / took.as_secs_f64();
            let word = when_full.as_str();
            println!(
                "{word} {capacity:>4} batches: {delivered:>3} of 400, {speed:>7.0} rows a second"
            );
        }
        for w in curve.windows(2) {
            assert!(w[0].1 <= w[1].1, "more room drops more: {curve:?}");
        }
        assert!(curve[0].1 < 350, "one batch of room is too much: {curve:?}");
        assert_eq!((curve[7].1, curve[8].1), (400, 400), "room for all: {curve:?}");
    }
}
