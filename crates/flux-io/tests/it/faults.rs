//! Faults of the original documents, as this project answers them.

use flux_io::core::Ended;
use flux_io::prelude::*;
use flux_io_engine_sync::SyncEngine;
use flux_io_testkit::conformance::engine as laws;

/// A credit returns when a row is taken, not when its key is emitted: a thousand incomplete keys
/// behind an edge of one batch hold nobody up.
#[test]
fn b043_incomplete_keys_hold_no_credit() {
    let (collect, got) = sink::collect();
    let end = Pipeline::new()
        .source("halves", source::iter(0..1_000_u64))
        .buffer(1)
        .key_by("k", |k| *k)
        .accumulate("assemble", |p| {
            p.require(Require::all(["a", "b"])).var(|_| Var::one(0)).merge(|n: &mut u64, _| *n += 1)
        })
        .sink("out", collect);
    let options = RunOptions::default().batch(4).chain(false);
    let report = engine::Sync::new().with(options).run(end).unwrap();
    assert_eq!(got.take().len(), 1_000);
    assert_eq!(report.ledger("assemble").unwrap().partial(), 1_000);
}

/// Branch and merge are nodes with ports, with order and end of stream per input.
#[test]
fn b052_branch_and_merge_have_ports() {
    laws::order::a_diamond_gives_every_row_once(&SyncEngine::new());
    laws::merge::an_ended_input_holds_nothing_back(&SyncEngine::new());
}

/// The sync engine is demand-driven over bounded queues: no input of a merge starves, no branch is
/// buffered without bound. Row 216.
#[test]
fn b054_no_branch_is_buffered_without_bound() {
    laws::order::a_diamond_gives_every_row_once(&SyncEngine::new());
    laws::edges::a_slow_sink_holds_its_senders_back(&SyncEngine::new());
}

/// State runs in parallel by key alone: one owner a key, and its order.
#[test]
fn b057_state_is_parallel_by_key_alone() {
    laws::exchange::every_key_has_one_owner_and_its_order(&SyncEngine::new());
}

/// Timeouts are exact on a virtual clock: they are neither immediate nor never. Row 215.
#[test]
fn b029_timeouts_are_exact_on_a_virtual_clock() {
    laws::virtual_time::b029_timers_fire_at_their_moment(&SyncEngine::new());
    laws::virtual_time::a_long_wait_costs_no_real_time(&SyncEngine::new());
}

/// A stage sees batches, time and the end through calls; the engine owns the stream.
#[test]
fn b106_the_engine_owns_the_stream() {
    laws::order::rows_keep_their_order(&SyncEngine::new());
    laws::timers::timers_fire_while_a_source_waits(&SyncEngine::new());
}

/// The hooks of recovery are there from the first day: positions, snapshots, two-phase sinks.
#[test]
fn b107_recovery_has_its_hooks() {
    laws::checkpoint::a_restored_run_goes_on_where_the_cut_was(&SyncEngine::new());
    laws::checkpoint::nothing_is_visible_before_its_commit(&SyncEngine::new());
}

/// An iterator without end whose items nobody takes is left in time for an abort, in a segment that
/// filters and in one that folds. The iterator itself stops the run: on the sync engine nobody else
/// could.
#[test]
fn an_iterator_without_end_can_be_stopped() {
    let endless = |handle: &RunHandle| {
        let handle = handle.clone();
        let mut made = 0_u64;
        std::iter::repeat_with(move || {
            made += 1;
            if made == 100_000 {
                handle.stop(StopMode::Abort);
            }
            made
        })
    };
    let options = |handle: &RunHandle| RunOptions::default().handle(handle);

    let handle = RunHandle::new();
    let iterator = handle.clone();
    let end = Pipeline::new()
        .source("rows", source::iter(0..10_u64))
        .flat_map("many", move |_| endless(&iterator))
        .filter("none", |_| false)
        .discard("out");
    let report = engine::Sync::new().with(options(&handle)).run(end).unwrap();
    assert_eq!(report.ended, Ended::Aborted);

    let handle = RunHandle::new();
    let iterator = handle.clone();
    let (end, _) = Pipeline::new()
        .source("rows", source::iter(0..10_u64))
        .flat_map("many", move |_| endless(&iterator))
        .fold("sum", 0_u64, |sum, n| *sum += n);
    let report = engine::Sync::new().with(options(&handle)).run(end);
    assert!(report.is_ok_and(|r| r.ended == Ended::Aborted));
}
