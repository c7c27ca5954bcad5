//! Laws of panics in user code: each becomes an error of its stage, under the stage's policy.

use super::errors::fail_in;
use super::kit::{by_row, completed, every_way, fresh};
use crate::doubles::{
    Books, CollectSink, Fault, Faults, FlakySink, FlakySource, Line, ScriptSource,
    TransactionalVec, VecSource,
};
use crate::plans::HandPlan;
use flux_io_core::{
    Batch, DeadCause, Ended, Engine, ErrorKind, ErrorRecord, Filled, IoCx, OnError, RunOptions,
    Source, StageError, Timestamp,
};

/// A panic in any call of a stage ends the run under policy Fail, naming the stage.
pub fn a_panic_in_a_stage_is_an_error_of_it(engine: &dyn Engine) {
    for options in every_way() {
        for call in ["on_start", "on_batch", "on_watermark", "on_timer", "on_end"] {
            let (ended, failure, _) = fail_in(engine, call, true, OnError::Fail, &options);
            assert_eq!(ended, Ended::Failed, "{call}");
            assert_eq!(failure, Some(("bad".into(), ErrorKind::Panicked)), "{call}");
        }
        for call in ["on_watermark", "on_timer", "on_end"] {
            let (ended, _, rows) = fail_in(engine, call, true, OnError::Skip, &options);
            assert_eq!((ended, rows), (Ended::Completed, vec![1, 2]), "{call}");
        }
    }
}

/// A panic on a batch under policy DeadLetter makes the batch a dead letter that says so, and the
/// stage goes on.
pub fn a_panic_on_a_batch_is_a_dead_letter(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let (dead, letters) = CollectSink::<ErrorRecord>::new();
        let mut plan = HandPlan::from("in", VecSource::<u64>::new(0..2_000))
            .then(
                "bad",
                by_row(|r, out| {
                    assert!(r != 100, "row 100 will not do");
                    out.push(r);
                }),
            )
            .on_error(OnError::DeadLetter)
            .into("out", sink);
        plan.dead_letters("dead", dead);
        let report = engine.run_plan(plan.plan(), options);
        assert_eq!(report.ended, Ended::Completed, "{:?}", report.failure);
        let letters = letters.take();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].cause, DeadCause::Panicked);
        assert!(letters[0].what.contains("row 100 will not do"), "{}", letters[0].what);
        assert_eq!(report.dead_letters.get(&DeadCause::Panicked), Some(&letters[0].items));
        assert!(shelf.rows().contains(&1_999), "the stage goes on");
    }
}

/// A source that panics while it is asked.
struct Nervous {
    inner: VecSource<u64>,
    where_: &'static str,
}

impl Source for Nervous {
    type Col = Vec<u64>;

    async fn fill(&mut self, out: &mut Batch<Vec<u64>>, cx: &IoCx) -> Result<Filled, StageError> {
        assert!(self.where_ != "fill", "panic in fill");
        self.inner.fill(out, cx).await
    }
    fn try_fill(
        &mut self,
        out: &mut Batch<Vec<u64>>,
        max: usize,
    ) -> Option<Result<Filled, StageError>> {
        assert!(self.where_ != "try_fill", "panic in try_fill");
        self.inner.try_fill(out, max)
    }
    fn watermark(&self) -> Option<Timestamp> {
        assert!(self.where_ != "watermark", "panic in watermark");
        None
    }
}

/// A panic in a source, at the first call or later, ends the run with the source named.
pub fn a_panic_in_a_source_ends_the_run(engine: &dyn Engine) {
    for options in every_way() {
        for where_ in ["fill", "try_fill"] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let source = Nervous { inner: VecSource::<u64>::new(0..10), where_ };
            let plan = HandPlan::from("in", source).into("out", sink);
            let report = engine.run_plan(plan.plan(), fresh(&options));
            let failure = report.failure.map(|f| (f.stage, f.error.kind));
            assert_eq!(failure, Some(("in".into(), ErrorKind::Panicked)), "{where_}");
            assert_eq!(shelf.closed(), 0);
        }
        let (sink, shelf) = CollectSink::<u64>::new();
        let faults = Faults::at([(0, Fault::Late), (1, Fault::Panic)]);
        let plan = HandPlan::from("in", FlakySource::new(VecSource::<u64>::new(0..3_000), faults));
        let report = engine.run_plan(plan.into("out", sink).plan(), options);
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        assert_eq!(report.failure.map(|f| f.error.kind), Some(ErrorKind::Panicked));
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
    }
}

/// A panic in a sink's write follows the sink's policy; one in prepare, commit or close never
/// looks like success.
pub fn a_panic_in_a_sink_follows_the_policy(engine: &dyn Engine) {
    for options in every_way() {
        for policy in [OnError::Fail, OnError::DeadLetter, OnError::Skip] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let sink = FlakySink::new(sink, Faults::at([(0, Fault::Panic)]));
            let plan = HandPlan::from("in", VecSource::<u64>::new(0..3_000)).into("out", sink);
            let report = engine.run_plan(plan.on_error(policy).plan(), fresh(&options));
            if policy == OnError::Fail {
                assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
                let failure = report.failure.map(|f| (f.stage, f.error.kind));
                assert_eq!(failure, Some(("out".into(), ErrorKind::Panicked)));
                assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
            } else {
                completed(&report);
                assert_eq!(shelf.rows().last(), Some(&2_999));
            }
        }
        let (sink, shelf) = CollectSink::<u64>::new();
        let sink = FlakySink::new(sink, Faults::none()).closing(Faults::always(Fault::Panic));
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..30)).into("out", sink);
        let report = engine.run_plan(plan.plan(), fresh(&options));
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1), "it was not closed");

        let books: Books<u64> = Books::default();
        let store = std::sync::Arc::new(crate::doubles::MemorySnapshots::new());
        let options = fresh(&options)
            .snapshots(std::sync::Arc::<crate::doubles::MemorySnapshots>::clone(&store));
        let handle = options.handle.clone();
        let lines = [
            Line::Row(1),
            Line::call(move || {
                _ = handle.checkpoint();
            }),
            Line::Cut,
        ];
        let lines = lines.into_iter().chain([
            Line::Gate(store.first_complete()),
            Line::Cut,
            Line::Yield,
            Line::Row(2),
        ]);
        let sink = FlakySink::new(TransactionalVec::new(&books), Faults::none());
        let sink = sink.committing(Faults::always(Fault::Panic));
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink);
        let report = engine.run_plan(plan.plan(), options);
        // The run may have ended before the commit was tried; it must not have half-committed.
        match report.ended {
            Ended::Failed => assert_eq!(books.visible(), Vec::<u64>::new()),
            _ => assert_eq!(books.visible(), [1, 2]),
        }
    }
}

/// A panic where the driver asks something in passing (a source's watermark) still ends the run
/// as failed, on every engine, and the sink gives up.
pub fn a_panic_between_the_calls_ends_the_run(engine: &dyn Engine) {
    for chain in [true, false] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let source = Nervous { inner: VecSource::<u64>::new(0..10), where_: "watermark" };
        let plan = HandPlan::from("in", source)
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), RunOptions::default().chain(chain));
        assert_eq!(report.ended, Ended::Failed, "{:?}", report.failure);
        assert!(report.failure.is_some_and(|f| f.error.what.contains("panic in watermark")));
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
    }
}
