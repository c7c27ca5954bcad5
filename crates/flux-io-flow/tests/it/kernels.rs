//! Laws K1 to K6 of fused segments, and their counters.

use crate::kit::{Flow, rows, segment};
use flux_io_core::{
    ByteColumn, Counts, DeadCause, GiveUp, Moment, OnError, Original, RangeColumn, Retry, RowError,
    StageError,
};
use flux_io_flow::Pipeline;
use std::time::Duration;

fn counts(rows_in: u64, rows_out: u64, failed: u64) -> Counts {
    Counts { rows_in, rows_out, failed }
}

/// Rows 99, 269.
#[test]
fn words_compose_and_count_exactly() {
    let mut s = segment(1024, |f: Flow<Vec<u64>>| {
        f.map("double", |x: u64| 2 * x)
            .filter("third", |x| x % 3 == 0)
            .flat_map("twice", |x| [x, x + 1])
            .filter_map("even", |x| (x % 2 == 0).then(|| x.to_string()))
            .inspect("look", |x| assert!(!x.is_empty()))
            .fusion_barrier()
    });
    s.feed(rows(0, (0..10u64).collect::<Vec<_>>())).expect("no fault");
    let mut want = vec![];
    for x in (0..10u64).map(|x| 2 * x).filter(|x| x % 3 == 0) {
        want.extend([x, x + 1].into_iter().filter(|x| x % 2 == 0).map(|x| x.to_string()));
    }
    assert_eq!(s.stage.values(), want);
    let n = want.len() as u64;
    let all =
        [counts(10, 10, 0), counts(10, 4, 0), counts(4, 8, 0), counts(8, n, 0), counts(n, n, 0)];
    assert_eq!(s.stage.counts(), all);
}

/// Law K1, K2, K4: a panic costs its row, is blamed on its operator, and nothing else is lost.
#[test]
fn a_panic_costs_exactly_its_row() {
    let mut s = segment(1024, |f: Flow<Vec<u64>>| {
        f.map("one", |x: u64| x)
            .filter("two", |x| {
                assert!(*x != 4, "four");
                true
            })
            .map("three", |x| {
                assert!(x % 7 != 6, "six");
                x
            })
            .on_error(OnError::DeadLetter)
            .fusion_barrier()
    });
    // The filter's policy is Skip, the map's is DeadLetter.
    drop(s);
    s = segment(1024, |f: Flow<Vec<u64>>| {
        f.map("one", |x: u64| x)
            .filter("two", |x| {
                assert!(*x != 4, "four");
                true
            })
            .on_error(OnError::Skip)
            .map("three", |x| {
                assert!(x % 7 != 6, "six");
                x
            })
            .on_error(OnError::DeadLetter)
            .fusion_barrier()
    });
    s.feed(rows(100, (0..20u64).collect::<Vec<_>>())).expect("no fault");
    let want: Vec<u64> = (0..20).filter(|x| *x != 4 && x % 7 != 6).collect();
    assert_eq!(s.stage.values(), want);
    assert_eq!(s.take_dropped(), [("skip", 1)]);
    let dead = s.take_dead();
    let seen: Vec<_> = dead.iter().map(|d| (d.stage_name.as_str(), d.seq, d.cause)).collect();
    assert_eq!(seen, [("three", 106, DeadCause::Panicked), ("three", 113, DeadCause::Panicked)]);
    assert_eq!(dead[0].what, "six");
    assert_eq!(s.stage.counts(), [counts(20, 20, 0), counts(20, 19, 1), counts(19, 17, 2)]);
}

/// Law K6: under Fail the loop stops at the first failing row and names it.
#[test]
fn fail_names_the_first_failing_row() {
    let mut s = segment(1024, |f: Flow<Vec<u64>>| {
        f.map("one", |x: u64| x)
            .try_map("odd", |x| if x % 5 == 3 { Err(RowError::poison("three")) } else { Ok(*x) })
            .fusion_barrier()
    });
    let e = s.feed(rows(10, (0..20u64).collect::<Vec<_>>())).expect_err("a failing row");
    assert_eq!(e.to_string(), "operator `odd` failed at row 13 of source 0: three");
    assert_eq!(s.stage.counts(), [counts(4, 4, 0), counts(4, 3, 1)]);
}

#[test]
fn fail_names_the_operator_that_panicked() {
    let mut s = segment(1024, |f: Flow<Vec<u64>>| {
        f.map("one", |x: u64| x)
            .map("two", |x| {
                assert!(x != 2, "two it is");
                x
            })
            .fusion_barrier()
    });
    let e: StageError = s.feed(rows(0, vec![0, 1, 2, 3])).expect_err("a panic");
    assert_eq!(e.to_string(), "operator `two` panicked at row 2 of source 0: two it is");
}

fn patient(attempts: u32, then: GiveUp) -> OnError {
    let retry = Retry { attempts, jitter_percent: 0, ..Retry::default() };
    OnError::Retry { retry, then }
}

