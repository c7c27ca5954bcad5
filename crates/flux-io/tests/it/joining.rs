//! Laws of joins: equal multisets, equal order where one is promised, bounded, on every engine.

use crate::graphs::{Lazy, Seen, Tape, completed, dropped, everywhere, promises_hold, timed};
use flux_io::core::{DeadCause, Ended, OnError, Timestamp};
use flux_io::flow::{Gap, Hold, InOrder, Join, JoinStrategy, Joined, Leftover, Pipeline};
use flux_io::prelude::{ErrorRecord, sink, source};
use flux_io_testkit::doubles::Shelf;
use std::time::Duration;

/// A merge gives every row of every input once, each input in its order.
#[test]
fn a_merge_keeps_the_order_of_each_input() {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let p = Pipeline::new();
            let part = |i: u64| source::iter((0..900_u64).map(move |x| x * 3 + i));
            let (a, b, c) =
                (p.source("a", part(0)), p.source("b", part(1)), p.source("c", part(2)));
            let end = a.map("a1", |x| x).merge("m", (b.map("b1", |x| x), c)).sink("out", collect);
            (end, got)
        },
        |report, got, at| {
            completed(&report, at);
            let mut rows = got.take();
            for i in 0..3 {
                let part: Vec<u64> = rows.iter().filter(|x| *x % 3 == i).copied().collect();
                assert!(part.is_sorted(), "{at}");
            }
            rows.sort_unstable();
            assert_eq!(rows, (0..2_700).collect::<Vec<_>>(), "{at}");
        },
    );
}

/// Watermarks behind a split and a merge of its two sides promise no more than what holds, and the
/// last one is that of the input.
#[test]
fn a_merge_promises_the_least_of_its_inputs() {
    everywhere(
        || {
            let seen = Shelf::default();
            let rows = (0..500).map(|i| (i, i as i64 * 10 - (i as i64 % 4) * 7));
            let (yes, no) =
                Pipeline::new().source("in", timed(rows, 21)).split("s", |x| x % 5 == 0);
            let end = yes.merge("m", no).stage("tape", Tape(seen.clone())).discard("end");
            (end, seen)
        },
        |report, seen, at| {
            completed(&report, at);
            let seen = seen.take();
            promises_hold(&seen, at);
            assert_eq!(seen.iter().filter(|s| matches!(s, Seen::Row(..))).count(), 500);
        },
    );
}

/// What a time of input `i` is: rising, with ties between inputs, out of order within the lag.
fn time_of(input: u64, n: u64) -> i64 {
    (n * (10 + input) / 3 * 3) as i64 - (n % 3) as i64 * 5
}

/// Rows of several inputs come in the order of their times, then of the inputs, then of each
/// input: the same on every engine. Idle and ended inputs hold nothing up.
#[test]
fn a_merge_by_time_sorts() {
    let lengths = [400_u64, 37, 0, 900];
    let mut model: Vec<(i64, u64, u64)> = Vec::new();
    for (i, n) in (0..).zip(lengths) {
        model.extend((0..n).map(|k| (time_of(i, k), i, k)));
    }
    model.sort_unstable();
    let model: Vec<u64> = model.iter().map(|(_, i, k)| i * 10_000 + k).collect();
    for hold in [1, 64, 8_192] {
        everywhere(
            || {
                let p = Pipeline::new();
                let seen = Shelf::default();
                let (collect, got) = sink::collect();
                let mut flows = (0..).zip(lengths).map(|(i, n)| {
                    let rows = (0..n).map(move |k| (i * 10_000 + k, time_of(i, k)));
                    p.source(&format!("in {i}"), timed(rows, 40))
                });
                let first = flows.next().unwrap();
                let rest: Vec<_> = flows.collect();
                let end = first
                    .merge_by_time("m", rest, Hold::rows(hold))
                    .stage("tape", Tape(seen.clone()))
                    .sink("out", collect);
                (end, (got, seen))
            },
            |report, (got, seen), at| {
                completed(&report, at);
                assert_eq!(got.take(), model, "{at}, hold {hold}");
                promises_hold(&seen.take(), at);
            },
        );
    }
}

