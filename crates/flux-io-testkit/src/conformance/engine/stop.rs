//! Laws of stopping: drain, deadline, abort.

use super::kit::{OnBatch, balanced, by_row, every_way, fresh};
use crate::doubles::{
    CollectSink, Fault, Faults, FlakySink, Gate, Line, ScriptSource, Shelf, VecSource,
};
use crate::plans::HandPlan;
use flux_io_core::{
    Batch, Ended, Engine, GiveUp, IoCx, Moment, OnError, Out, Retry, RunHandle, RunOptions, Sink,
    Stage, StageCx, StageError, Step, StopMode,
};
use std::future::pending;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

const GRACEFUL: StopMode = StopMode::Graceful { deadline: None };

/// Passes rows on and stops the run at row `at`.
fn stops(
    handle: &RunHandle,
    at: u64,
    mode: StopMode,
) -> impl Stage<In = Vec<u64>, Out = Vec<u64>> + use<> {
    let handle = handle.clone();
    by_row(move |r, out| {
        if r == at {
            handle.stop(mode);
        }
        out.push(r);
    })
}

/// After a graceful stop every row a source gave has come out, in order; the sink is closed.
pub fn a_drain_lets_everything_through(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100_000))
            .capacity(2)
            .then("stop", stops(&options.handle, 50, GRACEFUL))
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options.clone());
        balanced(&report);
        assert_eq!(report.ended, Ended::Drained, "{:?}", report.failure);
        assert!(report.is_success());
        let rows = shelf.take();
        let given = report.stage("in").map(|s| s.counts.rows_out);
        assert_eq!(given, Some(rows.len() as u64), "all that was accepted came through");
        assert!(rows.len() > 50 && rows.len() < 100_000);
        assert!(rows.iter().enumerate().all(|(i, r)| i as u64 == *r));
        assert_eq!((shelf.closed(), shelf.aborted()), (1, 0));
    }
}

/// A graceful stop ends a source that waits for something that never comes.
pub fn a_drain_ends_a_source_that_waits(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let lines = [Line::Row(1), Line::Row(2), Line::Cut, Line::Gate(Gate::new()), Line::Row(3)];
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("stop", stops(&options.handle, 2, GRACEFUL))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options);
        balanced(&report);
        assert_eq!(report.ended, Ended::Drained, "{:?}", report.failure);
        assert_eq!(shelf.take(), [1, 2]);
        assert_eq!(shelf.closed(), 1);
    }
}

/// A drain that cannot end is cut at its deadline, and the report says so.
pub fn a_drain_ends_at_its_deadline(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let handle = options.handle.clone();
        let deadline = Some(Duration::from_millis(20));
        let stuck = OnBatch(
            move |_: &mut Batch<Vec<u64>>, _: &mut Out<'_, Vec<u64>>, cx: &mut StageCx<'_>| {
                handle.stop(StopMode::Graceful { deadline });
                Ok(Step::Wait(cx.now().plus(Duration::from_millis(3))))
            },
        );
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100)).then("stuck", stuck);
        let report = engine.run_plan(plan.into("out", sink).plan(), options.clone());
        assert_eq!(report.ended, Ended::DrainTimedOut, "{:?}", report.failure);
        assert!(!report.is_success());
        assert!(report.elapsed >= Duration::from_millis(20));
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
    }
}

/// The deadline of a drain also ends a write that never returns, and senders that wait for room.
pub fn a_drain_ends_at_its_deadline_while_a_write_hangs(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let sink = FlakySink::new(sink, Faults::at([(0, Fault::Hang)]));
        let deadline = Some(Duration::from_millis(20));
        let mode = StopMode::Graceful { deadline };
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..200))
            .capacity(1)
            .then("stop", stops(&options.handle, 0, mode))
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options);
        assert_eq!(report.ended, Ended::DrainTimedOut, "{:?}", report.failure);
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
    }
}

/// A stage may abort its run.
pub fn an_abort_from_inside_ends_the_run(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100_000))
            .then("stop", stops(&options.handle, 40, StopMode::Abort))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options.clone());
        assert_eq!(report.ended, Ended::Aborted, "{:?}", report.failure);
        assert!(report.failure.is_none() && !report.is_success());
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
        assert!(options.handle.is_stopping());
    }
}

/// An abort from another thread ends a run whose source waits for ever.
pub fn an_abort_from_another_thread_ends_the_run(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let (tell, told) = sync_channel::<()>(1);
        let lines = [
            Line::Row(1),
            Line::Cut,
            Line::call(move || {
                _ = tell.try_send(());
            }),
            Line::Gate(Gate::new()),
        ];
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink).plan();
        let handle = options.handle.clone();
        let report = std::thread::scope(|s| {
            s.spawn(move || {
                let came = told.recv();
                handle.stop(StopMode::Abort);
                came
            });
            engine.run_plan(plan, options)
        });
        assert_eq!(report.ended, Ended::Aborted, "{:?}", report.failure);
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
    }
}

/// Takes nothing and never returns, in one of its calls; says when it begins to.
struct Stuck {
    tell: SyncSender<()>,
    in_close: bool,
    aborted: Shelf<()>,
}

