//! What engines do with runs that stand still, and with tasks that are ready.

use flux_io::core::{Engine, Moment, OnStuck, Watchdog};
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::conformance::engine::{self as laws, Workers};
use flux_io_testkit::doubles::{Line, ScriptSource};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Row 199. Deadlock and livelock are found on every engine, with the wait-for graph and its cycle;
/// what is idle, or pauses for a known time, is left alone.
#[test]
fn a_run_that_stands_still_is_found() {
    let hybrid = crate::hybrid_laws::apart();
    let engines: [&dyn Engine; 4] =
        [&SyncEngine::new(), &Workers(TokioEngine, 2), &Workers(RayonEngine, 2), &hybrid];
    for engine in engines {
        laws::watchdog::a_deadlock_is_named_with_its_cycle(engine);
        laws::watchdog::a_livelock_is_found(engine);
    }
    laws::watchdog::an_idle_run_is_not_stuck(&SyncEngine::new());
    laws::watchdog::a_known_pause_is_not_stuck(&SyncEngine::new());
}

/// A watchdog only looks: it injects nothing that would move a run. It tells what it saw, asks for
/// a flush, and then stops the run.
#[test]
fn b065_a_watchdog_only_looks() {
    laws::watchdog::b065_a_flush_is_asked_for_before_the_run_fails(&SyncEngine::new());
    laws::watchdog::a_run_that_goes_on_is_not_held_by_its_watchdog(&Workers(RayonEngine, 2));
}

/// Row 207. Ready tasks wait in one queue that all workers take from, whichever input has rows is
/// served, and more tasks than workers are no hindrance: fine-grained pieces in any number.
#[test]
fn whoever_is_free_takes_what_is_ready() {
    let rayon = Workers(RayonEngine, 2);
    laws::merge::a_merge_takes_from_whichever_input_has_rows(&rayon);
    for instances in [1, 5, 64] {
        let (collect, got) = sink::collect();
        let end = Pipeline::new()
            .source("numbers", source::iter(0..5_000_u64))
            .map("square", |x| x * x)
            .parallel(instances)
            .map("half", |x| x / 2)
            .parallel(instances)
            .sink("out", collect);
        let options = RunOptions::default().workers(2).batch(16);
        engine::Rayon::new().with(options).run(end).unwrap();
        assert_eq!(got.take(), (0..5_000).map(|x| x * x / 2).collect::<Vec<_>>(), "{instances}");
    }
}

/// Timers fire also while there is always a ready task: a pipeline that never rests does not hold up
/// one that waits for a moment, even with a single worker. A queue that is looked at before the
/// timers would never come to them.
#[test]
fn a_busy_worker_still_serves_timers() {
    let hybrid = crate::hybrid_laws::apart();
    let engines: [&dyn Engine; 3] = [&TokioEngine, &RayonEngine, &hybrid];
    for engine in engines {
        let over = Arc::new(AtomicBool::new(false));
        let (rests, wakes) = (Arc::clone(&over), Arc::clone(&over));
        let never_rests = (0_u64..).take_while(move |_| !rests.load(Ordering::Acquire));
        let p = Pipeline::new();
        let busy = p.source("busy", source::iter(never_rests)).discard("nowhere");
        let lines = [Line::Until(Moment(2_000_000)), Line::Row(1_u64)];
        let late = p
            .source("late", ScriptSource::new(lines))
            .for_each("wakes", move |_| wakes.store(true, Ordering::Release));
        let plan = busy.and(late).plan().unwrap();
        let watchdog = Watchdog::new(Duration::from_secs(30), 1).then(OnStuck::Fail);
        let report = engine.run_plan(plan, RunOptions::default().watchdog(watchdog));
        assert!(report.is_success(), "{}: {:?}", engine.name(), report.failure);
        assert!(over.load(Ordering::Acquire));
    }
}
