//! Laws of a [`Column`].

use flux_io_core::{AnyBatch, Batch, Column};
use std::fmt::Debug;

/// All rows of a column, as values.
fn all<C: Column, V>(col: &C, view: &impl Fn(C::Ref<'_>) -> V) -> Vec<V> {
    (0..col.rows()).map(|i| view(col.row(i))).collect()
}

/// Checks the laws of a column. `make` gives a column of at least three rows, always the same;
/// `view` turns a row into a value that can be compared.
pub fn laws<C: Column, V: PartialEq + Debug>(make: impl Fn() -> C, view: impl Fn(C::Ref<'_>) -> V) {
    rows_are_counted(&make, &view);
    clear_removes_all(&make, &view);
    scatter_keeps_order(&make, &view);
    append_moves_all(&make, &view);
}

/// C1: `rows()` is the number of rows, the same whoever asks; a new column has none.
pub fn rows_are_counted<C: Column, V: PartialEq + Debug>(
    make: &impl Fn() -> C,
    view: &impl Fn(C::Ref<'_>) -> V,
) {
    let mut col = make();
    assert!(col.rows() >= 3, "give at least three rows");
    assert_eq!(C::default().rows(), 0);
    assert_eq!(all(&col, view), all(&make(), view), "`make` gives the same rows");
    for i in 0..col.rows() {
        let before = col.rows();
        let _ = col.row_mut(i);
        assert_eq!(col.rows(), before, "looking at a row does not remove it");
    }
    assert_eq!(Batch::of(make()).len(), col.rows());
}

/// C4: `clear` removes all rows, and what is put in again is all there is.
pub fn clear_removes_all<C: Column, V: PartialEq + Debug>(
    make: &impl Fn() -> C,
    view: &impl Fn(C::Ref<'_>) -> V,
) {
    let mut col = make();
    let expected = all(&col, view);
    col.clear();
    assert_eq!(col.rows(), 0);
    col.append(&mut make());
    assert_eq!(all(&col, view), expected);
    let held = col.bytes();
    for _ in 0..10 {
        col.clear();
        col.append(&mut make());
    }
    assert!(col.bytes() <= held.max(1) * 2, "cleared and filled again, it does not grow");
}

/// C3: `scatter` moves every row to its place, keeps the order there, and leaves nothing.
pub fn scatter_keeps_order<C: Column, V: PartialEq + Debug>(
    make: &impl Fn() -> C,
    view: &impl Fn(C::Ref<'_>) -> V,
) {
    let n = make().rows();
    for parts in 1..=4_usize {
        for step in 0..parts {
            let to: Vec<u32> = (0..n).map(|i| ((i * (step + 1) + step) % parts) as u32).collect();
            // Twice into the same parts: what is there stays in front.
            let mut outs: Vec<C> = (0..parts).map(|_| C::default()).collect();
            let mut col = make();
            for _ in 0..2 {
                let mut refs: Vec<&mut C> = outs.iter_mut().collect();
                col.scatter(&to, &mut refs);
                assert_eq!(col.rows(), 0, "afterwards the column is empty");
                col = make();
            }
            for (s, out) in outs.iter().enumerate() {
                let whole = make();
                let own =
                    |_: usize| (0..n).filter(|i| to[*i] as usize == s).map(|i| view(whole.row(i)));
                let expected: Vec<V> = (0..2).flat_map(own).collect();
                assert_eq!(all(out, view), expected, "part {s} of {parts}");
            }
            let mut batch = AnyBatch::new(Batch::of(make()));
            let mut outs: Vec<AnyBatch> = (0..parts).map(|_| batch.empty()).collect();
            assert_eq!(batch.scatter(&to, &mut outs), Ok(()));
            assert_eq!(outs.iter().map(AnyBatch::len).sum::<usize>(), n);
        }
    }
}

/// `append` moves all rows of the other column behind the own ones.
pub fn append_moves_all<C: Column, V: PartialEq + Debug>(
    make: &impl Fn() -> C,
    view: &impl Fn(C::Ref<'_>) -> V,
) {
    let (mut a, mut b) = (make(), make());
    a.append(&mut b);
    assert_eq!(b.rows(), 0, "the other column is empty afterwards");
    let twice: Vec<V> = all(&make(), view).into_iter().chain(all(&make(), view)).collect();
    assert_eq!(all(&a, view), twice);
    a.append(&mut C::default());
    assert_eq!(all(&a, view), twice, "nothing behind it changes nothing");
    let mut none = C::default();
    none.append(&mut a);
    assert_eq!((all(&none, view), a.rows()), (twice, 0));
}
