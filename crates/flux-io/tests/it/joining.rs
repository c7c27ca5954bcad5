//! Laws of joins: equal multisets, equal order where one is promised, bounded, on every engine.

use crate::graphs::{Tape, completed, everywhere, promises_hold, timed};
use flux_io::flow::Pipeline;
use flux_io::prelude::{sink, source};
use flux_io_testkit::doubles::Shelf;

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
            assert_eq!(
                seen.iter().filter(|s| matches!(s, crate::graphs::Seen::Row(..))).count(),
                500
            );
        },
    );
}