/// Without watermarks a merge by time would hold everything: it says so.
#[test]
fn a_merge_by_time_without_times_is_refused() {
    everywhere(
        || {
            let p = Pipeline::new();
            let (a, b) =
                (p.source("a", source::iter(0..90_u64)), p.source("b", source::iter(0..90)));
            let _ = a.merge_by_time("m", b, Hold::rows(10)).discard("end");
            (p, ())
        },
        |report, (), at| {
            assert_eq!(report.ended, Ended::Failed, "{at}");
            let failure = report.failure.unwrap();
            assert!(failure.error.what.contains("`m` waits for watermarks"), "{at}: {failure}");
        },
    );
}

/// Row 319: branches of one source come together again in its order, whatever each did to its rows.
#[test]
fn a_merge_by_seq_restores_the_order_of_the_source() {
    let keep = |x: u64| !(x.is_multiple_of(3) && x.is_multiple_of(2));
    for hold in [8, 8_192] {
        everywhere(
            || {
                let seen = Shelf::default();
                let (collect, got) = sink::collect();
                let rows = (0..3_000).map(|i| (i, i as i64 * 10 - (i as i64 % 4) * 7));
                let mut flows = Pipeline::new().source("in", timed(rows, 21)).route(
                    "r",
                    3,
                    flux_io::flow::Unrouted::Fail,
                    |x| Some((*x % 3) as usize),
                );
                let (c, b, a) = (flows.remove(2), flows.remove(1), flows.remove(0));
                let a = a.filter("a", |x| x % 2 == 1);
                let b = b.map("b", |x| x).parallel(2);
                let end = a
                    .merge_by_seq("m", (b, c), InOrder::within(Hold::rows(hold)))
                    .stage("tape", Tape(seen.clone()))
                    .sink("out", collect);
                (end, (got, seen))
            },
            |report, (got, seen), at| {
                completed(&report, at);
                let want: Vec<u64> = (0..3_000).filter(|x| keep(*x)).collect();
                assert_eq!(got.take(), want, "{at}, hold {hold}");
                let seen = seen.take();
                promises_hold(&seen, at);
                let last = seen.iter().rev().find(|s| matches!(s, Seen::Mark(_)));
                assert_eq!(last, Some(&Seen::Mark(Timestamp(29_969 - 22))), "{at}");
            },
        );
    }
}

/// A branch that gives nothing for a long time does not stop the others for ever: patience ends the
/// wait, and rows that come too late are accounted for.
#[test]
fn patience_ends_the_wait_for_a_quiet_branch() {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let (yes, no) =
                Pipeline::new().source("in", source::iter(0..5_000_u64)).split("s", |x| *x != 7);
            let hold = Hold::rows(4).patience(Duration::from_millis(2));
            let no = no.filter("nothing", |_| false);
            let end =
                yes.buffer(1).merge_by_seq("m", no, InOrder::within(hold)).sink("out", collect);
            (end, got)
        },
        |report, got, at| {
            completed(&report, at);
            assert_eq!(got.take(), (0..5_000).filter(|x| *x != 7).collect::<Vec<u64>>(), "{at}");
            assert_eq!(dropped(&report, "m", "late"), 0, "{at}");
        },
    );
}

/// Row 319: a resequencer gives rows in the order of their numbers.
#[test]
fn a_resequencer_sorts_within_its_window() {
    // Every block of 10 backwards, 40..50 missing.
    let rows = || (0..100_u64).flat_map(|b| (0..10).rev().map(move |i| b * 10 + i));
    let rows = move || rows().filter(|x| !(40..50).contains(x));
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let how = InOrder::within(Hold::rows(20));
            let end = Pipeline::new()
                .source("in", source::iter(rows()))
                .resequence("order", how, |x| *x)
                .sink("out", collect);
            (end, got)
        },
        |report, got, at| {
            completed(&report, at);
            assert_eq!(
                got.take(),
                (0..1_000).filter(|x| !(40..50).contains(x)).collect::<Vec<_>>()
            );
            assert_eq!(dropped(&report, "order", "gap"), 10, "{at}");
            assert_eq!(dropped(&report, "order", "late"), 0, "{at}");
        },
    );
}

