//! Laws of failures: who is named, what is tried again, what becomes a dead letter, what is
//! counted.

use super::kit::{OnBatch, balanced, by_row, completed, every_way, fresh};
use crate::doubles::{
    CollectSink, Fault, Faults, FlakySink, FlakySource, Line, ScriptSource, VecSource,
};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Batch, DeadCause, Ended, Engine, ErrorClass, ErrorKind, ErrorRecord, GiveUp, Node,
    OnError, Original, Out, Outbox, Retry, RunOptions, Stage, StageCx, StageError, Step, Timestamp,
};
use std::time::Duration;

/// Quick retries without jitter: waits of 1, 2, 4, … milliseconds.
const fn retry(attempts: u32) -> Retry {
    Retry {
        attempts,
        first: Duration::from_millis(1),
        factor: 2,
        longest: Duration::from_secs(1),
        jitter_percent: 0,
    }
}

const fn then(attempts: u32, then: GiveUp) -> OnError {
    OnError::Retry { retry: retry(attempts), then }
}

/// Fails, as often as it is told, on the batch that holds row `at`; passes everything else on.
fn fails(class: ErrorClass, at: u64, mut times: u32) -> impl Stage<In = Vec<u64>, Out = Vec<u64>> {
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

/// Hands every multiple of ten over as a dead letter of its own and passes the rest on.
fn sorts_out() -> impl Stage<In = Vec<u64>, Out = Vec<u64>> {
    OnBatch(|b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, cx: &mut StageCx<'_>| {
        for (i, row) in b.col.iter().enumerate() {
            if row % 10 == 0 {
                let mut r = ErrorRecord::new(DeadCause::Invalid, "a multiple of ten");
                (r.seq, r.source, r.original) =
                    (b.meta.seq.at(i), b.meta.source, Original::value(*row));
                cx.dead(r);
            } else {
                out.batch().col.push(*row);
            }
        }
        Ok(Step::Done)
    })
}

/// The sink of dead letters receives every record, with stage, source, sequence number, cause and
/// the original; the report counts them by cause.
pub fn dead_letters_say_what_where_and_why(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let (dead, letters) = CollectSink::<ErrorRecord>::new();
        let mut plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
            .capacity(1)
            .then("sort out", sorts_out())
            .then("bad", fails(ErrorClass::Permanent, 55, u32::MAX))
            .on_error(OnError::DeadLetter)
            .into("out", sink);
        plan.dead_letters("dead", dead);
        let report = engine.run_plan(plan.plan(), options.clone());
        completed(&report);
        let mut rows = shelf.take();
        let mut invalid = Vec::new();
        let mut failed = Vec::new();
        for mut r in letters.take() {
            assert_eq!(r.source, flux_io_core::SourceId(0));
            match std::mem::take(&mut r.original).downcast::<u64>() {
                Ok(row) => {
                    assert_eq!((r.stage_name.as_str(), r.cause), ("sort out", DeadCause::Invalid));
                    assert_eq!((r.seq, r.items), (row, 1));
                    invalid.push(row);
                }
                Err(original) => {
                    assert_eq!((r.stage_name.as_str(), r.cause), ("bad", DeadCause::Failed));
                    let batch = original.downcast::<AnyBatch>();
                    let batch = batch.ok().and_then(|b| b.get::<Vec<u64>>().ok().cloned());
                    let batch = batch.unwrap_or_default();
                    assert_eq!(r.items, batch.len() as u64);
                    assert!(batch.col.contains(&55));
                    failed.extend(batch.col);
                }
            }
        }
        assert_eq!(invalid, (0..100).step_by(10).collect::<Vec<u64>>());
        assert_eq!(report.dead_letters.get(&DeadCause::Invalid), Some(&10));
        assert_eq!(report.dead_letters.get(&DeadCause::Failed), Some(&(failed.len() as u64)));
        assert!(report.samples.is_empty(), "they went to the sink");
        rows.extend(invalid.into_iter().chain(failed));
        rows.sort_unstable();
        assert_eq!(rows, (0..100).collect::<Vec<u64>>(), "every row is somewhere, once");
        assert_eq!(letters.closed(), 1);
    }
}

