//! Laws of branches: every row goes exactly where it belongs, on every engine, at every batch size.

use crate::graphs::{Lazy, Seen, Tape, completed, dropped, everywhere, promises_hold, timed};
use flux_io::core::{DeadCause, Ended, OnError, Timestamp};
use flux_io::flow::{Pipeline, Unrouted};
use flux_io::prelude::{ErrorRecord, sink, source};
use flux_io_testkit::doubles::Shelf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows 62, 319: `split` gives each row to one side, in order.
#[test]
fn a_split_is_a_partition() {
    everywhere(
        || {
            let (yes, a) = sink::collect();
            let (no, b) = sink::collect();
            let rows = source::iter(0..3_000_u64);
            let (y, n) = Pipeline::new().source("in", rows).split("three", |x| x % 3 == 0);
            let end = y.map("y", |x| x).sink("yes", yes).and(n.sink("no", no));
            (end, (a, b))
        },
        |report, (a, b), at| {
            completed(&report, at);
            let (yes, no): (Vec<u64>, Vec<u64>) = (0..3_000).partition(|x| x % 3 == 0);
            assert_eq!((a.take(), b.take()), (yes, no), "{at}");
        },
    );
}

/// Row 323: the content router, and what has no route is counted, becomes a dead letter, is a flow
/// of its own, or fails the run; it never vanishes.
#[test]
fn rows_without_a_route_are_accounted_for() {
    let to = |x: &u64| if x % 10 == 9 { None } else { Some((*x % 10) as usize) };
    let expected = |r: usize| (0..1_000).filter(|x| x % 10 == r as u64).collect::<Vec<u64>>();
    for unrouted in [Unrouted::Drop, Unrouted::DeadLetter, Unrouted::Fail] {
        everywhere(
            || {
                let (dead, letters) = sink::collect::<ErrorRecord>();
                let pipeline = Pipeline::new().dead_letters("dead", dead);
                let flows =
                    pipeline.source("in", source::iter(0..1_000_u64)).route("to", 4, unrouted, to);
                let shelves: Vec<_> = (0..4)
                    .zip(flows)
                    .map(|(i, flow)| {
                        let (sink, got) = sink::collect();
                        let _ = flow.sink(&format!("out {i}"), sink);
                        got
                    })
                    .collect();
                (pipeline, (shelves, letters))
            },
            |report, (shelves, letters), at| {
                if unrouted == Unrouted::Fail {
                    assert_eq!(report.ended, Ended::Failed, "{at}");
                    let failure = report.failure.unwrap();
                    assert_eq!(failure.stage, "to");
                    assert!(failure.error.what.contains("row 4 of"), "{failure}");
                    return;
                }
                completed(&report, at);
                for (r, shelf) in shelves.iter().enumerate() {
                    assert_eq!(shelf.take(), expected(r), "{at}");
                }
                let lost = dropped(&report, "to", "unrouted");
                let letters = letters.take();
                if unrouted == Unrouted::Drop {
                    assert_eq!((lost, letters.len()), (600, 0), "{at}");
                    return;
                }
                assert_eq!(lost, 0, "{at}");
                let seqs: Vec<u64> = letters.iter().map(|l| l.seq).collect();
                let want: Vec<u64> = (0..1_000).filter(|x| x % 10 >= 4).collect();
                assert_eq!(seqs, want, "{at}");
                for l in letters {
                    assert_eq!((l.cause, l.stage_name.as_str()), (DeadCause::Invalid, "to"));
                    assert_eq!(l.original.downcast::<Vec<u64>>().unwrap(), [l.seq], "{at}");
                }
            },
        );
    }
    everywhere(
        || {
            let (one, a) = sink::collect();
            let (rest, b) = sink::collect();
            let (mut flows, other) =
                Pipeline::new().source("in", source::iter(0..1_000_u64)).route_or("to", 1, to);
            let end = flows.remove(0).sink("one", one).and(other.sink("rest", rest));
            (end, (a, b))
        },
        |report, (a, b), at| {
            completed(&report, at);
            assert_eq!(a.take(), expected(0), "{at}");
            assert_eq!(b.take(), (0..1_000).filter(|x| x % 10 != 0).collect::<Vec<u64>>());
        },
    );
}

/// Row 323: routes by key.
#[test]
fn a_route_by_key_has_a_flow_for_each_key() {
    everywhere(
        || {
            let pipeline = Pipeline::new();
            let words = ["red", "green", "blue", "red", "", "green", "red"];
            let flows = pipeline.source("in", source::iter(words.map(str::to_owned))).route_by_key(
                "colour",
                ["red", "green"],
                Unrouted::Drop,
                |w: &String| ["red", "green", "blue"].into_iter().find(|k| k == w),
            );
            let shelves: Vec<_> = ["r", "g"]
                .into_iter()
                .zip(flows)
                .map(|(name, flow)| {
                    let (sink, got) = sink::collect();
                    let _ = flow.sink(name, sink);
                    got
                })
                .collect();
            (pipeline, shelves)
        },
        |report, shelves, at| {
            completed(&report, at);
            let counts: Vec<usize> = shelves.iter().map(|s| s.take().len()).collect();
            assert_eq!(counts, [3, 2], "{at}");
            assert_eq!(dropped(&report, "colour", "unrouted"), 2, "{at}");
        },
    );
}

