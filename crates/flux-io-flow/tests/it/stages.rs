//! Stages that are not fused: event time, batching, keys.
#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use crate::kit::{Flow, Seen, canonical, nothing, probe, rows, segment};
use flux_io_core::{
    Batch, ByteColumn, ChannelOrdering, Control, DeadCause, Moment, OnError, Route, Stage,
    Timestamp, UNKEYED, hash_of,
};
use flux_io_flow::stages::Pass;
use flux_io_flow::{Batching, Keyed, Pipeline};
use proptest::prelude::*;
use std::time::Duration;

const MS: u64 = 1_000_000;

fn ms(n: u64) -> Moment {
    Moment(n * MS)
}

fn event_time(lag: u64) -> impl FnOnce(Flow<Vec<i64>>) -> Flow<Vec<i64>> {
    move |f| f.event_time("time", |x| Timestamp(*x)).lag(Duration::from_nanos(lag))
}

proptest! {
    #![proptest_config(crate::kit::cases(100))]

    /// Before each row: the greatest time so far, its own included, less the lag, less 1 ns, when it
    /// advances.
    #[test]
    fn watermarks_stand_before_the_rows_that_raise_them(
        times in proptest::collection::vec(-100..100i64, 0..40),
        cut in 1..10usize,
        lag in 0..50u64,
    ) {
        let mut s = segment(1024, event_time(lag));
        for (k, part) in times.chunks(cut).enumerate() {
            s.feed(rows((k * cut) as u64, part.to_vec())).expect("no fault");
        }
        let mut want = Vec::new();
        let mut greatest = i64::MIN;
        for (seq, t) in times.iter().enumerate() {
            greatest = greatest.max(*t);
            want.push(Seen::Mark(Timestamp(greatest - lag as i64 - 1)));
            want.push(Seen::Row { value: *t, seq: seq as u64, time: Timestamp(*t) });
        }
        prop_assert_eq!(canonical(&s.stage.seen), canonical(&want));
    }
}

/// Rule L-4: a quiet input says so, and its watermark goes on with the engine's clock.
#[test]
fn an_idle_input_advances_its_watermark() {
    let mut s = segment(1024, |f: Flow<Vec<i64>>| {
        f.event_time("time", |x| Timestamp(*x)).idle_after(Duration::from_millis(10))
    });
    s.feed(rows(0, vec![1_000])).expect("no fault");
    s.advance(ms(9)).expect("no fault");
    assert_eq!(s.stage.seen.len(), 2, "not idle yet: {:?}", s.stage.seen);
    s.advance(ms(25)).expect("no fault");
    let w = |n: i64| Seen::Mark(Timestamp(999 + n * MS as i64));
    let idle = Seen::Control(Control::Idle);
    assert_eq!(s.stage.seen[2..], [w(10), idle.clone(), w(20), idle]);
    // A row ends it; the next time is counted from there.
    s.feed(rows(1, vec![50_000_000])).expect("no fault");
    assert_eq!(s.deadline(), Some(ms(35)));
}

/// What was promised before rows got their times is of other times: it ends where they get them,
/// whether it comes with rows or alone.
#[test]
fn watermarks_from_before_end_at_event_time() {
    let mut s = segment(1024, event_time(0));
    s.watermark(Timestamp(1_000_000)).expect("no fault");
    assert_eq!(s.stage.seen, []);
    let mut batch = rows(0, vec![7]);
    batch.mark(Timestamp(2_000_000));
    s.feed(batch).expect("no fault");
    let row = Seen::Row { value: 7, seq: 0, time: Timestamp(7) };
    assert_eq!(s.stage.seen, [Seen::Mark(Timestamp(6)), row]);
}

#[test]
fn event_time_survives_a_snapshot() {
    let mut s = segment(1024, event_time(5));
    s.feed(rows(0, vec![100, 50])).expect("no fault");
    let bytes = s.stage.snapshot().expect("17 bytes");
    let mut t = segment(1024, event_time(5));
    t.stage.restore(&bytes).expect("the same stage");
    t.feed(rows(2, vec![100, 101])).expect("no fault");
    let mark = |s: &Seen<i64>| matches!(s, Seen::Mark(_));
    let marks: Vec<_> = t.stage.seen.iter().filter(|s| mark(s)).collect();
    assert_eq!(marks, [&Seen::Mark(Timestamp(95))]);
    assert!(t.stage.restore(&bytes[1..]).is_err());
}