/// A transient failure is tried again after its wait; rows already out are not run again.
#[test]
fn retry_waits_and_repeats_one_row_only() {
    let mut calls = vec![];
    let mut left = 2;
    let mut s = segment(1024, move |f: Flow<Vec<u64>>| {
        f.try_map("call", move |x: &u64| {
            calls.push(*x);
            if *x == 3 && left > 0 {
                left -= 1;
                return Err(RowError::transient("busy"));
            }
            Ok((*x, calls.len()))
        })
        .on_error(patient(4, GiveUp::Fail))
        .fusion_barrier()
    });
    s.feed(rows(0, (0..6u64).collect::<Vec<_>>())).expect("in the end it goes");
    assert_eq!(s.stage.values(), [(0, 1), (1, 2), (2, 3), (3, 6), (4, 7), (5, 8)]);
    assert_eq!(s.stage.seqs(), [0, 1, 2, 3, 4, 5]);
    // 100 ms, then 200 ms.
    assert_eq!(s.now(), Moment(300_000_000));
}

#[test]
fn retry_gives_up_by_its_last_word() {
    let fed = |then| {
        let mut s = segment(1024, move |f: Flow<Vec<u64>>| {
            f.try_map("call", |x: &u64| match x {
                1 => Err(RowError::transient("busy")),
                2 => Err(RowError::poison("bad")),
                x => Ok(*x),
            })
            .on_error(patient(3, then))
            .fusion_barrier()
        });
        let r = s.feed(rows(0, vec![0, 1, 2, 3]));
        (
            r.map(|_| ()).map_err(|e| e.to_string()),
            s.stage.values(),
            s.take_dead(),
            s.take_dropped(),
        )
    };
    let (r, values, dead, dropped) = fed(GiveUp::DeadLetter);
    assert_eq!((r, values, dropped), (Ok(()), vec![0, 3], vec![]));
    let tries: Vec<_> = dead.iter().map(|d| (d.seq, d.attempts, d.cause)).collect();
    assert_eq!(tries, [(1, 3, DeadCause::Failed), (2, 1, DeadCause::Poison)]);
    let original = dead.into_iter().next().and_then(|d| d.original.downcast::<u64>().ok());
    assert_eq!(original, Some(1));
    let (r, values, _, dropped) = fed(GiveUp::Skip);
    assert_eq!((r, values, dropped), (Ok(()), vec![0, 3], vec![("skip", 2)]));
    let (r, ..) = fed(GiveUp::Fail);
    let text = "operator `call` failed at row 1 of source 0 after 3 attempts: busy";
    assert_eq!(r, Err(text.to_owned()));
}

/// A row waiting behind `flat_map` loses none of the items behind it.
#[test]
fn retry_behind_flat_map_keeps_the_order() {
    let mut failed = vec![];
    let mut s = segment(4, move |f: Flow<Vec<u64>>| {
        f.flat_map("spread", |x: u64| (0..x).map(move |y| 10 * x + y))
            .try_map("call", move |x| {
                if failed.contains(x) {
                    return Ok(*x);
                }
                failed.push(*x);
                Err(RowError::transient("once"))
            })
            .on_error(patient(2, GiveUp::Fail))
            .fusion_barrier()
    });
    s.feed(rows(0, (0..5u64).collect::<Vec<_>>())).expect("each goes at its second attempt");
    let want: Vec<u64> = (0..5).flat_map(|x| (0..x).map(move |y| 10 * x + y)).collect();
    assert_eq!(s.stage.values(), want);
}

/// A panic behind `flat_map` costs one item; one in the iterator costs the rest of that row.
#[test]
fn a_panic_behind_flat_map_costs_one_item() {
    let mut s = segment(4, |f: Flow<Vec<u64>>| {
        f.flat_map("spread", |x: u64| {
            (0..5u64).map(move |y| {
                assert!((x, y) != (2, 3), "iterator");
                10 * x + y
            })
        })
        .on_error(OnError::Skip)
        .map("look", |x| {
            assert!(x != 11, "item");
            x
        })
        .on_error(OnError::Skip)
        .fusion_barrier()
    });
    s.feed(rows(0, vec![1, 2, 3])).expect("skipped");
    let want = [10, 12, 13, 14, 20, 21, 22, 30, 31, 32, 33, 34];
    assert_eq!(s.stage.values(), want);
    assert_eq!(s.stage.counts(), [counts(3, 13, 1), counts(13, 12, 1)]);
    assert_eq!(s.take_dropped(), [("skip", 2)]);
}

/// Output is bounded however long an iterator is.
#[test]
fn a_long_iterator_has_bounded_output() {
    let mut s =
        segment(100, |f: Flow<Vec<u64>>| f.flat_map("many", |x: u64| 0..x).fusion_barrier());
    s.feed(rows(0, vec![10_000, 5, 1_000])).expect("no fault");
    assert_eq!(s.stage.values().len(), 11_005);
    assert!(s.stage.sizes.iter().all(|n| *n <= 100), "{:?}", s.stage.sizes);
    assert!(s.stage.most <= 2, "{}", s.stage.most);
}

