//! Laws of stages that await: calls in flight are bounded, keep their order, and nothing overtakes
//! them.

use super::kit::{OnBatch, Seen, Tape, balanced, completed, every_way, fresh};
use crate::doubles::{CollectSink, Line, MemorySnapshots, ScriptSource, Shelf, VecSource};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Batch, Ended, Engine, ErrorKind, ExecutionPlan, GiveUp, Moment, Node, OnError, Out,
    Outbox, Retry, RunOptions, StageCx, StageError, Step, StopMode, Timestamp,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What goes wrong with the call for one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Fails,
    Panics,
    Hangs,
}

/// Calls something for every row; at most `window` calls at once; each is done at its third poll,
/// or when the time it takes is over. Rows come out in order.
struct Calls {
    window: usize,
    takes: Option<Duration>,
    over: Option<Moment>,
    flying: VecDeque<(u64, u32)>,
    trouble: Option<(u64, Trouble)>,
    most: Shelf<usize>,
}

impl Calls {
    fn new(window: usize) -> (Self, Shelf<usize>) {
        let most = Shelf::default();
        let flying = VecDeque::new();
        let calls =
            Self { window, takes: None, over: None, flying, trouble: None, most: most.clone() };
        (calls, most)
    }
}

impl Node for Calls {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = &mut input.get_mut::<Vec<u64>>()?.col;
        let n = rows.len().min(self.window - self.flying.len());
        self.flying.extend(rows.drain(..n).map(|r| (r, 3)));
        self.most.put(self.flying.len());
        Ok(if rows.is_empty() { Step::Done } else { Step::Pending })
    }

    fn in_flight(&self) -> usize {
        self.flying.len()
    }

    fn poll(
        &mut self,
        task: &mut Context<'_>,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Poll<Result<(), StageError>> {
        if let Some(takes) = self.takes {
            let over = *self.over.get_or_insert_with(|| cx.now().plus(takes));
            if over > cx.now() {
                cx.wake_at(over);
                return Poll::Pending;
            }
            self.over = None;
            self.flying.iter_mut().for_each(|f| f.1 = 1);
        }
        let Some((row, polls)) = self.flying.front_mut() else { return Poll::Ready(Ok(())) };
        let trouble = self.trouble.filter(|t| t.0 == *row).map(|t| t.1);
        if trouble == Some(Trouble::Hangs) {
            return Poll::Pending;
        }
        *polls -= 1;
        if *polls > 0 {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let row = *row;
        self.flying.pop_front();
        assert!(trouble != Some(Trouble::Panics), "the call for row {row} panics");
        if trouble == Some(Trouble::Fails) {
            return Poll::Ready(Err(StageError::permanent(format!("the call for {row} failed"))));
        }
        match outs[0].typed::<Vec<u64>>() {
            Ok(mut out) => {
                out.batch().col.push(row);
                out.seal_if_full();
                Poll::Ready(Ok(()))
            }
            Err(e) => Poll::Ready(Err(e.into())),
        }
    }
}

/// `lines` through `calls` into a tape and a sink.
fn through(
    lines: Vec<Line<u64>>,
    calls: Calls,
    policy: OnError,
) -> (ExecutionPlan<'static>, Shelf<(u32, Seen)>, Shelf<u64>) {
    let (tape, log) = Tape::new();
    let (sink, shelf) = CollectSink::<u64>::new();
    let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines)).capacity(2);
    let calls = p.node("calls", column::<Vec<u64>>(), column::<Vec<u64>>(), calls);
    p.graph.nodes[calls].on_error = policy;
    p.join(0, calls);
    let tape = p.stage("tape", tape);
    p.join(calls, tape);
    let out = p.sink("out", sink);
    p.join(tape, out);
    (p.plan(), log, shelf)
}