fn batching(how: Batching) -> impl FnOnce(Flow<Vec<u64>>) -> Flow<Vec<u64>> {
    move |f| f.batch("batch", how)
}

/// Row 175.
#[test]
fn batches_are_cut_by_rows() {
    let sizes = |how| {
        let mut s = segment(1024, batching(how));
        s.feed(rows(0, (0..7).collect::<Vec<_>>())).expect("no fault");
        s.feed(rows(7, vec![7, 8])).expect("no fault");
        s.end().expect("no fault");
        assert_eq!(s.stage.values(), (0..9).collect::<Vec<_>>());
        assert_eq!(s.stage.seqs(), (0..9).collect::<Vec<_>>());
        s.stage.sizes.clone()
    };
    assert_eq!(sizes(Batching::Record), [1; 9]);
    assert_eq!(sizes(Batching::Fixed(4)), [4, 4, 1]);
    assert_eq!(sizes(Batching::Fixed(100)), [9]);
    let linger = Duration::from_millis(5);
    assert_eq!(sizes(Batching::Time(linger)), [9]);
    assert_eq!(sizes(Batching::Hybrid { rows: 5, linger }), [5, 4]);
}

/// Rows 175, 176: time is the engine's monotonic clock, and a quiet stream is flushed by it.
#[test]
fn b053_a_quiet_stream_is_flushed_by_its_timer() {
    let linger = Duration::from_millis(5);
    for how in [Batching::Time(linger), Batching::Hybrid { rows: 100, linger }] {
        let mut s = segment(1024, batching(how));
        s.advance(ms(3)).expect("no fault");
        s.feed(rows(0, vec![1, 2])).expect("no fault");
        s.advance(ms(6)).expect("no fault");
        s.feed(rows(2, vec![3])).expect("no fault");
        s.advance(ms(7)).expect("no fault");
        assert_eq!(s.stage.sizes, [0; 0], "the linger of the first row is not over");
        s.advance(ms(8)).expect("no fault");
        assert_eq!(s.stage.sizes, [3]);
        s.advance(ms(100)).expect("no fault");
        assert_eq!(s.stage.sizes, [3], "nothing is held, so nothing comes");
    }
}

/// A watermark from outside a batch does not overtake rows that are held.
#[test]
fn a_watermark_flushes_what_is_held() {
    let mut s = segment(1024, batching(Batching::Fixed(10)));
    s.feed(rows(0, vec![1, 2])).expect("no fault");
    s.watermark(Timestamp(5)).expect("no fault");
    let mark = Seen::Mark(Timestamp(5));
    assert_eq!((s.stage.sizes.as_slice(), s.stage.seen.last()), (&[2][..], Some(&mark)));
}

#[test]
fn a_batch_never_mixes_sources() {
    let mut s = segment(1024, batching(Batching::Fixed(4)));
    for (source, seq) in [(0, 0), (0, 3), (1, 0), (0, 6)] {
        let mut b: Batch<Vec<u64>> = rows(seq, vec![7, 8, 9]);
        b.meta.source = flux_io_core::SourceId(source);
        s.feed(b).expect("no fault");
    }
    s.end().expect("no fault");
    assert_eq!(s.stage.values().len(), 12);
    assert_eq!(s.stage.sizes, [4, 2, 3, 3]);
}

/// Row 176: a snapshot while rows are held is refused, not wrong.
#[test]
fn held_rows_refuse_a_snapshot() {
    let mut s = segment(1024, batching(Batching::Fixed(4)));
    assert!(s.stage.snapshot().is_ok());
    s.feed(rows(0, vec![1])).expect("no fault");
    assert!(s.stage.snapshot().is_err());
}

