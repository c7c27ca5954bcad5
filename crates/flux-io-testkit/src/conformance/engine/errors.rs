//! Laws of failures: who is named, what is tried again, what becomes a dead letter, what is
//! counted.

use super::kit::{OnBatch, balanced, by_row, completed, every_way, fresh};
use crate::doubles::{CollectSink, Fault, Faults, FlakySink, Line, ScriptSource, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{
    Batch, DeadCause, Ended, Engine, ErrorClass, ErrorKind, GiveUp, OnError, Out, Retry,
    RunOptions, Stage, StageCx, StageError, Step, Timestamp,
};
use std::time::Duration;

/// Quick retries without jitter: waits of 1, 2, 4, … milliseconds.
pub(super) const fn retry(attempts: u32) -> Retry {
    Retry {
        attempts,
        first: Duration::from_millis(1),
        factor: 2,
        longest: Duration::from_secs(1),
        jitter_percent: 0,
    }
}

pub(super) const fn then(attempts: u32, then: GiveUp) -> OnError {
    OnError::Retry { retry: retry(attempts), then }
}

/// Fails, as often as it is told, on the batch that holds row `at`; passes everything else on.
pub(super) fn fails(
    class: ErrorClass,
    at: u64,
    mut times: u32,
) -> impl Stage<In = Vec<u64>, Out = Vec<u64>> {
    OnBatch(move |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
        if times > 0 && b.col.contains(&at) {
            times -= 1;
            return Err(StageError::new(class, ErrorKind::User, format!("row {at} is bad")));
        }
        out.swap(b);
        Ok(Step::Done)
    })
}

/// Under policy Fail the report names the stage and the error, and nothing hangs however small
/// the edges are.
pub fn the_failing_stage_is_named(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..20_000))
            .capacity(1)
            .then("good", by_row(|r, out| out.push(r)))
            .then("bad", fails(ErrorClass::Permanent, 1_500, u32::MAX))
            .then("after", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options);
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        let failure = report.failure.as_ref().map(|f| (f.stage.as_str(), f.error.what.as_str()));
        assert_eq!(failure, Some(("bad", "row 1500 is bad")));
        assert!(shelf.take().iter().all(|r| *r < 1_500), "nothing behind the failure came out");
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
        assert!(report.into_result().is_err());
    }
}

/// A transient error is answered by the same call again after its wait; the rows come out once.
pub fn a_transient_error_is_tried_again(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
            .then("flaky", fails(ErrorClass::Transient, 50, 3))
            .on_error(then(4, GiveUp::Fail))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options);
        completed(&report);
        assert_eq!(shelf.take(), (0..100).collect::<Vec<u64>>());
        let s = report.stage("flaky").unwrap_or_default();
        assert_eq!((s.retries, s.errors, s.counts.rows_in), (3, 3, 100));
        assert!(report.elapsed >= Duration::from_millis(1 + 2 + 4), "{:?}", report.elapsed);
    }
}

/// A stage that is trying again when its input ends is waited for, wherever it stands in a chain.
pub fn a_retry_at_the_end_of_input_is_waited_for(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..10))
            .then("first", by_row(|r, out| out.push(r)))
            .then("flaky", fails(ErrorClass::Transient, 9, 2))
            .on_error(then(4, GiveUp::Fail))
            .then("last", by_row(|r, out| out.push(r)))
            .into("out", sink);
        completed(&engine.run_plan(plan.plan(), options));
        assert_eq!(shelf.take(), (0..10).collect::<Vec<u64>>());
    }
}

/// When the attempts are spent, what follows is what the policy says: the run ends, or the batch
/// is a dead letter, or it is skipped.
pub fn a_spent_retry_gives_up_as_told(engine: &dyn Engine) {
    for options in every_way() {
        for give_up in [GiveUp::Fail, GiveUp::DeadLetter, GiveUp::Skip] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let plan = HandPlan::from("in", VecSource::<u64>::new(0..30))
                .then("flaky", fails(ErrorClass::Transient, 3, u32::MAX))
                .on_error(then(3, give_up))
                .into("out", sink);
            let report = engine.run_plan(plan.plan(), fresh(&options));
            let s = report.stage("flaky").unwrap_or_default();
            assert_eq!(s.retries, 2, "three attempts in all");
            assert_eq!(s.errors, 3);
            balanced(&report);
            if give_up == GiveUp::Fail {
                assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
                continue;
            }
            completed(&report);
            let rows = shelf.take();
            let lost = 30 - rows.len() as u64;
            assert!(!rows.contains(&3) && lost >= 1 && rows.is_sorted(), "{rows:?}");
            assert_eq!(s.counts.failed, lost);
            if give_up == GiveUp::Skip {
                assert_eq!((s.dropped.get("skip"), s.dead_letters), (Some(&lost), 0));
            } else {
                assert_eq!(report.dead_letters.get(&DeadCause::Failed), Some(&lost));
                let letters: Vec<_> =
                    report.samples.iter().map(|r| (r.items, r.attempts)).collect();
                assert_eq!((letters, s.dead_letters), (vec![(lost, 3)], lost));
            }
        }
    }
}