/// Gaps and late rows of a resequencer become dead letters with their numbers.
#[test]
fn what_a_resequencer_misses_is_told() {
    everywhere(
        || {
            let (dead, letters) = sink::collect::<ErrorRecord>();
            let (collect, got) = sink::collect();
            let p = Pipeline::new().dead_letters("dead", dead);
            let how =
                InOrder::within(Hold::rows(3)).gap(Gap::DeadLetter).late(Leftover::DeadLetter);
            let _ = p
                .source("in", source::iter([0_u64, 3, 4, 5, 1, 6, 6, 9]))
                .resequence("order", how, |x| *x)
                .sink("out", collect);
            (p, (got, letters))
        },
        |report, (got, letters), at| {
            completed(&report, at);
            assert_eq!(got.take(), [0, 3, 4, 5, 6, 9], "{at}");
            let told: Vec<_> = letters.take().iter().map(|l| (l.cause, l.seq, l.items)).collect();
            let (gap, late) = (DeadCause::Expired, DeadCause::Invalid);
            let want = [(gap, 1, 2), (late, 4, 1), (late, 6, 1), (gap, 7, 2)];
            assert_eq!(told, want, "{at}");
        },
    );
}

/// Row 323: a zip pairs the n-th with the n-th, whatever the lengths; what is over is counted.
#[test]
fn a_zip_pairs_by_place() {
    for (n, m) in [(500_u64, 500_u64), (1, 1_000), (1_000, 0), (3_000, 2_999)] {
        everywhere(
            || {
                let (collect, got) = sink::collect();
                let (longest, all) = sink::collect();
                let p = Pipeline::new();
                let a = p.source("a", source::iter(0..n));
                let b = p.source("b", source::iter((0..m).map(|x| x.to_string())));
                let end = a.zip("z", b, Leftover::Drop).sink("out", collect);
                let c = p.source("c", source::iter(0..n));
                let d = p.source("d", source::iter((0..m).map(|x| x + 7)));
                let hold = || Hold::rows(16);
                let end2 = c.zip_longest("l", d, hold(), hold()).sink("all", longest);
                (end.and(end2), (got, all))
            },
            |report, (got, all), at| {
                completed(&report, at);
                let least = n.min(m);
                let want: Vec<_> = (0..least).map(|x| (x, x.to_string())).collect();
                assert_eq!(got.take(), want, "{at}");
                assert_eq!(dropped(&report, "z", "unpaired"), n.max(m) - least, "{at}");
                let want: Vec<_> = (0..n.max(m))
                    .map(|x| ((x < n).then_some(x), (x < m).then_some(x + 7)))
                    .collect();
                assert_eq!(all.take(), want, "{at}");
            },
        );
    }
}

/// The side of a zip that is ahead waits: with a slow left side the fast right one is never further
/// ahead than what the zip holds, its edges, and what is on its way.
#[test]
fn b054_a_zip_of_skewed_sides_is_bounded() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    const HOLD: usize = 20;
    everywhere(
        || {
            let p = Pipeline::new().default_buffer(2, flux_io::core::WhenFull::Block);
            let most = Arc::new((AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)));
            let (made, used) = (Arc::clone(&most), Arc::clone(&most));
            // One row of 1,000 passes: the left side needs 1,000 rows for each of the right.
            let slow =
                p.source("a", source::iter(0..100_000_u64)).filter("rare", |x| x % 1_000 == 0);
            let fast = p.source("b", source::iter(0..100_u64)).inspect("made", move |_| {
                let n = made.0.fetch_add(1, Ordering::SeqCst) + 1;
                let ahead = n.saturating_sub(made.1.load(Ordering::SeqCst));
                made.2.fetch_max(ahead, Ordering::SeqCst);
            });
            let hold = || Hold::rows(HOLD);
            let right = Hold::rows(HOLD);
            let _ = slow.zip_with("z", fast, Leftover::Fail, hold(), right).for_each(
                "use",
                move |_| {
                    used.1.fetch_add(1, Ordering::SeqCst);
                },
            );
            (p, most)
        },
        |report, most, at| {
            completed(&report, at);
            let batch: u64 = at.split(' ').nth(1).and_then(|b| b.parse().ok()).unwrap();
            if batch < 100 {
                let most = most.2.load(Ordering::SeqCst);
                // Held, a batch that came whole, two on the edge, two ports and hands.
                assert!(most <= HOLD as u64 + batch * 9, "{at}: {most} rows ahead");
            }
        },
    );
}

