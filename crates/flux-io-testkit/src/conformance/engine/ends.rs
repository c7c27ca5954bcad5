//! Laws of failing sources and sinks: tried again where the policy says so, nothing lost, nothing
//! doubled, each row counted once.

use super::errors::then;
use super::kit::{completed, every_way, fresh};
use crate::doubles::{CollectSink, Fault, Faults, FlakySink, FlakySource, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{Ended, Engine, ErrorRecord, GiveUp, OnError, RunOptions};

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