/// A permanent error goes to what follows the last attempt at once.
pub fn a_permanent_error_is_not_tried_again(engine: &dyn Engine) {
    let (sink, _) = CollectSink::<u64>::new();
    let plan = HandPlan::from("in", VecSource::<u64>::new(0..3))
        .then("bad", fails(ErrorClass::Permanent, 1, u32::MAX))
        .on_error(then(5, GiveUp::Skip))
        .into("out", sink);
    let report = engine.run_plan(plan.plan(), RunOptions::default());
    completed(&report);
    let s = report.stage("bad").unwrap_or_default();
    assert_eq!((s.retries, s.errors), (0, 1));
}

/// A call that has emitted anything is not repeated, also when it added to a batch that was
/// already open: its rows would come twice.
pub fn b099_what_was_emitted_is_not_emitted_again(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let torn =
            OnBatch(|b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
                for row in b.col.drain(..) {
                    out.batch().col.push(row);
                    if row == 25 {
                        return Err(StageError::transient("half-way"));
                    }
                }
                Ok(Step::Done)
            });
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..60))
            .then("torn", torn)
            .on_error(then(9, GiveUp::Skip))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options.clone());
        completed(&report);
        let mut rows = shelf.take();
        let all = rows.len();
        rows.dedup();
        assert_eq!(rows.len(), all, "no row twice: {options:?}");
        assert_eq!(report.stage("torn").map(|s| s.retries), Some(0));
    }
}

/// Rows skipped by policy are counted under `skip` and as failed; the rest goes on.
pub fn skipped_rows_are_counted(engine: &dyn Engine) {
    let (sink, shelf) = CollectSink::<u64>::new();
    let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
        .then("bad", fails(ErrorClass::Permanent, 42, u32::MAX))
        .on_error(OnError::Skip)
        .into("out", sink);
    let report = engine.run_plan(plan.plan(), RunOptions::default().batch(10));
    completed(&report);
    let rows = shelf.take();
    let lost = 100 - rows.len() as u64;
    assert!(rows.is_sorted() && !rows.contains(&42) && (1..=10).contains(&lost), "{rows:?}");
    let s = report.stage("bad").unwrap_or_default();
    assert_eq!(s.dropped.get("skip"), Some(&lost));
    assert_eq!((s.counts.rows_in, s.counts.rows_out, s.counts.failed), (100, 100 - lost, lost));
    assert!(s.last_error.is_some_and(|e| e.contains("row 42 is bad")));
}

/// An error of class catastrophic ends the run whatever the policy says.
pub fn a_catastrophe_ends_the_run_under_every_policy(engine: &dyn Engine) {
    for policy in [OnError::Skip, OnError::DeadLetter, then(3, GiveUp::Skip)] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
            .then("bad", fails(ErrorClass::Catastrophic, 42, u32::MAX))
            .on_error(policy)
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), RunOptions::default().batch(10));
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        assert_eq!(report.failure.map(|f| f.stage), Some("bad".into()));
        assert_eq!(shelf.closed(), 0);
        // The same of a sink.
        let (sink, shelf) = CollectSink::<u64>::new();
        let sink = FlakySink::new(sink, Faults::at([(1, Fault::Catastrophic)]));
        let plan =
            HandPlan::from("in", VecSource::<u64>::new(0..100)).into("out", sink).on_error(policy);
        let report = engine.run_plan(plan.plan(), RunOptions::default().batch(10));
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        assert_eq!(report.failure.map(|f| f.stage), Some("out".into()));
        assert_eq!(shelf.closed(), 0);
        assert!(!shelf.is_empty() && shelf.len() < 100, "what came before it was written");
    }
}