/// A panic in the closure costs the row it panicked on, and is told of that row.
#[test]
fn a_panic_in_a_split_costs_its_row() {
    everywhere(
        || {
            let (dead, letters) = sink::collect::<ErrorRecord>();
            let pipeline = Pipeline::new().dead_letters("dead", dead);
            let (yes, no) = pipeline.source("in", source::iter(0..500_u64)).split("even", |x| {
                assert!(x % 100 != 50, "poison");
                x % 2 == 0
            });
            let (even, a) = sink::collect();
            let (odd, b) = sink::collect();
            let yes = yes.on_error(OnError::DeadLetter);
            let _ = yes.sink("even out", even).and(no.sink("odd out", odd));
            (pipeline, (a, b, letters))
        },
        |report, (a, b, letters), at| {
            completed(&report, at);
            let letters = letters.take();
            let seqs: Vec<u64> = letters.iter().map(|l| l.seq).collect();
            assert_eq!(seqs, [50, 150, 250, 350, 450], "{at}");
            assert!(letters.iter().all(|l| l.cause == DeadCause::Panicked && l.what == "poison"));
            assert_eq!((a.take().len(), b.take().len()), (245, 250), "{at}");
        },
    );
}

/// Both sides of a split learn every watermark at its place between their own rows.
#[test]
fn a_split_keeps_watermarks() {
    everywhere(
        || {
            let (a, b) = (Shelf::default(), Shelf::default());
            let rows = (0..400).map(|i| (i, i as i64 * 10 - (i as i64 % 3) * 15));
            let (yes, no) =
                Pipeline::new().source("in", timed(rows, 30)).split("s", |x| x % 7 == 0);
            let end = yes
                .stage("left", Tape(a.clone()))
                .discard("l")
                .and(no.stage("right", Tape(b.clone())).discard("r"));
            (end, (a, b))
        },
        |report, (a, b), at| {
            completed(&report, at);
            for seen in [a.take(), b.take()] {
                promises_hold(&seen, at);
                let last = seen.iter().rev().find_map(|s| match s {
                    Seen::Mark(w) => Some(*w),
                    Seen::Row(..) => None,
                });
                assert_eq!(last, Some(Timestamp(3_990 - 31)), "{at}");
            }
        },
    );
}

/// A row that counts its clones.
#[derive(Debug)]
struct Counted(u64, Arc<AtomicU64>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.1.fetch_add(1, Ordering::Relaxed);
        Self(self.0, Arc::clone(&self.1))
    }
}

/// Row 319 (multicast): all flows see the same rows in the same order, and no row is copied.
#[test]
fn b067_a_broadcast_shares_and_never_copies() {
    everywhere(
        || {
            let pipeline = Pipeline::new();
            let clones = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&clones);
            let flows = pipeline
                .source("in", source::iter(0..2_000_u64))
                .map("make", move |x| Counted(x, Arc::clone(&count)))
                .broadcast("all", 3);
            let shelves: Vec<_> = (0..3)
                .zip(flows)
                .map(|(i, flow)| {
                    let (sink, got) = sink::collect();
                    let flow = flow.filter_rows(&format!("keep {i}"), move |r: &Counted| {
                        i == 0 || r.0.is_multiple_of(2)
                    });
                    // The address tells whether two flows saw the very same row.
                    let place = |r: &Counted| (r.0, std::ptr::from_ref(r).addr());
                    let _ = flow.map_rows(&format!("see {i}"), place).sink(&format!("o {i}"), sink);
                    got
                })
                .collect();
            (pipeline, (shelves, clones))
        },
        |report, (shelves, clones), at| {
            completed(&report, at);
            assert_eq!(clones.load(Ordering::Relaxed), 0, "{at}");
            let all: Vec<Vec<(u64, usize)>> = shelves.iter().map(|s| s.take()).collect();
            let numbers = |v: &[(u64, usize)]| v.iter().map(|x| x.0).collect::<Vec<_>>();
            assert_eq!(numbers(&all[0]), (0..2_000).collect::<Vec<_>>(), "{at}");
            let even: Vec<_> = all[0].iter().filter(|x| x.0 % 2 == 0).copied().collect();
            assert_eq!((&all[1], &all[2]), (&even, &even), "{at}: the same rows in memory");
        },
    );
}

/// The slowest flow of a broadcast sets the pace: no edge is over its bound, and the others are
/// ahead by no more than the documented batches.
#[test]
fn a_slow_branch_holds_a_fast_one() {
    const EDGE: usize = 2;
    everywhere(
        || {
            let pipeline = Pipeline::new().default_buffer(EDGE, flux_io::core::WhenFull::Block);
            let ahead = Arc::new((AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)));
            let (fast, slow) = (Arc::clone(&ahead), Arc::clone(&ahead));
            let [a, b] = <[_; 2]>::try_from(
                pipeline.source("in", source::iter(0..4_000_u64)).broadcast("all", 2),
            )
            .unwrap();
            let _ = a.map_rows("fast", |x: &u64| *x).for_each("fast out", move |_| {
                let n = fast.0.fetch_add(1, Ordering::SeqCst) + 1;
                let behind = fast.1.load(Ordering::SeqCst);
                fast.2.fetch_max(n.saturating_sub(behind), Ordering::SeqCst);
            });
            let shelf = Shelf::default();
            let _ = b
                .map_rows("slow", move |x: &u64| {
                    slow.1.fetch_add(1, Ordering::SeqCst);
                    *x
                })
                .sink("slow out", Lazy(shelf.clone(), 3));
            (pipeline, (ahead, shelf))
        },
        |report, (ahead, shelf), at| {
            completed(&report, at);
            assert_eq!(shelf.take(), (0..4_000).collect::<Vec<_>>(), "{at}");
            let batch: u64 = at.split(' ').nth(1).and_then(|b| b.parse().ok()).unwrap();
            let most = ahead.2.load(Ordering::SeqCst);
            assert!(most <= batch * (EDGE as u64 + 3), "{at}: {most} rows ahead");
        },
    );
}
