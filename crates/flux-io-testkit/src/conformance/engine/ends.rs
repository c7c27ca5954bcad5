//! Laws of failing sources and sinks: tried again where the policy says so, nothing lost, nothing
//! doubled, each row counted once.

use super::errors::then;
use super::kit::{completed, every_way, fresh};
use crate::doubles::{CollectSink, Fault, Faults, FlakySink, FlakySource, Shelf, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{
    Batch, Ended, Engine, ErrorKind, ErrorRecord, Filled, GiveUp, IoCx, OnError, Out, RunOptions,
    Sink, Source, Stage, StageCx, StageError, Step,
};

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
        let mut rows = shelf.take();
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
            // The number of a letter is that of its first row, also when the sink took some before.
            rows.extend(letters.iter().flat_map(|r| r.seq..r.seq + r.items));
            rows.sort_unstable();
            assert!(rows.iter().copied().eq(0..30), "{rows:?}");
        }
    }
}

/// Takes half of each batch, and says that it took all.
struct Half(Shelf<u64>);

impl Sink for Half {
    type Col = Vec<u64>;

    async fn write(&mut self, b: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<(), StageError> {
        let half = b.col.len() / 2;
        b.col.drain(..half).for_each(|r| self.0.put(r));
        Ok(())
    }
}

/// Rows that a sink leaves in the batch are not taken, whatever it says: the run fails and tells,
/// or they go the way of the sink's policy and are counted.
pub fn rows_a_sink_leaves_are_not_lost(engine: &dyn Engine) {
    for policy in [OnError::Fail, OnError::DeadLetter, OnError::Skip] {
        let shelf = Shelf::default();
        let (dead, letters) = CollectSink::<ErrorRecord>::new();
        let mut plan = HandPlan::from("in", VecSource::<u64>::new(0..30))
            .into("out", Half(shelf.clone()))
            .on_error(policy);
        plan.dead_letters("dead", dead);
        let report = engine.run_plan(plan.plan(), RunOptions::default().batch(10));
        let s = report.stage("out").unwrap_or_default();
        if policy == OnError::Fail {
            assert_eq!(report.ended, Ended::Failed);
            let error = report.failure.map(|f| f.error.to_string()).unwrap_or_default();
            assert!(error.contains("rows in the batch and said that it took them all"), "{error}");
            continue;
        }
        completed(&report);
        let (taken, left) = (shelf.len() as u64, 30 - shelf.len() as u64);
        assert_eq!((s.counts.rows_in, s.counts.rows_out, s.counts.failed), (30, taken, left));
        let lost: u64 = letters.take().iter().map(|r| r.items).sum();
        assert_eq!(lost, if policy == OnError::Skip { 0 } else { left });
    }
}

/// Panics when it is dropped, once.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the end of {}", self.0);
    }
}

/// Passes rows on; a bomb goes off with it.
struct Mined {
    _bomb: Bomb,
}

const fn mined(name: &'static str) -> Mined {
    Mined { _bomb: Bomb(name) }
}

impl Stage for Mined {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.swap(input);
        Ok(Step::Done)
    }
}

impl Source for Mined {
    type Col = Vec<u64>;

    async fn fill(&mut self, _: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<Filled, StageError> {
        Ok(Filled::End)
    }
}

impl Sink for Mined {
    type Col = Vec<u64>;

    async fn write(&mut self, b: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<(), StageError> {
        b.col.clear();
        Ok(())
    }
}

/// A panic in the destructor of a source, stage or sink fails the run and names it.
pub fn a_panic_in_a_destructor_names_its_stage(engine: &dyn Engine) {
    for chain in [true, false] {
        for name in ["in", "stage", "out"] {
            let (sink, _) = CollectSink::<u64>::new();
            let rows = VecSource::<u64>::new(0..3);
            let plan = match name {
                "in" => HandPlan::from("in", mined("in")).into("out", sink),
                "stage" => {
                    HandPlan::from("in", rows).then("stage", mined("stage")).into("out", sink)
                }
                _ => HandPlan::from("in", rows).into("out", mined("out")),
            };
            let report = engine.run_plan(plan.plan(), RunOptions::default().chain(chain));
            assert_eq!(report.ended, Ended::Failed);
            let failure = report.failure.map(|f| (f.stage, f.error.kind));
            assert_eq!(failure, Some((name.into(), ErrorKind::Panicked)));
        }
    }
}
