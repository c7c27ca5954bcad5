//! Laws of edges in a run: bounds, backpressure, drops.

use super::kit::{Seen, Tape, balanced, by_row, completed};
use crate::doubles::{CollectSink, Gate, Line, ScriptSource, Shelf, VecSource};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Batch, BufferPolicy, ChannelDescriptor, EdgeStats, Engine, IoCx, Node, Observer,
    Outbox, RunOptions, Sink, StageCx, StageError, Step, Stuck, Timestamp, Watchdog, WhenFull,
};
use std::ops::Range;
use std::sync::Arc;

fn edge(report: &flux_io_core::RunReport, from: &str) -> (usize, EdgeStats) {
    let e = report.edges.iter().find(|e| e.from == from);
    e.map(|e| (e.capacity, e.stats)).unwrap_or_default()
}

/// Opens a gate when the run stands still with a task that waits for room behind the stage
/// `second`.
struct Blocked(Gate);

impl Observer for Blocked {
    fn on_stuck(&self, stuck: &Stuck) {
        if stuck.queues.iter().any(|q| q.from == "second#0" && q.sender_waits) {
            self.0.open();
        }
    }
}

/// With a sink that is in its first write until its sender waits, and edges of one to three batches,
/// no row is lost, no edge is over its bound, and the waits are counted.
pub fn a_slow_sink_holds_its_senders_back(engine: &dyn Engine) {
    for capacity in 1..=3 {
        for batch in [1, 16] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let gate = Gate::new();
            let sink = Gated { begun: Gate::new(), gate: gate.clone(), inner: sink };
            let plan = HandPlan::from("in", VecSource::<u64>::new(0..1_000))
                .capacity(capacity)
                .then("first", by_row(|r, out| out.push(r)))
                .then("second", by_row(|r, out| out.push(r)))
                .into("out", sink);
            let dog = Watchdog::new(super::timers::ms(1), 2);
            let options = RunOptions::default().batch(batch).chain(false);
            let options = options.watchdog(dog).observer(Arc::new(Blocked(gate)));
            let report = engine.run_plan(plan.plan(), options);
            completed(&report);
            assert_eq!(shelf.take(), (0..1_000).collect::<Vec<u64>>());
            assert_eq!(report.edges.len(), 3);
            for e in &report.edges {
                assert_eq!(e.capacity, capacity);
                assert!(e.stats.high <= capacity, "{e:?}");
                assert_eq!((e.stats.sent, e.stats.taken), (1_000, 1_000));
            }
            let (_, last) = edge(&report, "second");
            assert!(last.blocked > 0, "{last:?}");
            let depth = report.stage("out").map(|s| s.in_depth_max);
            assert_eq!(depth, Some(last.high));
        }
    }
}

/// The buffer of an edge is its own, else the receiving stage's, else the plan's (B98).
pub fn b098_the_edge_beats_the_stage_beats_the_plan(engine: &dyn Engine) {
    let buffer = |capacity| Some(BufferPolicy { capacity, when_full: WhenFull::Block });
    let (sink, _) = CollectSink::<u64>::new();
    let mut p = HandPlan::from("in", VecSource::<u64>::new(0..10)).capacity(5);
    let a = p.stage("a", by_row(|r, out| out.push(r)));
    let b = p.stage("b", by_row(|r, out| out.push(r)));
    let out = p.sink("out", sink);
    p.graph.nodes[a].buffer = buffer(4);
    p.graph.nodes[b].buffer = buffer(4);
    p.join(0, a);
    p.edge((a, 0), (b, 0), ChannelDescriptor { buffer: buffer(3), ..Default::default() });
    p.join(b, out);
    let report = engine.run_plan(p.plan(), RunOptions::default().chain(false));
    completed(&report);
    let capacities: Vec<usize> = ["in", "a", "b"].iter().map(|f| edge(&report, f).0).collect();
    assert_eq!(capacities, [4, 3, 5]);
}

/// Tells of its first write, and waits at a gate before it.
struct Gated {
    begun: Gate,
    gate: Gate,
    inner: CollectSink<u64>,
}

impl Sink for Gated {
    type Col = Vec<u64>;

    async fn write(&mut self, batch: &mut Batch<Vec<u64>>, cx: &IoCx) -> Result<(), StageError> {
        self.begun.open();
        self.gate.wait().await;
        self.inner.write(batch, cx).await
    }
}

