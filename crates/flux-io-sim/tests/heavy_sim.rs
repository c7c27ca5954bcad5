//! The simulator at the size of a gate: optimised only. Prints what was covered and how fast.

#[path = "it/parts.rs"]
#[expect(dead_code, reason = "shared with the small tests, which use the rest")]
mod parts;

use flux_io_core::{GiveUp, OnError, Retry};
use flux_io_sim::{Fault, Faults, simulate};
use parts::{Recipe, assembly, nothing_lost};

/// Many seeds, each run twice, with faults that a policy answers.
#[test]
#[expect(clippy::disallowed_methods, reason = "a rate of a real machine is printed")]
fn many_seeds_twice() {
    let on_error = OnError::Retry { retry: Retry::default(), then: GiveUp::Fail };
    let recipe = Recipe { wait: true, on_error, ..Recipe::plain(500) };
    let faults = Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Command);
    let seeds = 20_000;
    let start = std::time::Instant::now();
    let stats =
        simulate(|s| assembly(s, recipe)).faults(faults).seeds(seeds).twice().check(nothing_lost);
    let took = start.elapsed().as_secs_f64();
    println!("{:.0} seeds a second, each run twice\n{stats}", seeds as f64 / took);
    assert!(stats.distinct() * 100 >= stats.runs * 99, "{stats}");
    assert!(stats.items >= 100 * stats.runs, "{stats}");
    for (f, n) in &stats.effects {
        assert!(*n >= 200 || *f == Fault::LateJob, "{} too seldom\n{stats}", f.as_str());
    }
}

/// Long runs: about 10,000 items each.
#[test]
fn long_runs() {
    let on_error = OnError::Retry { retry: Retry::default(), then: GiveUp::Fail };
    let recipe = Recipe { wait: true, on_error, ..Recipe::plain(20_000) };
    let faults = Faults::harmless().with(Fault::TransientFill).with(Fault::PartialWrite);
    let stats = simulate(|s| assembly(s, recipe)).faults(faults).seeds(300).check(nothing_lost);
    println!("{stats}");
    assert!(stats.items >= 8_000 * stats.runs, "{stats}");
}

/// Every fault there is: each run ends, and what it counted adds up.
#[test]
fn every_fault_at_once() {
    let recipe = Recipe { wait: true, ..Recipe::plain(300) };
    let stats =
        simulate(|s| assembly(s, recipe)).faults(Faults::all()).seeds(40_000).check(|_, _| Ok(()));
    println!("{stats}");
    let over = [Fault::FailFill, Fault::FailWrite, Fault::LeaveRows];
    for f in [Fault::Abort, Fault::Drain, Fault::Panic].into_iter().chain(over) {
        assert!(stats.seeds_with(f) >= 1_000, "{} too seldom\n{stats}", f.as_str());
    }
}
