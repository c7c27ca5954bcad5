//! Watermark positions through fused segments: what comes out does not depend on where batches
//! were cut.
#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use crate::kit::{Flow, Seen, batches, canonical, segment};
use flux_io_core::{OnError, RowError, Timestamp};
use proptest::prelude::*;

type Rows = Vec<(u8, Timestamp, Option<Timestamp>)>;

fn any_rows() -> impl Strategy<Value = Rows> {
    let row = (any::<u8>(), 0..50i64, proptest::option::of(1..20i64));
    proptest::collection::vec(row, 0..60).prop_map(|rows| {
        let mut w = 0;
        let advance = |(x, t, step): (u8, i64, Option<i64>)| {
            let mark = step.map(|s| {
                w += s;
                Timestamp(w)
            });
            (x, Timestamp(t), mark)
        };
        rows.into_iter().map(advance).collect()
    })
}

/// What must come out, row by row.
fn reference<T>(rows: &Rows, each: impl Fn(u8) -> Vec<T>) -> Vec<Seen<T>> {
    let mut out = Vec::new();
    for (seq, (x, time, mark)) in rows.iter().enumerate() {
        for value in each(*x) {
            out.push(Seen::Row { value, seq: seq as u64, time: *time });
        }
        out.extend(mark.map(Seen::Mark));
    }
    out
}

fn run<T: Clone + Send + 'static>(
    rows: &Rows,
    sizes: &[usize],
    max_rows: usize,
    words: impl FnOnce(Flow<Vec<u8>>) -> Flow<Vec<T>>,
) -> Vec<Seen<T>> {
    let mut s = segment(max_rows, words);
    for b in batches(rows, sizes) {
        s.feed(b).expect("no fault");
    }
    s.end().expect("no fault");
    canonical(&s.stage.seen)
}

proptest! {
    #![proptest_config(crate::kit::cases(200))]

    #[test]
    fn a_filter_keeps_marks_between_its_rows(
        rows in any_rows(), sizes in proptest::collection::vec(1..20usize, 1..5), max in 1..30usize,
    ) {
        let got = run(&rows, &sizes, max, |f| f.filter("odd", |x| x % 2 == 1).fusion_barrier());
        let want = reference(&rows, |x| if x % 2 == 1 { vec![x] } else { vec![] });
        prop_assert_eq!(got, canonical(&want));
    }

    #[test]
    fn a_flat_map_keeps_marks_behind_its_rows(
        rows in any_rows(), sizes in proptest::collection::vec(1..20usize, 1..5), max in 1..30usize,
    ) {
        let spread = |x: u8| (0..x % 5).map(move |y| u32::from(x) * 8 + u32::from(y));
        let got = run(&rows, &sizes, max, move |f| f.flat_map("spread", spread).fusion_barrier());
        // Rows that are made are numbered where they are made.
        let mut want = reference(&rows, |x| spread(x).collect());
        let made = want.iter_mut().filter_map(|s| match s {
            Seen::Row { seq, .. } => Some(seq),
            _ => None,
        });
        made.zip(0..).for_each(|(seq, n)| *seq = n);
        prop_assert_eq!(got, canonical(&want));
    }

    #[test]
    fn flat_map_rows_is_flat_map(
        rows in any_rows(), sizes in proptest::collection::vec(1..20usize, 1..5), max in 1..30usize,
    ) {
        let spread = |x: u8| (0..x % 5).map(move |y| u32::from(x) * 8 + u32::from(y));
        let got = run(&rows, &sizes, max, move |f| {
            f.flat_map_rows("spread", move |x: &u8, out: &mut Vec<u32>| {
                out.extend(spread(*x));
                assert!(x % 11 != 7, "what was appended goes");
            })
            .on_error(OnError::Skip)
        });
        let whole = move |x: u8| spread(if x % 11 == 7 { 0 } else { x });
        let want = run(&rows, &sizes, max, move |f| f.flat_map("spread", whole).fusion_barrier());
        prop_assert_eq!(got, want);
    }

    /// Rows that fail go; marks, times and numbers of the others stay.
    #[test]
    fn lost_rows_move_no_mark(
        rows in any_rows(), sizes in proptest::collection::vec(1..20usize, 1..5), max in 1..30usize,
    ) {
        let got = run(&rows, &sizes, max, |f| {
            f.map("panic", |x| {
                assert!(x % 7 != 3, "seven");
                x
            })
            .on_error(OnError::Skip)
            .try_map("fail", |x| if x % 5 == 2 { Err(RowError::poison("five")) } else { Ok(*x) })
            .on_error(OnError::Skip)
            .fusion_barrier()
        });
        let want = reference(&rows, |x| if x % 7 == 3 || x % 5 == 2 { vec![] } else { vec![x] });
        prop_assert_eq!(got, canonical(&want));
    }

    #[test]
    fn filter_rows_keeps_marks(
        rows in any_rows(), sizes in proptest::collection::vec(1..20usize, 1..5),
    ) {
        let got = run(&rows, &sizes, 1024, |f| f.filter_rows("odd", |x| x % 2 == 1));
        let want = reference(&rows, |x| if x % 2 == 1 { vec![x] } else { vec![] });
        prop_assert_eq!(got, canonical(&want));
    }

    #[test]
    fn batching_changes_no_mark_and_no_row(
        rows in any_rows(), sizes in proptest::collection::vec(1..20usize, 1..5), n in 1..25usize,
    ) {
        let mut s = segment(1024, |f: Flow<Vec<u8>>| {
            f.batch("batch", flux_io_flow::Batching::Fixed(n))
        });
        for b in batches(&rows, &sizes) {
            s.feed(b).expect("no fault");
        }
        s.end().expect("no fault");
        prop_assert_eq!(canonical(&s.stage.seen), canonical(&reference(&rows, |x| vec![x])));
        let (last, full) = s.stage.sizes.split_last().map_or((0, &[][..]), |(l, f)| (*l, f));
        prop_assert!(full.iter().all(|s| *s == n) && last <= n, "{:?}", s.stage.sizes);
    }
}

/// Without marks, times or demand a filter joins batches, so they do not shrink behind it.
#[test]
fn selective_segments_give_full_batches() {
    let mut s = segment(100, |f: Flow<Vec<u64>>| f.filter("few", |x| x % 10 == 0).fusion_barrier());
    for k in 0..50u64 {
        s.stage.hold = true;
        s.feed(crate::kit::rows(100 * k, (100 * k..100 * (k + 1)).collect::<Vec<_>>()))
            .expect("no fault");
    }
    s.stage.hold = false;
    s.end().expect("no fault");
    assert_eq!(s.stage.sizes, [100; 5]);
}

/// With demand, sequence numbers are exact behind a filter.
#[test]
fn sequence_numbers_are_exact_where_they_are_needed() {
    let seqs = |needed: bool| {
        let mut s = segment(100, move |f: Flow<Vec<u64>>| {
            let f = f.filter("odd", |x| x % 2 == 1).fusion_barrier();
            f.map("next", |x| x).hint(|h| h.exact_seq = needed).fusion_barrier()
        });
        s.feed(crate::kit::rows(10, (0..6u64).collect::<Vec<_>>())).expect("no fault");
        s.stage.seqs()
    };
    assert_eq!(seqs(true), [11, 13, 15]);
    assert_ne!(seqs(false), [11, 13, 15], "tracking without demand costs time");
}