/// Watermarks behind a zip promise no more than what holds for pairs still to come.
#[test]
fn a_zip_keeps_watermarks() {
    everywhere(
        || {
            let seen = Shelf::default();
            let p = Pipeline::new();
            let a = p.source("a", timed((0..700).map(|i| (i, i as i64 * 10)), 0));
            let b = p.source("b", timed((0..500).map(|i| (i, i as i64 * 14 - 3)), 9));
            let hold = || Hold::rows(32);
            let pairs = a.zip_longest("z", b, hold(), hold());
            let end = pairs.stage("tape", Tape(seen.clone())).discard("end");
            (end, seen)
        },
        |report, seen, at| {
            completed(&report, at);
            let seen = seen.take();
            promises_hold(&seen, at);
            assert_eq!(seen.iter().filter(|s| matches!(s, Seen::Row(..))).count(), 700, "{at}");
        },
    );
}

type Rows = Vec<Joined<u64>>;

fn joined(
    lengths: [u64; 3],
    parts: fn(u64, u64) -> Option<u64>,
    join: impl Fn() -> Join<u64>,
    see: impl Fn(Rows, &flux_io::core::RunReport, &str),
) {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let p = Pipeline::new();
            let flow = |i: u64| {
                let rows = (0..lengths[i as usize]).filter_map(move |n| parts(i, n));
                p.source(&format!("in {i}"), source::iter(rows))
            };
            let end = flow(0).join("j", (flow(1), flow(2)), join()).sink("out", collect);
            (end, got)
        },
        |report, got, at| {
            completed(&report, at);
            see(got.take(), &report, at);
        },
    );
}

/// Row 323: all complete, quorum, first wins, custom, by place, by id; what is left over is counted.
#[test]
fn join_strategies() {
    let some = |n: u64| n;
    // By place, all of them: as long as the shortest.
    joined(
        [40, 300, 41],
        |i, n| Some(i * 1_000 + n),
        || Join::by_place(JoinStrategy::AllComplete),
        |got, r, at| {
            let want: Rows = (0..40)
                .map(|n| Joined {
                    id: n,
                    parts: (0..3).map(|i| Some(i * 1_000 + some(n))).collect(),
                    complete: true,
                })
                .collect();
            assert_eq!(got, want, "{at}");
            assert_eq!(dropped(r, "j", "incomplete"), 261, "{at}");
        },
    );
    // By id, each flow misses some: what is missing is known at the end.
    let parts = |i: u64, n: u64| (n % (i + 2) != 1).then_some(n);
    joined(
        [300; 3],
        parts,
        || Join::by_id(|x| *x, JoinStrategy::Quorum(2)).partial(),
        |mut got, r, at| {
            got.sort_unstable();
            let there = |n: u64| (0..3).filter(|i| parts(*i, n).is_some()).count();
            let known: Vec<u64> = (0..300).filter(|n| there(*n) > 0).collect();
            assert_eq!(got.iter().map(|j| j.id).collect::<Vec<_>>(), known, "{at}");
            for j in &got {
                assert_eq!(j.complete, there(j.id) >= 2, "{at}: {j:?}");
                assert_eq!(j.parts.iter().flatten().count(), there(j.id).min(2), "{at}");
            }
            let late: u64 = (0..300).map(|n| there(n).saturating_sub(2) as u64).sum();
            assert_eq!(dropped(r, "j", "superseded"), late, "{at}");
        },
    );
    // The first wins: one of each id, and the others are counted.
    joined(
        [200; 3],
        |_, n| Some(n),
        || Join::by_id(|x| *x, JoinStrategy::FirstWins),
        |mut got, r, at| {
            got.sort_unstable_by_key(|j| j.id);
            assert_eq!(
                got.iter().map(|j| j.id).collect::<Vec<_>>(),
                (0..200).collect::<Vec<_>>(),
                "{at}"
            );
            assert!(got.iter().all(|j| j.parts.iter().flatten().count() == 1), "{at}");
            assert_eq!(dropped(r, "j", "superseded"), 400, "{at}");
        },
    );
    // One's own: the first flow and any other.
    let own = || {
        JoinStrategy::custom(|parts: &[Option<u64>]| {
            parts[0].is_some() && parts.iter().flatten().count() > 1
        })
    };
    joined(
        [100; 3],
        |_, n| Some(n),
        || Join::by_place(own()),
        |got, r, at| {
            assert_eq!(got.len(), 100, "{at}");
            assert!(got.iter().all(|j| j.parts[0] == Some(j.id)), "{at}");
            let used: usize = got.iter().map(|j| j.parts.iter().flatten().count()).sum();
            assert_eq!(used as u64 + dropped(r, "j", "superseded"), 300, "{at}");
        },
    );
}

