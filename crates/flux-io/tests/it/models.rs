//! Branches and joins against naive models, under random inputs, batches and schedules.

use crate::graphs::{Seen, Tape, dropped, promises_hold, timed};
use flux_io::core::{Engine, RunOptions, RunReport};
use flux_io::flow::{
    Gap, Hold, InOrder, Join, JoinStrategy, Joined, Leftover, Pipeline, Runnable, Unrouted,
};
use flux_io::prelude::{sink, source};
use flux_io_engine_sync::SyncEngine;
use flux_io_testkit::doubles::Shelf;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::BTreeMap;

fn cases(n: u32) -> Config {
    Config {
        cases: n,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_251_125),
        ..Config::default()
    }
}

/// How a run goes: the schedule's seed, rows of a batch, batches of an edge, chained or not.
type How = (u64, usize, usize, bool);

fn how() -> impl Strategy<Value = How> {
    (any::<u64>(), 1..40usize, 1..4usize, any::<bool>())
}

fn run(p: impl Runnable<'static>, (seed, batch, _, chain): How) -> RunReport {
    let options = RunOptions::default().batch(batch).chain(chain);
    let report = SyncEngine::seeded(seed).run_plan(p.into_plan().unwrap(), options);
    report.check().unwrap();
    assert!(report.failure.is_none(), "{:?}", report.failure);
    report
}

fn pipeline(how: How) -> Pipeline<'static> {
    Pipeline::new().default_buffer(how.2, flux_io::core::WhenFull::Block)
}

