//! Drains and aborts at random steps.

use super::{assembled, engines, run};
use flux_io::core::{Class, Ended, RunOptions};
use flux_io::prelude::*;
use flux_io_testkit::jobs::rng::SplitMix64;

const SEEDS: u64 = 150;

/// A graceful stop at a random row: whatever the source gave comes out, and nothing stays open.
#[test]
fn a_drain_at_a_random_step() {
    let mut draws = SplitMix64::new(20);
    for seed in 0..SEEDS {
        for on in engines(seed) {
            let step = draws.below(super::ROWS);
            let options = RunOptions::default();
            let handle = options.handle.clone();
            let user = move |x| {
                if x == step {
                    handle.stop(StopMode::Graceful { deadline: None });
                }
                x
            };
            let (plan, got) = assembled(user, OnError::Fail);
            let report = run(on, plan, options);
            let at = format!("{on:?}, row {step}");
            assert_eq!(report.ended, Ended::Drained, "{at}: {:?}", report.failure);
            let given = report.stage("in").unwrap().counts.rows_out;
            let ledger = report.ledger("acc").unwrap();
            assert_eq!((ledger.fragments, ledger.get(Class::Open)), (given, 0), "{at}");
            assert!(given > step, "{at}");
            let complete = got.take().iter().filter(|o| o.is_complete()).count() as u64;
            assert_eq!(complete, given / 3, "{at}");
            assert!(!got.is_aborted(), "{at}");
        }
    }
}

/// An abort at a random row: the run ends, the sink gives up, and what was left behind is counted
/// as open or undeliverable.
#[test]
fn an_abort_at_a_random_step() {
    let mut draws = SplitMix64::new(21);
    for seed in 0..SEEDS {
        for on in engines(seed) {
            let step = draws.below(super::ROWS);
            let options = RunOptions::default();
            let handle = options.handle.clone();
            let user = move |x| {
                if x == step {
                    handle.stop(StopMode::Abort);
                }
                x
            };
            let (plan, got) = assembled(user, OnError::Fail);
            let report = run(on, plan, options);
            let at = format!("{on:?}, row {step}");
            assert_eq!(report.ended, Ended::Aborted, "{at}: {:?}", report.failure);
            assert!(got.is_aborted(), "{at}");
            let given = report.stage("in").unwrap().counts.rows_out;
            let edge = report.edges.iter().find(|e| e.from == "in").unwrap().stats;
            assert!(edge.sent <= given && step < given, "{at}: {edge:?}");
            assert_eq!(edge.sent, edge.taken + edge.undeliverable + edge.waiting, "{at}");
        }
    }
}
