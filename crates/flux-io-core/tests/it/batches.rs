//! Batches: metadata columns, marks, selection, scatter, typed access behind erased ones.

use crate::kit::check;
use flux_io_core::{
    AnyBatch, BATCH_BYTES, Batch, ColumnType, Context, Control, Cost, Mark, Meta, Outbox, Parcel,
    Seq, SourceId, Timestamp, UNKEYED, Uniform, WindowBounds, WrongColumn, push_mark,
};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use std::sync::Arc;

/// A batch of numbered rows with every kind of metadata, by its parts.
#[derive(Clone, Debug)]
struct Shape {
    rows: usize,
    times: Option<Vec<i64>>,
    gaps: Option<Vec<u32>>,
    hashed: bool,
    marks: Vec<(usize, i64)>,
    own: Vec<bool>,
    to: Vec<u32>,
}

const PARTS: u32 = 3;
const MOST: usize = 12;

fn shape() -> impl Strategy<Value = Shape> {
    let per_row = (
        any::<Option<[i64; MOST]>>(),
        any::<Option<[u8; MOST]>>(),
        vec(any::<bool>(), MOST),
        vec(0..PARTS, MOST),
    );
    let marks = vec((0..=MOST, 1..30i64), 0..6);
    (0..=MOST, per_row, any::<bool>(), marks).prop_map(|(rows, (t, g, own, to), hashed, marks)| {
        Shape {
            rows,
            times: t.map(|t| t[..rows].to_vec()),
            gaps: g.map(|g| {
                let up = |n: &mut u32, d: &u8| {
                    *n += 1 + u32::from(*d);
                    Some(*n)
                };
                g[..rows].iter().scan(0, up).collect()
            }),
            hashed,
            marks: marks.into_iter().map(|(at, w)| (at.min(rows), w)).collect(),
            own: own[..rows].to_vec(),
            to: to[..rows].to_vec(),
        }
    })
}

fn build(s: &Shape) -> Batch<Vec<u32>> {
    let mut b = Batch::of((0..s.rows as u32).collect::<Vec<_>>());
    let m = &mut b.meta;
    m.source = SourceId(4);
    m.seq = match &s.gaps {
        Some(rows) => Seq::Rows { base: 1_000, rows: rows.clone() },
        None => Seq::Run(1_000),
    };
    m.time = match &s.times {
        Some(t) => Uniform::Rows(t.iter().map(|&t| Timestamp(t)).collect()),
        None => Uniform::All(Timestamp(42)),
    };
    if s.hashed {
        m.hash = (0..s.rows as u64).map(|i| i * 7).collect();
    }
    let mut marks = s.marks.clone();
    marks.sort_unstable();
    for (at, w) in marks {
        push_mark(&mut m.marks, Mark { at: at as u32, watermark: Timestamp(w) });
    }
    m.context = Some(Arc::new(Context::default().with_header("of", "all")));
    for (i, own) in s.own.iter().enumerate() {
        if *own {
            let c = Context::default().with_header("of", i.to_string());
            m.exceptional.push((i as u32, Arc::new(c)));
        }
    }
    m.window = Some(WindowBounds { start: Timestamp(0), end: Timestamp(100) });
    b
}

/// What is promised before row `i`.
fn promised(marks: &[Mark], i: usize) -> Option<Timestamp> {
    marks.iter().filter(|m| m.at as usize <= i).map(|m| m.watermark).max()
}

type Told = (u32, u64, Timestamp, Option<u64>, Option<String>, Option<Timestamp>);

/// Everything that a reader can know of row `i`.
fn told(b: &Batch<Vec<u32>>, i: usize) -> Told {
    let context = b.meta.context_at(i).and_then(|c| c.header("of")).map(str::to_owned);
    let hash = b.meta.hash.get(i).copied();
    (b.col[i], b.meta.seq.at(i), b.meta.time.at(i), hash, context, promised(&b.meta.marks, i))
}

/// Law C1 of metadata.
fn well_formed(b: &Batch<Vec<u32>>) {
    let (n, m) = (b.len(), &b.meta);
    assert!(m.hash.is_empty() || m.hash.len() == n);
    assert!(
        matches!(&m.time, Uniform::All(_)) || matches!(&m.time, Uniform::Rows(v) if v.len() == n)
    );
    assert!(m.marks.windows(2).all(|w| w[0].at < w[1].at && w[0].watermark < w[1].watermark));
    assert!(m.marks.iter().all(|k| k.at as usize <= n));
    assert!(m.exceptional.windows(2).all(|w| w[0].0 < w[1].0));
    assert!(m.exceptional.iter().all(|e| (e.0 as usize) < n));
}