/// Law K3: `try_map` keeps the row it borrowed, also when it panics.
#[test]
fn originals_are_kept_where_rows_are_borrowed() {
    let mut s = segment(1024, |f: Flow<Vec<String>>| {
        f.try_map("call", |x: &String| {
            assert!(x != "panic", "panicked");
            x.parse::<u64>()
        })
        .on_error(OnError::DeadLetter)
        .fusion_barrier()
    });
    let texts = ["1", "x", "2", "panic", "3"].map(str::to_owned).to_vec();
    s.feed(rows(0, texts)).expect("dead letters");
    assert_eq!(s.stage.values(), [1, 2, 3]);
    let dead = s.take_dead();
    let causes: Vec<_> = dead.iter().map(|d| (d.seq, d.cause)).collect();
    assert_eq!(causes, [(1, DeadCause::Failed), (3, DeadCause::Panicked)]);
    let texts: Vec<_> =
        dead.into_iter().filter_map(|d| d.original.downcast::<String>().ok()).collect();
    assert_eq!(texts, ["x", "panic"]);
}

/// Views: the dead letter of a byte row has its bytes, at most 256 KiB of them.
#[test]
fn originals_of_byte_rows_are_kept_and_cut() {
    let mut s = segment(1024, |f: Flow<ByteColumn>| {
        f.try_map_rows("parse", |row: &[u8]| {
            std::str::from_utf8(row)?.parse::<u64>().map_err(RowError::from)
        })
        .on_error(OnError::DeadLetter)
        .fusion_barrier()
    });
    let mut col = ByteColumn::default();
    col.push(b"17");
    col.push(&[b'x'; 300 * 1024]);
    col.push(b"18");
    s.feed(rows(0, col)).expect("dead letters");
    assert_eq!(s.stage.values(), [17, 18]);
    assert_eq!(s.stage.seqs(), [0, 2]);
    match &s.take_dead()[..] {
        [d] => match &d.original {
            Original::Bytes(b) => assert_eq!(b.len(), 256 * 1024),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_of_a_range_are_values() {
    let mut s = segment(1024, |f: Flow<RangeColumn>| {
        f.map("panic", |x: u64| {
            assert!(x != 13, "thirteen");
            x
        })
        .on_error(OnError::Skip)
        .fusion_barrier()
    });
    s.feed(rows(0, RangeColumn::new(10..15))).expect("skipped");
    assert_eq!(s.stage.values(), [10, 11, 12, 14]);
    assert_eq!(s.stage.seqs(), [0, 1, 2, 4]);
}

/// Segments of more than 32 operators are cut, and give what uncut ones give.
#[test]
fn a_segment_closes_at_32_operators() {
    macro_rules! maps {
        ($flow:expr; $($n:literal)*) => { $flow$(.map(concat!("m", $n), |x| x + 1))* };
    }
    let flow = Pipeline::new().source("source", crate::kit::nothing::<Vec<u64>>());
    let flow = maps!(flow; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27
        28 29 30 31 32 33 34 35);
    let plan = flow.discard("end").plan().expect("valid");
    let sizes: Vec<_> = plan.graph.nodes.iter().map(|n| n.operators.len()).collect();
    assert_eq!(sizes, [0, 32, 3, 0]);
    let name = plan.graph.nodes[1].name.clone();
    let mut s = crate::kit::probe::<Vec<u64>, u64>(plan, &name, 1024);
    s.feed(rows(0, vec![0])).expect("no fault");
    assert_eq!(s.stage.values(), [32]);
}

/// A validator refuses rows before they go on.
///
/// Row 260.
#[test]
fn a_validator_refuses_rows() {
    let positive = |x: &i64| {
        if *x > 0 { Ok(()) } else { Err(RowError::new(DeadCause::Invalid, "not positive")) }
    };
    let mut s = segment(1024, move |f: Flow<Vec<i64>>| {
        f.validate("positive", positive).on_error(OnError::DeadLetter).fusion_barrier()
    });
    s.feed(rows(0, vec![1, -2, 3])).expect("dead letter");
    assert_eq!(s.stage.values(), [1, 3]);
    let dead = s.take_dead();
    assert_eq!(
        (dead[0].seq, dead[0].cause, dead[0].what.as_str()),
        (1, DeadCause::Invalid, "not positive")
    );
    let mut s = segment(1024, move |f: Flow<Vec<i64>>| {
        f.validate_rows("positive", positive).on_error(OnError::Skip)
    });
    s.feed(rows(0, vec![1, -2, 3])).expect("dropped");
    assert_eq!((s.stage.values(), s.take_dropped()), (vec![1, 3], vec![("skip", 1)]));
}

#[test]
fn waits_are_bounded_by_the_longest() {
    let mut s = segment(16, |f: Flow<Vec<u64>>| {
        f.try_map("never", |_: &u64| Err::<u64, _>(RowError::transient("no")))
            .on_error(OnError::Retry {
                retry: Retry {
                    attempts: 6,
                    first: Duration::from_secs(1),
                    longest: Duration::from_secs(3),
                    jitter_percent: 0,
                    factor: 2,
                },
                then: GiveUp::Skip,
            })
            .fusion_barrier()
    });
    s.feed(rows(0, vec![1])).expect("skipped");
    // 1 + 2 + 3 + 3 + 3 seconds.
    assert_eq!(s.now(), Moment(12_000_000_000));
}