proptest! {
    #![proptest_config(cases(60))]

    /// A route is a partition; what has no route is counted.
    #[test]
    fn a_route_is_a_partition(rows in vec(0..10u64, 0..300), ports in 1..6usize, how in how()) {
        let p = pipeline(how);
        let to = |x: &u64| (*x < 8).then_some(*x as usize);
        let flows = p.source("in", source::iter(rows.clone())).route("r", ports, Unrouted::Drop, to);
        let shelves: Vec<_> = flows
            .into_iter()
            .enumerate()
            .map(|(i, f)| {
                let (sink, got) = sink::collect();
                let _ = f.sink(&i.to_string(), sink);
                got
            })
            .collect();
        let report = run(p, how);
        let mut lost = rows.len();
        for (port, shelf) in shelves.iter().enumerate() {
            let want: Vec<u64> = rows.iter().filter(|x| to(x) == Some(port)).copied().collect();
            lost -= want.len();
            prop_assert_eq!(shelf.take(), want);
        }
        prop_assert_eq!(dropped(&report, "r", "unrouted"), lost as u64);
    }

    /// What was routed apart, thinned, and merged by number comes in the order of the source.
    #[test]
    fn a_merge_by_seq_is_the_identity(
        to in vec(0..4usize, 0..300),
        drop in vec(any::<bool>(), 300),
        hold in 1..50usize,
        how in how(),
    ) {
        let p = pipeline(how);
        let (collect, got) = sink::collect();
        let (route, thin) = (to.clone(), drop.clone());
        let mut flows = p
            .source("in", source::iter(0..to.len()))
            .route("r", 4, Unrouted::Fail, move |i| Some(route[*i]));
        // The last flow is thinned: its gaps are known by what the others give next.
        let last = flows.remove(3).filter("thin", move |i| !thin[*i]).closed();
        flows.push(last);
        let first = flows.remove(0);
        // A branch that is all gaps says how far it has come: nobody waits for ever.
        let hold = Hold::rows(hold);
        let _ = first.merge_by_seq("m", flows, InOrder::within(hold)).sink("out", collect);
        let report = run(p, how);
        let got = got.take();
        prop_assert_eq!(dropped(&report, "m", "late"), 0);
        let want: Vec<usize> = (0..to.len()).filter(|i| to[*i] < 3 || !drop[*i]).collect();
        prop_assert_eq!(got, want);
    }

    /// A merge by time is a sort by time, input and place; nothing is late, and promises hold.
    #[test]
    fn a_merge_by_time_is_a_sort(
        inputs in vec(vec(0..40i64, 0..60), 2..5),
        lag in 0..30i64,
        hold in 1..80usize,
        how in how(),
    ) {
        let p = pipeline(how);
        let (collect, got) = sink::collect();
        let seen = Shelf::default();
        let mut model: Vec<(i64, u64, u64)> = Vec::new();
        let mut flows = Vec::new();
        for (i, steps) in (0..).zip(&inputs) {
            // Rising by steps, each row moved back within the lag.
            let mut base = 0;
            let time = |(k, step): (u64, &i64)| {
                base += step;
                (i * 1_000 + k, base - (step * 7 % (lag + 1)))
            };
            let rows: Vec<(u64, i64)> = (0..).zip(steps).map(time).collect();
            model.extend(rows.iter().map(|(id, t)| (*t, i, *id)));
            flows.push(p.source(&format!("in {i}"), timed(rows, lag)));
        }
        model.sort_unstable();
        let first = flows.remove(0);
        let _ = first
            .merge_by_time("m", flows, Hold::rows(hold))
            .stage("tape", Tape(seen.clone()))
            .sink("out", collect);
        run(p, how);
        prop_assert_eq!(got.take(), model.into_iter().map(|m| m.2).collect::<Vec<_>>());
        promises_hold(&seen.take(), "sync");
    }

    /// A zip is the zip of the standard library, and what is over is accounted for.
    #[test]
    fn a_zip_is_a_zip(
        a in vec(any::<u64>(), 0..200),
        b in vec(any::<u64>(), 0..200),
        hold in 1..40usize,
        how in how(),
    ) {
        let p = pipeline(how);
        let (collect, got) = sink::collect();
        let (x, y) = (p.source("a", source::iter(a.clone())), p.source("b", source::iter(b.clone())));
        let _ = x
            .zip_with("z", y, Leftover::Drop, Hold::rows(hold), Hold::rows(hold))
            .sink("out", collect);
        let report = run(p, how);
        let unpaired = dropped(&report, "z", "unpaired") as usize;
        prop_assert_eq!(unpaired, a.len().abs_diff(b.len()));
        prop_assert_eq!(got.take(), a.into_iter().zip(b).collect::<Vec<_>>());
    }

    /// A resequencer against a model that looks at one row at a time.
    #[test]
    fn a_resequencer_is_its_model(
        rows in vec(0..60u64, 0..80),
        hold in 1..12usize,
        how in how(),
    ) {
        let p = pipeline(how);
        let (collect, got) = sink::collect();
        let order = InOrder::within(Hold::rows(hold)).gap(Gap::Count).late(Leftover::Drop);
        let _ = p
            .source("in", source::iter(rows.clone()))
            .resequence("r", order, |x| *x)
            .sink("out", collect);
        let report = run(p, how);
        let (mut want, mut waiting, mut next, mut gaps, mut late) = (vec![], vec![], 0, 0, 0);
        let mut release = |waiting: &mut Vec<u64>, next: &mut u64, all: bool| {
            waiting.sort_unstable();
            while let Some(&first) = waiting.first() {
                if first > *next && waiting.len() < hold && !all {
                    break;
                }
                gaps += first.saturating_sub(*next);
                want.push(waiting.remove(0));
                *next = (*next).max(first + 1);
            }
        };
        for row in rows {
            if row < next {
                late += 1;
                continue;
            }
            waiting.push(row);
            release(&mut waiting, &mut next, false);
        }
        release(&mut waiting, &mut next, true);
        prop_assert_eq!(got.take(), want);
        let counted = (dropped(&report, "r", "gap"), dropped(&report, "r", "late"));
        prop_assert_eq!(counted, (gaps, late));
    }

    /// A join by id of all flows is the intersection of their ids, and every row is accounted for.
    #[test]
    fn a_join_is_an_intersection(
        sizes in vec(0..150u64, 3),
        steps in vec(1..4u64, 3),
        quorum in 1..4usize,
        by_seq in any::<bool>(),
        how in how(),
    ) {
        let p = pipeline(how);
        let (collect, got) = sink::collect();
        let mut flows = Vec::new();
        let mut there: BTreeMap<u64, usize> = BTreeMap::new();
        for i in 0..3 {
            // Each source counts its own rows: the number of a row is its id, filtered or not.
            let (size, step) = (sizes[i], steps[i]);
            let rows = source::iter(0..size);
            flows.push(p.source(&format!("in {i}"), rows).filter(&format!("f {i}"), move |x| {
                x.is_multiple_of(step)
            }).closed());
            for id in (0..size).filter(|x| x.is_multiple_of(step)) {
                *there.entry(id).or_default() += 1;
            }
        }
        let strategy = JoinStrategy::Quorum(quorum);
        let join = if by_seq { Join::by_seq(strategy) } else { Join::by_id(|x: &u64| *x, strategy) };
        let first = flows.remove(0);
        let _ = first.join("j", flows, join.hold(Hold::rows(400))).sink("out", collect);
        let report = run(p, how);
        let mut got: Vec<Joined<u64>> = got.take();
        if by_seq && quorum == 3 {
            prop_assert!(got.is_sorted_by_key(|j| j.id));
        }
        got.sort_unstable();
        let want: Vec<u64> = there.iter().filter(|(_, n)| **n >= quorum).map(|(id, _)| *id).collect();
        prop_assert_eq!(got.iter().map(|j| j.id).collect::<Vec<_>>(), want);
        prop_assert!(got.iter().all(|j| j.complete && j.parts.iter().flatten().count() == quorum));
        prop_assert!(got.iter().all(|j| j.parts.iter().flatten().all(|x| *x == j.id)));
        let used = got.len() * quorum;
        let left = dropped(&report, "j", "incomplete") + dropped(&report, "j", "superseded");
        prop_assert_eq!(used as u64 + left, there.values().sum::<usize>() as u64);
    }

    /// A join of thinned branches by number or id is the intersection of what they keep, every row is
    /// accounted for, and what it may hold does not show.
    #[test]
    fn a_join_of_branches_is_an_intersection(
        keeps in vec(vec(any::<bool>(), 250), 2..5usize),
        rare in 0..4usize,
        hold in 1..50usize,
        by_seq in any::<bool>(),
        how in how(),
    ) {
        let p = pipeline(how);
        let (collect, got) = sink::collect();
        let n = keeps.len();
        let all = p.source("in", source::iter(0..250_u64)).broadcast("both", n);
        let keep = move |port: usize, x: u64, kept: &[bool]| match port == rare {
            true => x % 60 == 59,
            false => kept[x as usize],
        };
        let mut flows: Vec<_> = all.into_iter().zip(keeps.clone()).enumerate().map(|(i, (f, kept))| {
            let own = f.map_rows(&format!("own {i}"), |x: &u64| *x);
            own.filter(&format!("thin {i}"), move |x| keep(i, *x, &kept)).closed()
        }).collect();
        let strategy = JoinStrategy::AllComplete;
        let join = if by_seq { Join::by_seq(strategy) } else { Join::by_id(|x: &u64| *x, strategy) };
        // Inputs may be a row apart, and ids in any order fill half of what is held in step.
        let hold = if by_seq { hold } else { hold + 2 * n };
        let first = flows.remove(0);
        let _ = first.join("j", flows, join.hold(Hold::rows(hold))).sink("out", collect);
        let report = run(p, how);
        let kept = |x: u64| (0..n).filter(|i| keep(*i, x, &keeps[*i])).count();
        let want: Vec<u64> = (0..250).filter(|x| kept(*x) == n).collect();
        let mut ids: Vec<u64> = got.take().iter().map(|j| j.id).collect();
        ids.sort_unstable();
        let used = n as u64 * want.len() as u64;
        prop_assert_eq!(ids, want);
        let left = dropped(&report, "j", "incomplete") + dropped(&report, "j", "superseded");
        prop_assert_eq!(used + left, (0..250).map(kept).sum::<usize>() as u64);
    }

    /// Every flow of a broadcast is the input, and combining two of them is pairing with oneself.
    #[test]
    fn a_fan_out_is_a_pairing(rows in vec(any::<u64>(), 0..300), how in how()) {
        let p = pipeline(how);
        let (collect, got) = sink::collect();
        let _ = p
            .source("in", source::iter(rows.clone()))
            .fan_out(
                "f",
                |l| l.map_rows("l", |x: &u64| x.wrapping_mul(3)),
                |r| r.map_rows("r", |x: &u64| x.wrapping_add(1)).map("s", |x| x / 2),
            )
            .combine("c", |a, b| (a, b))
            .sink("out", collect);
        run(p, how);
        let want = rows.iter().map(|x| (x.wrapping_mul(3), x.wrapping_add(1) / 2));
        prop_assert_eq!(got.take(), want.collect::<Vec<_>>());
    }
}

/// Rows and marks are told apart by what a tape saw.
#[test]
fn a_tape_sees_both() {
    let seen = Shelf::default();
    let p = Pipeline::new();
    let _ = p.source("in", timed([(7, 3)], 0)).stage("t", Tape(seen.clone())).discard("end");
    run(p, (0, 8, 8, true));
    let t = flux_io::core::Timestamp;
    assert_eq!(seen.take(), [Seen::Row(7, t(3)), Seen::Mark(t(2))]);
}