/// Without a sink for them dead letters are counted, and as many kept as the options say.
pub fn dead_letters_without_a_sink_are_sampled(engine: &dyn Engine) {
    for samples in [0, 3, 64] {
        let (sink, _) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
            .then("sort out", sorts_out())
            .into("out", sink);
        let options = RunOptions { error_samples: samples, ..RunOptions::default() };
        let report = engine.run_plan(plan.plan(), options.batch(7));
        completed(&report);
        assert_eq!(report.dead_letters.get(&DeadCause::Invalid), Some(&10));
        let seqs: Vec<u64> = report.samples.iter().map(|r| r.seq).collect();
        let expected: Vec<u64> = (0..100).step_by(10).take(samples).collect();
        assert_eq!(seqs, expected, "the first ones");
    }
}

/// What a source cannot read becomes a dead letter with the source's name and place, counted
/// once.
pub fn rows_a_source_cannot_read_are_dead_letters(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let (dead, letters) = CollectSink::<ErrorRecord>::new();
        let lines = [
            Line::Row(1),
            Line::Bad("torn".into()),
            Line::Row(2),
            Line::Cut,
            Line::Bad("not a number".into()),
            Line::Bad("empty".into()),
        ];
        let mut plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink);
        plan.dead_letters("dead", dead);
        let report = engine.run_plan(plan.plan(), options);
        completed(&report);
        assert_eq!(shelf.take(), [1, 2]);
        let letters = letters.take();
        let said: Vec<_> =
            letters.iter().map(|r| (r.stage_name.as_str(), r.seq, r.what.as_str())).collect();
        assert_eq!(said, [("in", 1, "torn"), ("in", 2, "not a number"), ("in", 2, "empty")]);
        assert_eq!(report.dead_letters.get(&DeadCause::Poison), Some(&3));
        let s = report.stage("in").unwrap_or_default();
        assert_eq!((s.dead_letters, s.counts.failed, s.counts.rows_out), (3, 3, 2));
    }
}

/// A source's transient errors are tried again by its policy; without one the run ends and the
/// source is named. Rows given before an error are kept.
pub fn a_source_is_tried_again(engine: &dyn Engine) {
    for options in every_way() {
        let faults =
            Faults::at([(0, Fault::Transient), (1, Fault::Transient), (3, Fault::After(0))]);
        for policy in [then(3, GiveUp::Fail), OnError::Fail] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let mut p = HandPlan::from(
                "in",
                FlakySource::new(VecSource::<u64>::new(0..5_000), faults.clone()),
            )
            .on_error(policy);
            let out = p.sink("out", sink);
            p.join(0, out);
            let report = engine.run_plan(p.plan(), fresh(&options));
            let s = report.stage("in").unwrap_or_default();
            if policy == OnError::Fail {
                assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
                assert_eq!(report.failure.map(|f| f.stage), Some("in".into()));
                assert_eq!(shelf.closed(), 0);
            } else {
                completed(&report);
                assert_eq!(shelf.take(), (0..5_000).collect::<Vec<u64>>());
                assert_eq!((s.errors, s.retries), (3, 3));
            }
        }
    }
}

/// A sink that fails half-way is offered the rows it has not taken, and no others (I5).
pub fn a_sink_is_offered_the_rest_again(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let faults =
            [(0, Fault::Transient), (1, Fault::After(3)), (2, Fault::Late), (4, Fault::After(0))];
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
            .into("out", FlakySink::new(sink, Faults::at(faults)))
            .on_error(then(4, GiveUp::Fail));
        let report = engine.run_plan(plan.plan(), options);
        completed(&report);
        assert_eq!(shelf.take(), (0..100).collect::<Vec<u64>>());
        let s = report.stage("out").unwrap_or_default();
        assert_eq!((s.counts.rows_in, s.counts.rows_out, s.counts.failed), (100, 100, 0));
    }
}

