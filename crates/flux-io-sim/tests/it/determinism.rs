//! One seed is one run.

use crate::parts::{Recipe, assembly, nothing_lost};
use flux_io_sim::{FailureKind, Faults, simulate};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn every_seed_is_the_same_run_twice() {
    let recipe = Recipe { wait: true, ..Recipe::plain(200) };
    simulate(|s| assembly(s, recipe)).seeds(200).twice().check(nothing_lost);
}

/// Faults of every kind, so nothing is asked of the outcome but that it comes twice.
#[test]
fn runs_that_fail_are_the_same_run_twice() {
    let recipe = Recipe { wait: true, ..Recipe::plain(100) };
    simulate(|s| assembly(s, recipe)).faults(Faults::all()).seeds(200).twice().check(|_, _| Ok(()));
}

#[test]
fn a_plan_that_depends_on_something_else_is_found() {
    let calls = AtomicU32::new(0);
    let failure = simulate(|s| {
        let odd = calls.fetch_add(1, Ordering::Relaxed);
        assembly(s, Recipe::plain(100 + 40 * odd))
    })
    .seeds(50)
    .twice()
    .try_check(|_, _| Ok(()))
    .expect_err("the plan grows from run to run");
    assert_eq!(failure.kind, FailureKind::Differs);
}

/// A recorded stream gives the run that it was recorded from.
#[test]
fn a_stream_gives_the_run_of_its_seed() {
    for seed in 0..100 {
        let (mut stream, mut hash) = (Vec::new(), 0);
        simulate(|s| assembly(s, Recipe::plain(100))).seed(seed).check(|run, _| {
            (stream, hash) = (run.stream(), run.trace_hash);
            Ok(())
        });
        let text = flux_io_sim::stream_to_text(&stream);
        simulate(|s| assembly(s, Recipe::plain(100))).replay(&text).check(|run, _| {
            if run.trace_hash == hash { Ok(()) } else { Err(format!("seed {seed} differs")) }
        });
    }
}
