//! Rows collected in memory.

use crate::host::{block_on, inline};
use flux_io_connect::sink;
use flux_io_core::{Batch, ByteColumn, ErrorClass, Sink};

/// Row 27. Snapshot copies, take empties, clear forgets; handles share.
#[test]
fn rows_can_be_read_while_they_come() {
    let (mut s, rows) = sink::collect::<u64>();
    let other = rows.clone();
    let cx = inline(1);
    let mut batch = Batch::of(vec![1, 2]);
    block_on(s.write(&mut batch, &cx)).unwrap();
    assert!(batch.is_empty());
    assert_eq!((rows.snapshot(), rows.snapshot(), other.len()), (vec![1, 2], vec![1, 2], 2));
    block_on(s.write(&mut Batch::of(vec![3]), &cx)).unwrap();
    assert_eq!(other.take(), [1, 2, 3]);
    assert!(rows.is_empty() && !rows.is_closed());
    block_on(s.write(&mut Batch::of(vec![4]), &cx)).unwrap();
    rows.clear();
    assert!(rows.is_empty());
    block_on(s.close(&cx)).unwrap();
    assert!(rows.is_closed() && !rows.is_aborted());
}

/// Rows after the end are refused and stay in the batch.
#[test]
fn b097_writing_after_close_is_an_error() {
    for aborted in [false, true] {
        let (mut s, rows) = sink::collect::<u64>();
        let cx = inline(1);
        if aborted {
            s.abort();
        } else {
            block_on(s.close(&cx)).unwrap();
        }
        let mut batch = Batch::of(vec![1]);
        let e = block_on(s.write(&mut batch, &cx)).unwrap_err();
        assert_eq!(e.class, ErrorClass::Permanent);
        assert_eq!(e.what, "rows came after this collection was closed");
        assert_eq!((batch.col, rows.len(), rows.is_aborted()), (vec![1], 0, aborted));
    }
}

/// Over the cap nothing is taken, and the text says what to do.
#[test]
fn b097_cap_is_kept() {
    let (s, rows) = sink::collect::<u64>();
    let mut s = s.with_cap(3);
    let cx = inline(1);
    block_on(s.write(&mut Batch::of(vec![1, 2]), &cx)).unwrap();
    let mut batch = Batch::of(vec![3, 4]);
    let e = block_on(s.write(&mut batch, &cx)).unwrap_err();
    assert_eq!(
        e.what,
        "2 rows are collected, 2 more came and the cap is 3; raise the cap, take rows out, or \
         write to a file"
    );
    assert_eq!((batch.col, rows.snapshot()), (vec![3, 4], vec![1, 2]));
    block_on(s.write(&mut Batch::of(vec![3]), &cx)).unwrap();
    rows.clear();
    block_on(s.write(&mut Batch::of(vec![3, 4, 5]), &cx)).unwrap();
}

/// Row 27. Columns other than `Vec`.
#[test]
fn columns_are_collected() {
    let (mut s, rows) = sink::collect_column::<ByteColumn>();
    let cx = inline(1);
    for text in [&b"a"[..], b"bc"] {
        let mut col = ByteColumn::default();
        col.push(text);
        block_on(s.write(&mut Batch::of(col), &cx)).unwrap();
    }
    assert_eq!(rows.snapshot().iter().collect::<Vec<_>>(), [&b"a"[..], b"bc"]);
    assert_eq!(rows.take().iter().count(), 2);
    assert!(rows.is_empty());
}
