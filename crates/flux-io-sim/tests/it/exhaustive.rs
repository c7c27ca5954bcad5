//! Every schedule of small pipelines, within a number of preemptions.

use crate::parts::{Bug, Recipe, assembly, nothing_lost};
use flux_io_sim::{Exhaustive, FailureKind, SimStats, Swarm, simulate};
use std::collections::BTreeSet;

fn small(swarm: &mut Swarm) {
    (swarm.capacity, swarm.rows, swarm.chain, swarm.shards) = (1, 10, false, 1);
}

fn walk(limits: Exhaustive) -> (SimStats, BTreeSet<Vec<(u32, Vec<u32>)>>) {
    let mut outputs = BTreeSet::new();
    let stats = simulate(|s| {
        small(s);
        assembly(s, Recipe::plain(20))
    })
    .exhaustive(limits)
    .check(|run, job| {
        outputs.insert(job.seen.rows().clone());
        nothing_lost(run, job)
    });
    (stats, outputs)
}

/// Every schedule within the bound is run, not only drawn ones. Row 279.
#[test]
fn a_small_pipeline_is_right_in_every_schedule() {
    let limits = Exhaustive { preemptions: 1, runs: 5_000, hashing: true };
    let (stats, outputs) = walk(limits);
    assert_eq!(stats.complete, Some(true), "{stats}");
    assert!(stats.runs > 10, "{stats}");
    assert!(outputs.len() > 1, "schedules must differ in the order of things: {stats}");
}

/// Leaving known states loses no outcome.
#[test]
fn hashing_finds_what_the_whole_tree_finds() {
    let hashed = Exhaustive { preemptions: 0, runs: 5_000, hashing: true };
    let (fast, some) = walk(hashed);
    let (slow, all) = walk(Exhaustive { hashing: false, runs: 5_000, ..hashed });
    assert_eq!(fast.complete, Some(true), "{fast}");
    assert!(fast.runs < slow.runs, "{fast}{slow}");
    if slow.complete == Some(true) {
        assert_eq!(some, all);
    } else {
        assert!(all.is_subset(&some), "{fast}{slow}");
    }
}

#[test]
fn a_walk_finds_a_fault_and_its_stream_replays() {
    let recipe = Recipe { bug: Bug::LostInOrder, ..Recipe::plain(20) };
    let make = |s: &mut Swarm| {
        small(s);
        assembly(s, recipe)
    };
    let limits = Exhaustive { runs: 5_000, ..Exhaustive::default() };
    let failure =
        simulate(make).exhaustive(limits).try_check(nothing_lost).expect_err("it must fail");
    assert_eq!(failure.kind, FailureKind::Oracle);
    assert!(failure.shrunk_message.is_some(), "{failure}");
}