/// Rows 0..100, a watermark behind each, over an edge of `capacity` with this policy, to a sink
/// that has begun with the first row before the others are sent, and waits until all were. Gives the rows that came, what the receiving stage saw, and
/// what the edge counted.
fn overrun(
    engine: &dyn Engine,
    capacity: usize,
    when_full: WhenFull,
) -> (Vec<u64>, Vec<Seen>, EdgeStats) {
    let gate = Gate::new();
    let shelf = Shelf::default();
    let (tape, log) = Tape::new();
    let (begun, opens) = (Gate::new(), gate.clone());
    let rows = |of: Range<u64>| {
        of.flat_map(|r| [Line::At(r, Timestamp(r as i64)), Line::Mark(Timestamp(r as i64))])
    };
    let lines = rows(0..1)
        .chain([Line::Cut, Line::Gate(begun.clone())])
        .chain(rows(1..100))
        .chain([Line::Cut, Line::call(move || opens.open())]);
    let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines));
    let tape = p.stage("tape", tape);
    let out = p.sink("out", Gated { begun, gate, inner: CollectSink::onto(&shelf) });
    let buffer = Some(BufferPolicy { capacity, when_full });
    p.edge((0, 0), (tape, 0), ChannelDescriptor { buffer, ..Default::default() });
    p.join(tape, out);
    let report = engine.run_plan(p.plan(), RunOptions::default().batch(1));
    completed(&report);
    let (_, stats) = edge(&report, "in");
    assert_eq!(stats.sent, 100);
    assert_eq!(stats.sent, stats.taken + stats.dropped, "{stats:?}");
    assert!(stats.dropped > 0 && stats.high <= capacity, "{stats:?}");
    let rows = shelf.take();
    assert_eq!(rows.len() as u64, stats.taken);
    assert!(rows.is_sorted());
    balanced(&report);
    (rows, log.take().into_iter().map(|x| x.1).collect(), stats)
}

fn promise_holds(seen: &[Seen]) {
    let mut watermark = Timestamp::MIN;
    for s in seen {
        match s {
            Seen::Mark(w) => watermark = *w,
            Seen::Row(r) => assert!(Timestamp(*r as i64) > watermark, "{seen:?}"),
            _ => {}
        }
    }
    assert_eq!(watermark, Timestamp(99), "the last promise outlives its batch: {seen:?}");
}

/// `DropOldest` drops the head of the queue: the newest rows arrive, what was dropped is counted,
/// and watermarks of dropped batches arrive at their place (B35).
pub fn b035_drop_oldest_keeps_the_newest(engine: &dyn Engine) {
    for capacity in 1..=3 {
        let (rows, seen, _) = overrun(engine, capacity, WhenFull::DropOldest);
        let newest: Vec<u64> = (100 - capacity as u64..100).collect();
        assert!(rows.ends_with(&newest), "{rows:?}");
        promise_holds(&seen);
    }
}

/// `DropNewest` refuses what comes: the oldest rows arrive, what was dropped is counted, and
/// watermarks of dropped batches arrive all the same (B35).
pub fn b035_drop_newest_keeps_the_oldest(engine: &dyn Engine) {
    for capacity in 1..=3 {
        let (rows, seen, _) = overrun(engine, capacity, WhenFull::DropNewest);
        let oldest: Vec<u64> = (0..capacity as u64).collect();
        assert!(rows.starts_with(&oldest), "{rows:?}");
        assert!(!rows.contains(&99), "{rows:?}");
        promise_holds(&seen);
    }
}

/// Takes a row of port 0, then one of port 1, and so on.
#[derive(Default)]
struct InStep {
    evens: u64,
    odds: u64,
}

impl Node for InStep {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = &mut input.get_mut::<Vec<u64>>()?.col;
        *[&mut self.evens, &mut self.odds][port] += rows.len() as u64;
        outs[0].typed::<Vec<u64>>()?.batch().col.append(rows);
        Ok(Step::Done)
    }

    fn accepts(&self, port: usize) -> bool {
        (self.evens <= self.odds) == (port == 0)
    }

    fn on_input_end(
        &mut self,
        port: usize,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        // Nothing more to wait for on that port.
        *[&mut self.evens, &mut self.odds][port] = u64::MAX / 4;
        Ok(Step::Done)
    }
}

/// A sender that found an edge full is woken when there is room again, also when the receiver
/// takes only a little and then waits for what the same sender has for another of its ports.
pub fn a_sender_with_room_is_not_left_waiting(engine: &dyn Engine) {
    for capacity in 1..=4 {
        let (sink, shelf) = CollectSink::<u64>::new();
        // One batch is taken, the edge is not at half yet, and the next even row comes before the
        // first odd one.
        let lead = (0..=capacity as u64).map(|i| 2 * i);
        let rest = (0..50).flat_map(|i| [2 * i + 1, 2 * (i + 1 + capacity as u64)]);
        let mut expected: Vec<u64> = lead.chain(rest).collect();
        let mut p =
            HandPlan::from("in", VecSource::<u64>::new(expected.clone())).capacity(capacity);
        let two = || [column::<Vec<u64>>(), column::<Vec<u64>>()].concat();
        let split = p.node("split", column::<Vec<u64>>(), two(), super::kit::Split);
        let in_step = p.node("in step", two(), column::<Vec<u64>>(), InStep::default());
        p.join(0, split);
        p.edge((split, 0), (in_step, 0), ChannelDescriptor::default());
        p.edge((split, 1), (in_step, 1), ChannelDescriptor::default());
        let out = p.sink("out", sink);
        p.join(in_step, out);
        completed(&engine.run_plan(p.plan(), RunOptions::default().batch(1)));
        let mut rows = shelf.take();
        rows.sort_unstable();
        expected.sort_unstable();
        assert_eq!(rows, expected, "edges of {capacity}");
    }
}