impl Sink for Stuck {
    type Col = Vec<u64>;

    async fn write(&mut self, batch: &mut Batch<Vec<u64>>, _cx: &IoCx) -> Result<(), StageError> {
        if !self.in_close {
            _ = self.tell.try_send(());
            pending::<()>().await;
        }
        batch.clear();
        Ok(())
    }

    async fn close(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        _ = self.tell.try_send(());
        pending().await
    }

    fn abort(&mut self) {
        self.aborted.put(());
    }
}

fn abort_stuck(engine: &dyn Engine, in_close: bool) {
    for options in every_way() {
        let (tell, told) = sync_channel(1);
        let aborted = Shelf::default();
        let sink = Stuck { tell, in_close, aborted: aborted.clone() };
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..500))
            .capacity(1)
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink)
            .plan();
        let handle = options.handle.clone();
        let report = std::thread::scope(|s| {
            s.spawn(move || {
                let came = told.recv();
                handle.stop(StopMode::Abort);
                came
            });
            engine.run_plan(plan, options)
        });
        assert_eq!(report.ended, Ended::Aborted, "{:?}", report.failure);
        assert_eq!(aborted.len(), 1, "the sink was told to give up, once");
    }
}

/// An abort ends a run whose sink is in a write that never returns; the sink gives up.
pub fn an_abort_ends_a_write_that_hangs(engine: &dyn Engine) {
    abort_stuck(engine, false);
}

/// An abort ends a run whose sink is in a close that never returns; the sink gives up.
pub fn an_abort_ends_a_close_that_hangs(engine: &dyn Engine) {
    abort_stuck(engine, true);
}

/// An abort during a drain ends the run as aborted.
pub fn an_abort_overrides_a_drain(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let handle = options.handle.clone();
        let stubborn = OnBatch(
            move |_: &mut Batch<Vec<u64>>, _: &mut Out<'_, Vec<u64>>, cx: &mut StageCx<'_>| {
                if handle.is_stopping() && cx.now() > Moment(2_000_000) {
                    handle.stop(StopMode::Abort);
                }
                handle.stop(GRACEFUL);
                Ok(Step::Wait(cx.now().plus(Duration::from_millis(1))))
            },
        );
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..10)).then("stubborn", stubborn);
        let report = engine.run_plan(plan.into("out", sink).plan(), options);
        assert_eq!(report.ended, Ended::Aborted, "{:?}", report.failure);
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
    }
}

/// When a stage fails, the sinks behind it give up: none of them is closed as if its input had
/// ended.
pub fn a_failed_run_closes_no_sink(engine: &dyn Engine) {
    for round in 0..30 {
        for chain in [true, false] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let bad = OnBatch(
                move |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
                    if b.col.contains(&(round * 3)) {
                        return Err(StageError::permanent("no"));
                    }
                    out.swap(b);
                    Ok(Step::Done)
                },
            );
            let plan = HandPlan::from("in", VecSource::<u64>::new(0..90))
                .capacity(1)
                .then("bad", bad)
                .then("pass", by_row(|r, out| out.push(r)))
                .into("out", sink);
            let options = RunOptions::default().batch(1).chain(chain);
            let report = engine.run_plan(plan.plan(), options);
            assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
            assert_eq!((shelf.closed(), shelf.aborted()), (0, 1), "round {round}");
        }
    }
}

/// A stage or sink that is tried again without a wait and without an end shares its thread with the
/// other tasks, and an abort ends it.
pub fn an_abort_ends_a_retry_without_a_wait(engine: &dyn Engine) {
    let retry = Retry {
        attempts: u32::MAX,
        first: Duration::ZERO,
        factor: 2,
        longest: Duration::from_secs(1),
        jitter_percent: 0,
    };
    let policy = OnError::Retry { retry, then: GiveUp::Fail };
    for options in every_way() {
        for stage in [true, false] {
            let options = fresh(&options);
            let (sink, _) = CollectSink::<u64>::new();
            let always = Faults::always(Fault::Transient);
            let rows = VecSource::<u64>::new(0..10);
            let broken = OnBatch(
                |_: &mut Batch<Vec<u64>>, _: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
                    Err(StageError::transient("again"))
                },
            );
            let mut p = if stage {
                let p = HandPlan::from("in", rows).then("broken", broken).on_error(policy);
                p.into("out", sink)
            } else {
                HandPlan::from("in", rows)
                    .into("out", FlakySink::new(sink, always))
                    .on_error(policy)
            };
            // Another task, that is ready all the time until it stops the run.
            let handle = options.handle.clone();
            let abort = Line::call(move || handle.stop(StopMode::Abort));
            let script = (0..50).flat_map(|r| [Line::Row(r), Line::Yield]).chain([abort]);
            let other = p.source("other", ScriptSource::<u64>::new(script));
            let (sink, _) = CollectSink::<u64>::new();
            let end = p.sink("other out", sink);
            p.join(other, end);
            let report = engine.run_plan(p.plan(), options);
            assert_eq!(report.ended, Ended::Aborted, "{:?}", report.failure);
            balanced(&report);
        }
    }
}