/// The key hashes that a `key_by` gives to rows, and the rows.
fn keyed<T: Clone + Send + 'static, K: Keyed<'static, Col = Vec<T>>>(
    on: impl FnOnce(Flow<Vec<T>>) -> K,
    col: Vec<T>,
) -> (Vec<u64>, Vec<T>, Vec<DeadCause>) {
    let flow = on(Pipeline::new().source("source", nothing::<Vec<T>>()));
    let plan = flow.keyed_stage("keyed", |_| {}, |_| Pass::<Vec<T>>::default()).discard("end");
    let mut s = probe::<Vec<T>, T>(plan.plan().expect("valid"), "key", 1024);
    s.feed(rows(0, col)).expect("no fault");
    let dead = s.take_dead().iter().map(|d| d.cause).collect();
    (s.stage.hashes.clone(), s.stage.values(), dead)
}

/// Row 50: the key of an edge ordered per key is a typed closure, hashed once, with the run's seed.
#[test]
fn b104_keys_are_typed_and_hashed() {
    let (h, ..) = keyed(|f| f.key_by("key", |x| x % 3), vec![1u64, 4, 5]);
    assert_eq!(h, [hash_of(&1u64, 0), hash_of(&1u64, 0), hash_of(&2u64, 0)]);
    let names = ["a", "b"].map(str::to_owned).to_vec();
    let (h, ..) = keyed(|f| f.key_by_str("key", |x: &String| x.as_str()), names.clone());
    assert_eq!(h, [hash_of("a", 0), hash_of("b", 0)]);
    let (h, ..) = keyed(|f| f.key_by_bytes("key", |x: &String| x.as_bytes()), names);
    assert_eq!(h, [hash_of(b"a".as_slice(), 0), hash_of(b"b".as_slice(), 0)]);
    let edge = Pipeline::new()
        .source("source", nothing::<ByteColumn>())
        .key_by_bytes("key", |row| &row[..1])
        .keyed_stage("keyed", |_| {}, |_| Pass::<ByteColumn>::default())
        .discard("end")
        .plan()
        .expect("valid");
    assert_eq!(edge.graph.edges[1].channel.ordering, ChannelOrdering::PartitionOrdered);
    assert_eq!(edge.graph.edges[1].channel.route, Route::Hash);
}

/// A row without a key is no panic: it is marked and goes on to the stage that counts it.
#[test]
fn b076_a_missing_key_is_marked() {
    let (h, rows, dead) = keyed(|f| f.try_key_by("key", |x| (*x > 1).then_some(*x)), vec![1u64, 2]);
    assert_eq!((h, rows), (vec![UNKEYED, hash_of(&2u64, 0)], vec![1, 2]));
    assert!(dead.is_empty());
}

#[test]
fn a_panic_in_a_key_costs_its_row() {
    let key = |x: &u64| {
        assert!(*x != 2, "two");
        *x
    };
    let on = |f: Flow<Vec<u64>>| f.key_by("key", key).on_error(OnError::DeadLetter);
    let (h, rows, dead) = keyed(on, vec![1, 2, 3]);
    assert_eq!((h, rows), (vec![hash_of(&1u64, 0), hash_of(&3u64, 0)], vec![1, 3]));
    assert_eq!(dead, [DeadCause::Panicked]);
}

/// Rows of few input batches join into a full one, and no batch ends inside a row's items.
#[test]
fn lines_become_words_in_full_batches() {
    let mut s = segment(100, |f: Flow<ByteColumn>| {
        f.flat_map_rows("words", |line: &[u8], out: &mut Vec<Vec<u8>>| {
            out.extend(line.split(|b| *b == b' ').filter(|w| !w.is_empty()).map(<[u8]>::to_vec));
        })
    });
    s.stage.hold = true;
    for k in 0..60_u64 {
        let mut lines = ByteColumn::default();
        lines.push(b"a bc");
        lines.push(b"");
        lines.push(b" def ");
        let mut batch = Batch::of(lines);
        batch.meta.seq = flux_io_core::Seq::Run(3 * k);
        s.feed(batch).expect("no fault");
    }
    s.stage.hold = false;
    s.end().expect("no fault");
    let words = s.stage.values();
    assert_eq!((words.len(), &words[3][..], &words[5][..]), (180, &b"a"[..], &b"def"[..]));
    assert_eq!(s.stage.sizes, [101, 79], "no batch is cut inside a line");
}