/// Rows come out once and in order, no more calls are in flight than may be, and a watermark stays
/// behind the rows before it.
pub fn calls_are_bounded_and_overtaken_by_nothing(engine: &dyn Engine) {
    for options in every_way() {
        for window in [1, 3, 50] {
            let lines = (0..200).flat_map(|r| {
                let mark = (r % 9 == 4).then_some(Line::Mark(Timestamp(r as i64)));
                let wait = (r % 50 == 20).then_some(Line::Yield);
                [Some(Line::At(r, Timestamp(r as i64))), mark, wait].into_iter().flatten()
            });
            let (calls, most) = Calls::new(window);
            let (plan, log, shelf) = through(lines.collect(), calls, OnError::Fail);
            completed(&engine.run_plan(plan, fresh(&options)));
            assert_eq!(shelf.take(), (0..200).collect::<Vec<u64>>());
            let most = most.take().into_iter().max();
            assert!(most <= Some(window), "{most:?} calls of {window}");
            // Every row before a watermark has passed when it comes, and the last one comes.
            let mut rows = 0;
            let mut watermark = Timestamp::MIN;
            for (_, seen) in log.take() {
                match seen {
                    Seen::Row(_) => rows += 1,
                    Seen::Mark(w) => {
                        assert!(rows > w.0 as u64, "{w} came behind {rows} rows");
                        watermark = w;
                    }
                    _ => {}
                }
            }
            assert_eq!(watermark, Timestamp(193));
        }
    }
}

/// A barrier waits for the calls before it: a snapshot holds every row read before its cut.
pub fn a_barrier_waits_for_calls(engine: &dyn Engine) {
    for options in every_way() {
        let store = Arc::new(MemorySnapshots::new());
        let handle = options.handle.clone();
        let lines = (0..100).flat_map(|r| {
            let handle = handle.clone();
            let ask = Line::call(move || {
                _ = handle.checkpoint();
            });
            let cut = if r % 30 == 17 { vec![ask, Line::Cut] } else { Vec::new() };
            [Line::Row(r)].into_iter().chain(cut)
        });
        let (calls, _) = Calls::new(8);
        let (plan, _, shelf) = through(lines.collect(), calls, OnError::Fail);
        let kept: Arc<MemorySnapshots> = Arc::clone(&store);
        completed(&engine.run_plan(plan, options.snapshots(kept)));
        assert_eq!(shelf.len(), 100);
        let mut whole = 0;
        for e in store.epochs() {
            let first = |stage| store.part(e, stage, 0)?.first_chunk::<8>().copied();
            if let (Some(read), Some(seen)) = (first("in"), first("tape")) {
                assert_eq!(u64::from_le_bytes(read), u64::from_le_bytes(seen), "{e:?}");
                whole += 1;
            }
        }
        assert!(whole > 0, "{store:?}");
    }
}

/// A call that fails or panics is an error of its stage: under Fail the run ends and names it,
/// under Skip it is counted and the other calls go on.
pub fn a_failing_call_is_an_error_of_its_stage(engine: &dyn Engine) {
    for options in every_way() {
        for (trouble, kind) in
            [(Trouble::Fails, ErrorKind::User), (Trouble::Panics, ErrorKind::Panicked)]
        {
            for policy in [OnError::Fail, OnError::Skip] {
                let (mut calls, _) = Calls::new(4);
                calls.trouble = Some((20, trouble));
                let lines = (0..50).map(Line::Row).collect();
                let (plan, _, shelf) = through(lines, calls, policy);
                let report = engine.run_plan(plan, fresh(&options));
                if policy == OnError::Fail {
                    assert_eq!(report.ended, Ended::Failed);
                    let failure = report.failure.map(|f| (f.stage, f.error.kind));
                    assert_eq!(failure, Some(("calls".into(), kind)));
                    assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
                } else {
                    completed(&report);
                    let expected: Vec<u64> = (0..50).filter(|r| *r != 20).collect();
                    assert_eq!(shelf.take(), expected);
                    assert_eq!(report.stage("calls").map(|s| s.errors), Some(1));
                }
            }
        }
    }
}