/// Rows 6, 49, 116. A scattered batch tells of each row what scattering its rows one by one tells:
/// payload, number, time, hash, own or shared context, and the watermark before it; every part
/// ends with the whole batch's promise, also one without rows.
#[test]
fn scatter_equals_scattering_row_by_row() {
    check(61, &shape(), |s| {
        let whole = build(&s);
        let mut one_by_one: Vec<Vec<Told>> = vec![Vec::new(); PARTS as usize];
        for i in 0..s.rows {
            one_by_one[s.to[i] as usize].push(told(&whole, i));
        }
        let end = promised(&whole.meta.marks, s.rows);
        let mut any = AnyBatch::new(whole.clone());
        let mut outs: Vec<AnyBatch> = (0..PARTS).map(|_| any.empty()).collect();
        any.scatter(&s.to, &mut outs).unwrap();
        assert!(any.is_empty() && any.meta().marks.is_empty());
        for (part, want) in outs.iter().zip(&one_by_one) {
            let part = part.get::<Vec<u32>>().unwrap();
            well_formed(part);
            let got: Vec<Told> = (0..part.len()).map(|i| told(part, i)).collect();
            assert_eq!(&got, want);
            assert_eq!(promised(&part.meta.marks, part.len()), end);
            assert_eq!((part.meta.source, part.meta.window), (SourceId(4), whole.meta.window));
        }
    });
}

/// Row 14. A part of another column is refused before anything has moved.
#[test]
fn scatter_refuses_a_wrong_part_whole() {
    let mut any = AnyBatch::new(Batch::of(vec![1u32, 2]));
    any.mark(Timestamp(3));
    let mut outs = [any.empty(), AnyBatch::new(Batch::<Vec<String>>::default())];
    let e = any.scatter(&[0, 1], &mut outs).unwrap_err();
    assert_eq!(e, AnyBatch::new(Batch::<Vec<String>>::default()).get::<Vec<u32>>().unwrap_err());
    assert_eq!(any.get::<Vec<u32>>().unwrap().col, [1, 2]);
    assert_eq!(any.meta().marks.len(), 1);
    assert!(outs[0].is_empty() && outs[0].meta().marks.is_empty());
}

/// Rows 1, 6. Selecting rows keeps what was known of each; a selection of a selection is the
/// selection at once.
#[test]
fn select_keeps_what_was_known_of_a_row() {
    check(62, &(shape(), vec(any::<bool>(), MOST), vec(any::<bool>(), MOST)), |(s, a, b)| {
        let from = Batch { meta: Meta { hash: Vec::new(), ..build(&s).meta }, ..build(&s) };
        let first: Vec<u32> = (0..s.rows as u32).filter(|&i| a[i as usize]).collect();
        let mut once = Batch::of(first.iter().map(|&i| from.col[i as usize]).collect::<Vec<_>>());
        once.meta.select(&from.meta, Some(first.clone()));
        well_formed(&once);
        for (k, &i) in first.iter().enumerate() {
            assert_eq!(told(&once, k), told(&from, i as usize));
        }
        assert_eq!(promised(&once.meta.marks, once.len()), promised(&from.meta.marks, s.rows));
        let again: Vec<u32> = (0..first.len() as u32).filter(|&i| b[i as usize]).collect();
        let at_once: Vec<u32> = again.iter().map(|&k| first[k as usize]).collect();
        let (mut twice, mut direct) = (Meta::default(), Meta::default());
        twice.select(&once.meta, Some(again));
        direct.select(&from.meta, Some(at_once));
        assert_eq!(twice, direct);
        let mut all = Meta::default();
        all.select(&from.meta, None);
        assert_eq!(all, from.meta, "without a selection everything is kept");
    });
}

/// Rows 1, 6. When rows are taken from the front, the others are told as before.
#[test]
fn advance_keeps_what_was_known_of_the_rows_behind() {
    check(63, &(shape(), 0..=MOST), |(s, n)| {
        let (whole, n) = (build(&s), n.min(s.rows));
        let mut rest = whole.clone();
        rest.col.drain(..n);
        rest.meta.advance(n);
        well_formed(&rest);
        for i in n..s.rows {
            assert_eq!(told(&rest, i - n), told(&whole, i));
        }
        assert_eq!(promised(&rest.meta.marks, rest.len()), promised(&whole.meta.marks, s.rows));
        assert_eq!((rest.meta.source, rest.meta.window), (SourceId(4), whole.meta.window));
    });
}

