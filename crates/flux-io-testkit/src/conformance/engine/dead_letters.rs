//! Laws of dead letters: what they say, where they go, how they are counted.

use super::errors::fails;
use super::kit::{OnBatch, completed, every_way};
use crate::doubles::{CollectSink, Fault, Faults, FlakySink, Line, ScriptSource, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{
    AnyBatch, Batch, DeadCause, Ended, Engine, ErrorClass, ErrorRecord, OnError, Original, Out,
    RunOptions, Stage, StageCx, Step,
};

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