/// A call that never returns does not keep a run from being stopped.
pub fn a_call_that_hangs_can_be_stopped(engine: &dyn Engine) {
    for options in every_way() {
        for graceful in [true, false] {
            let (mut calls, _) = Calls::new(4);
            calls.trouble = Some((20, Trouble::Hangs));
            let options = fresh(&options);
            let handle = options.handle.clone();
            let stop = move || {
                let deadline = Some(Duration::from_millis(10));
                let mode = StopMode::Graceful { deadline };
                handle.stop(if graceful { mode } else { StopMode::Abort });
            };
            let first = (0..22).flat_map(|r| [Line::Row(r), Line::Cut]);
            let lines = first.chain([Line::call(stop), Line::Row(99), Line::Cut]).collect();
            let (plan, _, shelf) = through(lines, calls, OnError::Fail);
            let report = engine.run_plan(plan, options);
            let expected = if graceful { Ended::DrainTimedOut } else { Ended::Aborted };
            assert_eq!(report.ended, expected, "{:?}", report.failure);
            assert!(shelf.take().iter().all(|r| *r < 20));
            assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
            balanced(&report);
        }
    }
}

/// Says that it waits for calls, and has none.
struct Idler;

impl Node for Idler {
    fn on_batch(
        &mut self,
        _port: usize,
        _input: &mut AnyBatch,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        Ok(Step::Pending)
    }
}

/// A stage that waits for calls it does not have would never end: the run fails and names it.
pub fn a_wait_without_calls_is_a_fault(engine: &dyn Engine) {
    for chain in [true, false] {
        let (sink, _) = CollectSink::<u64>::new();
        let mut p = HandPlan::from("in", VecSource::<u64>::new(0..3));
        let idler = p.node("idler", column::<Vec<u64>>(), column::<Vec<u64>>(), Idler);
        p.join(0, idler);
        let out = p.sink("out", sink);
        p.join(idler, out);
        let report = engine.run_plan(p.plan(), RunOptions::default().chain(chain));
        assert_eq!(report.ended, Ended::Failed);
        assert_eq!(report.failure.map(|f| f.stage), Some("idler".into()));
    }
}

/// Calls in flight hold the end of several inputs back. When they are done the run ends, whoever
/// finds them done: the task that looks at them between two inputs, or the one that waits.
pub fn the_end_that_calls_held_back_is_seen(engine: &dyn Engine) {
    for options in every_way() {
        for takes in [None, Some(Duration::from_micros(200))] {
            for window in [1, 2, 50] {
                let (mut calls, _) = Calls::new(window);
                calls.takes = takes;
                let (sink, shelf) = CollectSink::<u64>::new();
                let mut p = HandPlan::from("a", VecSource::<u64>::new(0..4)).capacity(2);
                let b = p.source("b", VecSource::<u64>::new(4..8));
                let calls = p.node("calls", column::<Vec<u64>>(), column::<Vec<u64>>(), calls);
                p.join(0, calls);
                p.join(b, calls);
                let out = p.sink("out", sink);
                p.join(calls, out);
                completed(&engine.run_plan(p.plan(), fresh(&options)));
                let mut rows = shelf.take();
                rows.sort_unstable();
                assert_eq!(rows, (0..8).collect::<Vec<u64>>());
            }
        }
    }
}

/// A stage that waits for its next attempt stands before calls in flight, its output full: the
/// calls end all the same, and its attempts and theirs take turns.
pub fn a_retry_before_calls_lets_them_end(engine: &dyn Engine) {
    for options in every_way() {
        let (mut calls, _) = Calls::new(1);
        calls.takes = Some(Duration::from_millis(1));
        let mut refused = None;
        let flaky = OnBatch(
            move |input: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
                if input.col.first().is_some_and(|r| r % 2 == 1 && refused != Some(*r)) {
                    refused = input.col.first().copied();
                    return Err(StageError::transient("once"));
                }
                out.swap(input);
                Ok(Step::Done)
            },
        );
        let first = Duration::from_micros(10);
        let retry = Retry { attempts: 3, first, factor: 1, jitter_percent: 0, ..Retry::default() };
        let (sink, shelf) = CollectSink::<u64>::new();
        let lines = (0..12).flat_map(|r| [Line::Row(r), Line::Cut]);
        let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("flaky", flaky)
            .on_error(OnError::Retry { retry, then: GiveUp::Fail });
        let calls = p.node("calls", column::<Vec<u64>>(), column::<Vec<u64>>(), calls);
        p.join(1, calls);
        let out = p.sink("out", sink);
        p.join(calls, out);
        completed(&engine.run_plan(p.plan(), options));
        assert_eq!(shelf.take(), (0..12).collect::<Vec<u64>>());
    }
}