/// Row 339. Correlation headers travel through a selection with their row.
#[test]
fn correlation_headers_follow_their_row() {
    let mut from = Meta { context: Some(Arc::new(Context::default())), ..Meta::default() };
    let own = Arc::new(Context::default().with_header("correlation-id", "c-2"));
    from.exceptional = vec![(2, Arc::clone(&own))];
    let mut to = Meta::default();
    to.select(&from, Some(vec![0, 2, 3]));
    assert!(Arc::ptr_eq(to.context_at(1).unwrap(), &own), "shared, not copied");
    assert_eq!(
        to.envelope(1, Cost::default()).context.unwrap().header("correlation-id"),
        Some("c-2")
    );
    assert_eq!(to.context_at(0).unwrap().header("correlation-id"), None);
    to.select(&from, Some(vec![0, 1]));
    assert!(to.exceptional.is_empty());
}

/// Row 6. Marks ascend in place and promise; the last one at a place stands, one that promises
/// nothing new is left out. After any pushes the promise at each place is the greatest so far.
#[test]
fn marks_ascend() {
    check(63, &vec((0..4u32, -9..9i64), 0..12), |steps| {
        let (mut marks, mut at, mut best) = (Vec::new(), 0, i64::MIN);
        for (step, w) in steps {
            at += step;
            best = best.max(w);
            push_mark(&mut marks, Mark { at, watermark: Timestamp(w) });
            assert!(marks.windows(2).all(|p| p[0].at < p[1].at && p[0].watermark < p[1].watermark));
            assert_eq!(promised(&marks, at as usize), Some(Timestamp(best)));
        }
    });
}

/// Row 6. A batch knows its rows, bytes and window; it is empty also when it has marks.
#[test]
fn a_batch_knows_its_size_and_window() {
    let mut b = Batch::of(Vec::<u64>::with_capacity(10));
    assert!(b.is_empty());
    b.mark(Timestamp(1));
    assert!(b.is_empty(), "a mark is not a row");
    b.col.extend([1, 2, 3]);
    b.mark(Timestamp(1));
    b.mark(Timestamp(2));
    assert_eq!(
        b.meta.marks.iter().map(|m| (m.at, m.watermark.0)).collect::<Vec<_>>(),
        [(0, 1), (3, 2)]
    );
    let window = WindowBounds { start: Timestamp(0), end: Timestamp(10) };
    b.meta.window = Some(window);
    let (rows, marks) = (b.col.capacity(), b.meta.marks.capacity());
    let any = AnyBatch::new(b);
    assert_eq!(any.len(), 3);
    assert_eq!(any.bytes(), rows * 8 + marks * 16);
    assert_eq!(any.meta().window, Some(window));
    assert!(window.start < window.end);
}

/// Row 6. A cleared batch is as a new one, so that what a stage fills again carries nothing of the
/// rows before; only capacity stays.
#[test]
fn a_cleared_batch_is_as_new() {
    check(64, &shape(), |s| {
        let mut b = build(&s);
        let capacity = b.col.capacity();
        b.clear();
        assert_eq!(b, Batch::default());
        assert_eq!(b.col.capacity(), capacity);
        let mut any = AnyBatch::new(build(&s));
        any.clear();
        assert_eq!(any.get::<Vec<u32>>().unwrap(), &Batch::default());
    });
}

/// Row 14. Rows are found again behind an erased batch by their type alone, and an erased empty one
/// is of the same type.
#[test]
fn b026_types_come_back_from_behind_the_boundary() {
    let mut any = AnyBatch::new(Batch::of(vec![String::from("a")]));
    any.get_mut::<Vec<String>>().unwrap().col.push("b".into());
    assert_eq!(any.get::<Vec<String>>().unwrap().col, ["a", "b"]);
    assert!(any.empty().get::<Vec<String>>().unwrap().is_empty());
    let ty = ColumnType::of::<Vec<String>>();
    assert!((ty.new)().get::<Vec<String>>().is_ok());
    assert_eq!(ty, ColumnType::of::<Vec<String>>());
    assert_ne!(ty, ColumnType::of::<Vec<u8>>());
    assert_eq!(ty.row_bytes, size_of::<String>());
    assert!(format!("{any:?}").ends_with("[2]"));
}

