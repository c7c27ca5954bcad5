//! Seeds: the same bytes again from the same seed or record, the same multiset from any, and every
//! law under many schedules.

use flux_io_core::{Body, ChoiceKind, Ended, Engine, Erased, ExecutionPlan, RunOptions};
use flux_io_engine_sync::SyncEngine;
use flux_io_testkit::conformance::engine::{self as laws, KeyBy, virtual_time::fingerprint};
use flux_io_testkit::doubles::{CollectSink, Shelf, VecSource};
use flux_io_testkit::plans::HandPlan;
use std::collections::BTreeSet;

/// Schedules each law is checked under.
const SEEDS: u64 = 20;

macro_rules! tests {
    ($($module:ident: $($law:ident),+;)+) => { $($(
        #[test]
        fn $law() {
            (0..SEEDS).for_each(|seed| laws::$module::$law(&SyncEngine::seeded(seed)));
        }
    )+)+ };
}

flux_io_testkit::with_engine_laws!(tests);
flux_io_testkit::with_virtual_time_laws!(tests);
flux_io_testkit::with_outside_laws!(tests);

/// Rows 205, 282. The same seed gives the same rows in the same order, shard by shard; no two of
/// many seeds need to, and some do not: the schedule really varies.
#[test]
fn b112_the_same_seed_gives_the_same_bytes() {
    let mut seen = BTreeSet::new();
    for seed in 0..10 {
        let (first, second) =
            (fingerprint(&SyncEngine::seeded(seed)), fingerprint(&SyncEngine::seeded(seed)));
        assert_eq!(first, second, "seed {seed}");
        seen.insert(first);
    }
    assert!(seen.len() > 1, "every seed took the same schedule");
    assert_eq!(fingerprint(&SyncEngine::new()), fingerprint(&SyncEngine::new()));
}

/// Rows 218, 219. Whatever the schedule, the same multiset comes out (B60).
#[test]
fn b060_every_schedule_gives_the_same_multiset() {
    let sorted = |engine: &SyncEngine| {
        let (mut rows, _) = fingerprint(engine);
        rows.sort_unstable();
        rows
    };
    let expected = sorted(&SyncEngine::new());
    assert_eq!(expected.len(), 400);
    for seed in 0..50 {
        assert_eq!(sorted(&SyncEngine::seeded(seed)), expected, "seed {seed}");
    }
}

fn keyed(shelf: &Shelf<u64>) -> ExecutionPlan<'static> {
    let source = VecSource::<u64>::new(0..300);
    HandPlan::from("in", source)
        .capacity(1)
        .then("key", KeyBy(|r| r % 7))
        .then("double", laws::by_row(|r, out| out.push(2 * r)))
        .into("out", CollectSink::onto(shelf))
        .plan()
}

/// Rows 217, 218. The choices of a run, replayed, give the run again, choice by choice; a record
/// that is cut short or changed still gives a whole run.
#[test]
fn a_record_replayed_gives_the_same_run() {
    let options = || RunOptions::default().batch(16).chain(false);
    for seed in 0..10 {
        let (first, again) = (Shelf::default(), Shelf::default());
        let (report, choices) = SyncEngine::seeded(seed).run_recorded(keyed(&first), &options());
        assert_eq!(report.ended, Ended::Completed);
        assert!(choices.iter().any(|c| c.kind == ChoiceKind::NextTask && c.of > 1));
        assert!(choices.iter().all(|c| c.taken < c.of.max(1)));
        let record: Vec<u32> = choices.iter().map(|c| c.taken).collect();
        let replay = SyncEngine::replay(record.clone());
        let (second, made) = replay.run_recorded(keyed(&again), &options());
        assert_eq!(made, choices, "seed {seed}");
        assert_eq!(first.take(), again.take());
        assert_eq!(format!("{:?}", report.edges), format!("{:?}", second.edges));
        for shorter in [record[..record.len() / 2].to_vec(), vec![u32::MAX; 40], Vec::new()] {
            let rest = Shelf::default();
            let report = SyncEngine::replay(shorter).run(keyed(&rest), &options());
            assert_eq!(report.ended, Ended::Completed);
            assert_eq!(rest.take(), (0..300).map(|r| 2 * r).collect::<Vec<u64>>());
        }
    }
}

/// Row 214. Queues between tasks are as bounded here as anywhere: backpressure is exercised, not
/// simulated (B30).
#[test]
fn b030_backpressure_is_real_without_threads() {
    let shelf = Shelf::default();
    let report =
        SyncEngine::seeded(3).run(keyed(&shelf), &RunOptions::default().batch(4).chain(false));
    assert_eq!(report.ended, Ended::Completed);
    assert!(report.edges.iter().all(|e| e.capacity == 1 && e.stats.high == 1), "{report:?}");
    assert!(report.edges.iter().any(|e| e.stats.blocked > 0), "somebody had to wait");
}

/// Row 205. A plan may borrow from its caller: nothing is spawned.
#[test]
fn closures_may_borrow() {
    let engine: &dyn Engine = &SyncEngine::new();
    assert_eq!(engine.name(), "sync");
    let table = [10, 20, 30];
    let shelf: Shelf<u64> = Shelf::default();
    let plan = HandPlan::from("in", VecSource::<u64>::new(0..3))
        .then("look up", laws::by_row(|r, out| out.push(r)))
        .into("out", CollectSink::onto(&shelf))
        .plan();
    let bodies = plan.bodies.into_iter().map(|body| match body {
        Body::Source(s) => Body::Source(s),
        Body::Sink(s) => Body::Sink(s),
        _ => Body::One(Box::new(Erased(laws::by_row(|r, out| out.push(table[r as usize]))))),
    });
    let plan = ExecutionPlan { graph: plan.graph, bodies: bodies.collect(), dead_letters: None };
    let report = SyncEngine::new().run(plan, &RunOptions::default());
    assert_eq!(report.ended, Ended::Completed);
    assert_eq!(shelf.take(), table);
}
