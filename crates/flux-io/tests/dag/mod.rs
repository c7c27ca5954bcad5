//! One plan with every kind of branch and join, and what it must give: for runs of the same plan on
//! different engines, batch sizes and schedules.
//!
//! ```text
//! source ─ route ┬ thirds ───────────── event_time ─┐
//!                ├ fan-out ┬ square ┬ combine ───────┤ merge_by_seq ─ split ┬ even ┐
//!                │         └ text   ┘                │                      └ odd  ┴ merge_by_time ─ sink
//!                └ rest ─ filter ────────────────────┘
//! ```

use flux_io::flow::{Ended, Hold, InOrder, Pipeline, Unrouted};
use flux_io::prelude::{Timestamp, sink, source};

/// A number, and what its branch made of it.
pub(crate) type Row = (u64, u64);

/// Which branch a number takes.
fn branch(x: u64) -> Option<usize> {
    match x % 7 {
        6 => None,
        0 | 3 => Some(0),
        1 | 2 => Some(1),
        _ => Some(2),
    }
}

/// The plan over `0..n`, and where its rows will be.
pub(crate) fn dag(n: u64) -> (Ended<'static>, sink::Collected<Row>) {
    let (collect, got) = sink::collect();
    let p = Pipeline::new();
    let time = |r: &Row| Timestamp(r.0 as i64);
    let mut flows =
        p.source("numbers", source::iter(0..n)).route("third", 3, Unrouted::Drop, |x| branch(*x));
    let (rest, pair, thirds) = (flows.remove(2), flows.remove(1), flows.remove(0));
    let thirds = thirds.map("thirds", |x| (x, x / 3)).parallel(2);
    let pair = pair
        .fan_out(
            "pair",
            |l| l.map_rows("square", |x: &u64| x * x),
            |r| r.map_rows("text", |x: &u64| x.to_string()),
        )
        .combine("both", |square, text| (text.parse().unwrap_or(0), square));
    let rest = rest.filter("some", |x| x % 5 != 0).map("negative", |x| (x, u64::MAX - x));
    let (even, odd) = thirds
        .merge_by_seq("in order", (pair, rest), InOrder::default())
        .event_time("time", time)
        .split("even", |r| r.0 % 2 == 0);
    let end = even
        .map("even half", |r| (r.0, r.1 / 2))
        .merge_by_time("by time", odd, Hold::rows(64))
        .sink("out", collect);
    (end, got)
}

/// What it gives, in this order.
pub(crate) fn expected(n: u64) -> Vec<Row> {
    let made = |x: u64| match branch(x)? {
        0 => Some(x / 3),
        1 => Some(x * x),
        _ => (!x.is_multiple_of(5)).then_some(u64::MAX - x),
    };
    let half = |x: u64, y: u64| if x.is_multiple_of(2) { y / 2 } else { y };
    (0..n).filter_map(|x| Some((x, half(x, made(x)?)))).collect()
}
