//! Laws of the columns, and the figures of the memory budget.

use crate::kit::check;
use flux_io_core::{ByteColumn, Column, HeapSize, Moment, RangeColumn, Timestamp};
use proptest::collection::vec;
use proptest::prelude::any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The rows of a column, owned by `own`.
fn rows<C: Column, T>(c: &C, own: impl Fn(C::Ref<'_>) -> T) -> Vec<T> {
    (0..c.rows()).map(|i| own(c.row(i))).collect()
}

/// Laws C1, C3, C4 for a column that `make` builds of numbers.
fn laws<C: Column, T: Clone + PartialEq + std::fmt::Debug>(
    seed: u64,
    make: impl Fn(&[u64]) -> C,
    own: impl Fn(C::Ref<'_>) -> T,
) {
    let input = (vec(0..20u64, 0..20), vec(0..3u32, 20), vec(5..9u64, 0..6));
    check(seed, &input, |(a, to, b)| {
        let (mut first, mut second) = (make(&a), make(&b));
        let (x, y) = (rows(&first, &own), rows(&second, &own));
        assert_eq!((x.len(), y.len()), (a.len(), b.len()));
        first.append(&mut second);
        assert_eq!(rows(&first, &own), [x.clone(), y.clone()].concat(), "append keeps order");
        assert_eq!(second.rows(), 0);
        second.append(&mut first);
        assert_eq!((first.rows(), second.rows()), (0, a.len() + b.len()));

        let mut whole = make(&a);
        let held = whole.bytes();
        let (mut p, mut q, mut r) = (make(&b), C::default(), C::default());
        whole.scatter(&to[..a.len()], &mut [&mut p, &mut q, &mut r]);
        let part =
            |s: u32| x.iter().zip(&to).filter(move |(_, t)| **t == s).map(|(v, _)| v.clone());
        assert_eq!(rows(&p, &own), y.iter().cloned().chain(part(0)).collect::<Vec<_>>());
        assert_eq!(rows(&q, &own), part(1).collect::<Vec<_>>());
        assert_eq!(rows(&r, &own), part(2).collect::<Vec<_>>());
        assert_eq!((whole.rows(), whole.bytes()), (0, held), "scatter keeps the capacity");

        let mut cleared = make(&a);
        let held = cleared.bytes();
        cleared.clear();
        assert_eq!((cleared.rows(), cleared.bytes()), (0, held), "clear keeps the capacity");
        cleared.append(&mut make(&b));
        assert_eq!(rows(&cleared, &own), y);
    });
}

/// Row 6. A vector is a column; clearing and scattering keep its capacity.
#[test]
fn vectors_obey_the_column_laws() {
    laws(71, |n| n.iter().map(u64::to_string).collect::<Vec<_>>(), Clone::clone);
}

/// Row 6. Byte strings in an arena are a column, empty rows included.
#[test]
fn byte_columns_obey_the_column_laws() {
    let make = |n: &[u64]| {
        let mut c = ByteColumn::default();
        n.iter().for_each(|&x| c.push(&vec![x as u8; (x % 4) as usize]));
        c
    };
    laws(72, make, <[u8]>::to_vec);
}

/// Row 6. Numbers in runs are a column, whether they form one run or not.
#[test]
fn ranges_obey_the_column_laws() {
    let make = |n: &[u64]| {
        let mut c = RangeColumn::default();
        for &x in n {
            c.append(&mut RangeColumn::new(x..x + 1));
        }
        c
    };
    laws(73, make, |x| x);
}

/// Row 6. A run is taken from the front in pieces; numbers outside a run are not taken as one.
#[test]
fn runs_are_taken_from_the_front() {
    check(74, &(any::<u32>(), 0..50u64, vec(0..9usize, 20)), |(start, len, limits)| {
        let start = u64::from(start);
        let mut c = RangeColumn::new(start..start + len);
        let mut next = start;
        for limit in limits {
            let run = c.take_run(limit).unwrap();
            assert_eq!(run.start, next);
            assert!((run.end - run.start) as usize <= limit);
            next = run.end;
            assert_eq!(c.rows() as u64, start + len - next);
        }
    });
    let mut two = RangeColumn::new(0..2);
    two.append(&mut RangeColumn::new(2..4));
    assert_eq!(two.range, 0..4, "neighbours join");
    two.append(&mut RangeColumn::new(9..10));
    assert_eq!((two.take_run(1), two.rows(), two.row(4)), (None, 5, 9));
}

/// Row 25. Rows may be written piece by piece and changed in place.
#[test]
fn byte_rows_are_written_in_place() {
    let mut c = ByteColumn::default();
    c.push(b"ab");
    assert_eq!(
        c.push_with(|buf| {
            buf.extend_from_slice(b"cde");
            5
        }),
        5
    );
    c.push(b"");
    c.row_mut(1)[0] = b'C';
    assert_eq!(c.iter().collect::<Vec<_>>(), [&b"ab"[..], b"Cde", b""]);
    assert_eq!(c.iter().len(), 3);
    assert!(c.fits(u32::MAX as usize - 5) && !c.fits(u32::MAX as usize - 4));
}

/// Row 153. Heap bytes are capacities, all the way down, without the value's own size.
#[test]
fn heap_bytes_are_capacities() {
    assert_eq!((7u64, true, Timestamp(1)).heap_bytes(), 0);
    assert_eq!((Moment(1), Duration::ZERO).heap_bytes(), 0);
    assert_eq!("static".heap_bytes(), 0);
    let text = String::with_capacity(40);
    let of_text = text.capacity();
    assert_eq!(text.heap_bytes(), of_text);
    let mut list = Vec::with_capacity(3);
    list.push(text);
    assert_eq!(list.heap_bytes(), list.capacity() * size_of::<String>() + of_text);
    assert_eq!(Some(list).heap_bytes(), 3 * size_of::<String>() + of_text);
    assert_eq!(None::<String>.heap_bytes(), 0);
    let queue: VecDeque<u16> = VecDeque::with_capacity(9);
    assert_eq!(queue.heap_bytes(), queue.capacity() * 2);
    assert_eq!(Box::new([0u64; 4]).heap_bytes(), 32);
    assert_eq!(Box::<str>::from("abc").heap_bytes(), 3);
    assert_eq!(bytes::Bytes::from_static(b"abcd").slice(1..3).heap_bytes(), 2);
    assert!(Arc::new(1u64).heap_bytes() > 8, "the counts are charged too");
    let map: BTreeMap<u64, u64> = (0..30).map(|i| (i, i)).collect();
    assert_eq!(map.heap_bytes(), 30 * 16 * 4 / 3);
}