/// Row 14. The wrong column is a typed error that names both, never a panic.
#[test]
fn b004_a_wrong_column_is_an_error_with_both_names() {
    let mut any = AnyBatch::new(Batch::of(vec![1u8]));
    let want = WrongColumn {
        want: std::any::type_name::<Vec<i8>>(),
        got: std::any::type_name::<Vec<u8>>(),
    };
    assert_eq!(any.get::<Vec<i8>>().unwrap_err(), want);
    assert_eq!(any.get_mut::<Vec<i8>>().unwrap_err(), want);
    assert_eq!(
        want.to_string(),
        "column `alloc::vec::Vec<u8>` arrived where `alloc::vec::Vec<i8>` was planned; connect \
         ports of one column type"
    );
    assert_eq!(any.get::<Vec<u8>>().unwrap().col, [1], "nothing happened to it");
    let mut port = Outbox::new(ColumnType::of::<Vec<u8>>(), 4);
    assert_eq!(port.typed::<Vec<i8>>().unwrap_err(), want);
}

/// Row 6. A port seals at its rows or at its bytes, whichever comes first.
#[test]
fn ports_seal_by_rows_or_bytes() {
    let mut port = Outbox::new(ColumnType::of::<Vec<[u8; 1024]>>(), usize::MAX);
    assert_eq!(port.typed::<Vec<[u8; 1024]>>().unwrap().max_rows(), BATCH_BYTES / 1024);
    let mut huge = Outbox::new(ColumnType::of::<Vec<[u8; 100_000]>>(), 7);
    assert_eq!(huge.typed::<Vec<[u8; 100_000]>>().unwrap().max_rows(), 1);
    let mut none = Outbox::new(ColumnType::of::<Vec<()>>(), 0);
    assert_eq!(none.typed::<Vec<()>>().unwrap().max_rows(), 1);
    let mut out = port.typed::<Vec<[u8; 1024]>>().unwrap();
    for _ in 0..BATCH_BYTES / 1024 {
        out.seal_if_full();
        assert!(!out.is_full());
        out.batch().col.push([0; 1024]);
    }
    out.seal_if_full();
    assert!(matches!(port.pop(), Some(Parcel::Batch(b)) if b.len() == BATCH_BYTES / 1024));
}

/// Rows 6, 9. A port is full at two sealed batches; watermarks ride on batches, other controls
/// stand apart, and all keep their order. Used batches are filled again.
#[test]
fn a_port_keeps_the_order_of_rows_and_controls() {
    let mut port = Outbox::new(ColumnType::of::<Vec<u8>>(), 2);
    let mut out = port.typed::<Vec<u8>>().unwrap();
    out.mark(Timestamp(1));
    out.mark(Timestamp(3));
    out.batch().col.extend([1, 2]);
    out.mark(Timestamp(4));
    out.control(Control::Turn);
    out.batch().col.push(3);
    out.swap(&mut Batch::of(vec![9]));
    assert!(port.is_full() && !port.has_open());
    port.control(Control::Watermark(Timestamp(5)));
    port.push_batch(AnyBatch::new(Batch::of(vec![8u8])));
    let mut seen = Vec::new();
    while let Some(p) = port.pop() {
        match p {
            Parcel::Control(c) => seen.push(format!("{c:?}")),
            Parcel::Batch(b) => {
                let t = b.get::<Vec<u8>>().unwrap();
                seen.push(format!("{:?} {:?}", t.col, t.meta.marks.last().map(|m| m.watermark.0)));
                port.recycle(b);
            }
        }
    }
    let want = [
        "Watermark(Timestamp(3))",
        "[1, 2] Some(4)",
        "Turn",
        "[3] None",
        "[9] Some(5)",
        "[8] None",
    ];
    assert_eq!(seen, want);
    assert!(port.is_drained() && !port.is_full());
    let before = port.made;
    assert!(port.open().is_empty());
    assert_eq!((port.made, port.reused > 0), (before, true));
}

/// Row 116. No real hash marks a row as unkeyed.
#[test]
fn unkeyed_is_a_mark_of_its_own() {
    assert_eq!(UNKEYED, u64::MAX);
}