/// Fails in one of its calls, by name.
pub(super) struct FailsIn {
    pub(super) call: &'static str,
    pub(super) panics: bool,
    pub(super) left: u32,
}

impl FailsIn {
    fn hit(&mut self, call: &str) -> Result<Step, StageError> {
        if self.call != call || self.left == 0 {
            return Ok(Step::Done);
        }
        self.left -= 1;
        assert!(!self.panics, "panic in {call}");
        Err(StageError::permanent(format!("error in {call}")))
    }
}

impl Stage for FailsIn {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_start(&mut self, _cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.hit("on_start").map(drop)
    }
    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if self.call == "on_timer" {
            cx.wake_at(cx.now());
        }
        self.hit("on_batch")?;
        let marks = std::mem::take(&mut input.meta.marks);
        out.swap(input);
        input.meta.marks = marks;
        Ok(Step::Done)
    }
    fn on_watermark(
        &mut self,
        _w: Timestamp,
        _out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.hit("on_watermark")
    }
    fn on_timer(
        &mut self,
        _out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.hit("on_timer")
    }
    fn on_end(
        &mut self,
        _out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.hit("on_end")
    }
}

/// Runs a plan whose stage `bad` errs or panics once in `call`; gives how it ended, the failure's
/// stage and kind, and the rows that came out.
pub(super) fn fail_in(
    engine: &dyn Engine,
    call: &'static str,
    panics: bool,
    policy: OnError,
    options: &RunOptions,
) -> (Ended, Option<(String, ErrorKind)>, Vec<u64>) {
    let (sink, shelf) = CollectSink::<u64>::new();
    let lines = [Line::Row(1), Line::Mark(Timestamp(5)), Line::Cut, Line::Yield, Line::Row(2)];
    let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
        .then("bad", FailsIn { call, panics, left: 1 })
        .on_error(policy)
        .into("out", sink);
    let report = engine.run_plan(plan.plan(), fresh(options));
    assert_eq!(
        report.stage("bad").map(|s| s.errors),
        Some(u64::from(call != "on_start")),
        "{call}"
    );
    let failure = report.failure.map(|f| (f.stage, f.error.kind));
    assert_eq!(report.ended == Ended::Completed, shelf.closed() == 1);
    (report.ended, failure, shelf.take())
}

/// An error in `on_watermark`, `on_timer` or `on_end` ends the run under policy Fail and is
/// counted under the others; an error in `on_start` always ends it.
pub fn errors_outside_a_batch_follow_the_policy(engine: &dyn Engine) {
    for options in every_way() {
        for call in ["on_watermark", "on_timer", "on_end"] {
            let (ended, failure, _) = fail_in(engine, call, false, OnError::Fail, &options);
            assert_eq!(ended, Ended::Failed, "{call}");
            assert_eq!(failure, Some(("bad".into(), ErrorKind::User)), "{call}");
            for policy in [OnError::Skip, OnError::DeadLetter] {
                let (ended, _, rows) = fail_in(engine, call, false, policy, &options);
                assert_eq!((ended, rows), (Ended::Completed, vec![1, 2]), "{call}");
            }
        }
        for policy in [OnError::Fail, OnError::Skip] {
            let (ended, failure, rows) = fail_in(engine, "on_start", false, policy, &options);
            assert_eq!((ended, rows), (Ended::Failed, vec![]));
            assert_eq!(failure, Some(("bad".into(), ErrorKind::User)));
        }
    }
}

/// A stage that yields in a timer although its output has room.
struct Restless {
    in_timer: bool,
}

impl Stage for Restless {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        _out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        input.clear();
        cx.wake_at(cx.now());
        Ok(if self.in_timer { Step::Done } else { Step::Yield })
    }

    fn on_timer(
        &mut self,
        _out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        Ok(Step::Yield)
    }
}

/// A stage that yields although its output has room would never end: the run fails and names it.
pub fn a_yield_without_a_full_output_is_a_fault(engine: &dyn Engine) {
    for in_timer in [false, true] {
        let (sink, _) = CollectSink::<u64>::new();
        let lines = [Line::Row(1), Line::Cut, Line::Until(flux_io_core::Moment(1_000_000))];
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("restless", Restless { in_timer })
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), RunOptions::default());
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        let failure = report.failure.map(|f| (f.stage, f.error.what));
        let what = "the stage yielded although its output has room; it would never end";
        assert_eq!(failure, Some(("restless".into(), what.into())));
    }
}