/// Rows a sink refuses are dead letters or skipped, each counted once.
pub fn rows_a_sink_refuses_are_counted_once(engine: &dyn Engine) {
    for policy in [OnError::DeadLetter, OnError::Skip] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let (dead, letters) = CollectSink::<ErrorRecord>::new();
        let mut plan = HandPlan::from("in", VecSource::<u64>::new(0..30))
            .into(
                "out",
                FlakySink::new(sink, Faults::at([(1, Fault::Permanent), (2, Fault::After(4))])),
            )
            .on_error(policy);
        plan.dead_letters("dead", dead);
        let report = engine.run_plan(plan.plan(), RunOptions::default().batch(10));
        completed(&report);
        let rows = shelf.take();
        let (taken, lost) = (rows.len() as u64, 30 - rows.len() as u64);
        assert!(rows.is_sorted() && lost >= 1, "{rows:?}");
        let s = report.stage("out").unwrap_or_default();
        assert_eq!((s.counts.rows_in, s.counts.rows_out, s.counts.failed), (30, taken, lost));
        let letters = letters.take();
        if policy == OnError::Skip {
            assert_eq!((s.dropped.get("skip"), s.dead_letters), (Some(&lost), 0));
            assert!(letters.is_empty());
        } else {
            assert_eq!(s.dead_letters, lost);
            assert_eq!(letters.iter().map(|r| r.items).sum::<u64>(), lost);
            assert!(letters.iter().all(|r| r.stage_name == "out"));
        }
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

/// Two ports of different columns; fails transiently in every other call.
struct Mixed {
    calls: u32,
}

impl Node for Mixed {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.calls += 1;
        if self.calls % 2 == 1 {
            return Err(StageError::transient("again"));
        }
        let mut out = outs[0].typed::<Vec<u64>>()?;
        if port == 0 {
            out.batch().col.append(&mut input.get_mut::<Vec<u64>>()?.col);
        } else {
            let words = &mut input.get_mut::<Vec<String>>()?.col;
            out.batch().col.extend(words.drain(..).map(|w| w.len() as u64));
        }
        out.seal_if_full();
        Ok(Step::Done)
    }
}

/// Used batches go back to the sender they came from, also when a retry lies between: a stage with
/// ports of two columns never gets the one where it expects the other.
pub fn a_used_batch_goes_back_where_it_came_from(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let mut p = HandPlan::new().capacity(2);
        // A watermark behind every row, in a batch of its own: controls come between the batches.
        fn marked<T>(r: u64, row: T) -> [Line<T>; 4] {
            [Line::Row(row), Line::Cut, Line::Mark(Timestamp(r as i64)), Line::Cut]
        }
        let lines = (0..40).flat_map(|r| marked(r, r));
        let numbers = p.source("numbers", ScriptSource::<u64>::new(lines));
        let first = p.stage("first", by_row(|r, out| out.push(r)));
        let lines = (0..40).flat_map(|r| marked(r, "x".repeat(r as usize)));
        let words = p.source("words", ScriptSource::new(lines));
        let ports = [column::<Vec<u64>>(), column::<Vec<String>>()].concat();
        let mixed = p.node("mixed", ports, column::<Vec<u64>>(), Mixed { calls: 0 });
        p.graph.nodes[mixed].on_error = then(100, GiveUp::Fail);
        p.join(numbers, first);
        p.edge((first, 0), (mixed, 0), Default::default());
        p.edge((words, 0), (mixed, 1), Default::default());
        let out = p.sink("out", sink);
        p.join(mixed, out);
        let report = engine.run_plan(p.plan(), options);
        assert!(report.failure.is_none(), "{:?}", report.failure);
        completed(&report);
        let mut rows = shelf.take();
        rows.sort_unstable();
        assert_eq!(rows, (0..40).flat_map(|r| [r, r]).collect::<Vec<u64>>());
    }
}

/// A sink of dead letters that fails ends the run and is named.
pub fn a_failing_dead_letter_sink_ends_the_run(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, _) = CollectSink::<u64>::new();
        let (dead, _) = CollectSink::<ErrorRecord>::new();
        let mut plan = HandPlan::from("in", VecSource::<u64>::new(0..1_000))
            .capacity(1)
            .then("sort out", sorts_out())
            .into("out", sink);
        let flaky = FlakySink::new(dead, Faults::always(Fault::Permanent));
        plan.dead_letters("dead", flaky);
        let report = engine.run_plan(plan.plan(), options);
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        assert_eq!(report.failure.map(|f| f.stage), Some("dead".into()));
    }
}