/// Branches of one source are joined by sequence number; what a branch dropped is known by the
/// number behind it, at once and without patience, whatever the batches.
#[test]
fn b024_branches_that_drop_rows_are_joined_by_number() {
    everywhere(
        || {
            let (collect, got) = sink::collect();
            let flows = Pipeline::new().source("in", source::iter(0..4_000_u64)).broadcast("b", 2);
            let [left, right] = <[_; 2]>::try_from(flows).unwrap();
            let left = left.map_rows("left", |x: &u64| *x);
            let right = right.map_rows("right", |x: &u64| x * 2).filter("some", |x| x % 3 == 0);
            let join = Join::by_seq(JoinStrategy::AllComplete).partial().hold(Hold::rows(8));
            let end = left.join("j", right, join).sink("out", collect);
            (end, got)
        },
        |report, got, at| {
            completed(&report, at);
            let want: Rows = (0..4_000)
                .map(|n| {
                    let both = n % 3 == 0;
                    Joined { id: n, parts: vec![Some(n), both.then_some(2 * n)], complete: both }
                })
                .collect();
            assert_eq!(got.take(), want, "{at}");
        },
    );
}

/// Row 323: after the timeout an id goes out with what is there.
#[test]
fn a_join_may_time_out() {
    everywhere(
        || {
            let shelf = Shelf::default();
            let p = Pipeline::new();
            let lines = |rows: Vec<u64>, until: u64| {
                use flux_io_testkit::doubles::{Line, ScriptSource};
                let wait = [Line::Cut, Line::Until(flux_io::core::Moment(until))];
                ScriptSource::new(rows.into_iter().map(Line::Row).chain(wait).collect::<Vec<_>>())
            };
            // Both sources stay quiet, not ended, for longer than the timeout.
            let a = p.source("a", lines(vec![1, 2, 3], 60_000_000));
            let b = p.source("b", lines(vec![2], 60_000_000));
            let strategy = JoinStrategy::Timeout(Duration::from_millis(20));
            let join = Join::by_id(|x: &u64| *x, strategy);
            let end = a.join("j", b, join).sink("out", Lazy(shelf.clone(), 0));
            (end, shelf)
        },
        |report, shelf, at| {
            completed(&report, at);
            let mut rows = shelf.take();
            rows.sort_unstable();
            let one = |id: u64, complete: bool| Joined {
                id,
                parts: vec![Some(id), complete.then_some(id)],
                complete,
            };
            assert_eq!(rows, [one(1, false), one(2, true), one(3, false)], "{at}");
        },
    );
}

/// A panic in a closure of a join costs the row it was asked about, and is told of that row.
#[test]
fn a_panic_in_a_join_costs_its_row() {
    everywhere(
        || {
            let (dead, letters) = sink::collect::<ErrorRecord>();
            let (collect, got) = sink::collect();
            let p = Pipeline::new().dead_letters("dead", dead);
            let id = |x: &u64| {
                assert!(*x != 1_013, "poison");
                x % 1_000
            };
            let a = p.source("a", source::iter(0..50_u64));
            let b = p.source("b", source::iter(1_000..1_050_u64));
            let joined = a.join("j", b, Join::by_id(id, JoinStrategy::AllComplete));
            let _ = joined.on_error(OnError::DeadLetter).sink("out", collect);
            (p, (got, letters))
        },
        |report, (got, letters), at| {
            completed(&report, at);
            assert_eq!(got.take().len(), 49, "{at}");
            let letters = letters.take();
            assert_eq!(letters.len(), 1, "{at}");
            assert_eq!((letters[0].cause, letters[0].seq), (DeadCause::Panicked, 13), "{at}");
            assert_eq!(dropped(&report, "j", "incomplete"), 1, "{at}");
        },
    );
}
