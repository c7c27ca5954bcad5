//! Laws of a [`Source`].

use super::{MOST_POLLS, drive, poll_and_drop};
use crate::doubles::ManualHost;
use flux_io_core::{
    AnyBatch, Batch, Column, ColumnType, DynSource, ErasedSource, Filled, Seq, Source, SourceId,
};
use std::fmt::Debug;

/// Checks the laws of a source. `make` makes it anew, always with the same rows; `view` turns a
/// row into a value that can be compared. Sources whose rows come from outside (channels) are fed
/// before `make` returns.
pub fn laws<S: Source, V: PartialEq + Debug>(
    make: impl Fn() -> S,
    view: impl Fn(<S::Col as Column>::Ref<'_>) -> V,
) {
    batch_sizes_do_not_matter(&make, &view);
    a_dropped_call_loses_nothing(&make, &view);
    positions_resume_exactly(&make, &view);
    rows_are_numbered(&make, &view);
}

/// Appends the rows of a batch to `out` as values and clears it.
fn drain<C: Column, V>(batch: &mut Batch<C>, view: &impl Fn(C::Ref<'_>) -> V, out: &mut Vec<V>) {
    out.extend((0..batch.len()).map(|i| view(batch.col.row(i))));
    batch.clear();
}

/// Reads a source to its end in calls of at most `max` rows.
fn read<S: Source, V>(
    source: &mut S,
    max: usize,
    view: &impl Fn(<S::Col as Column>::Ref<'_>) -> V,
) -> Vec<V> {
    let host = ManualHost::new();
    let io = host.io(max);
    let (mut rows, mut batch, mut empty) = (Vec::new(), Batch::default(), 0);
    loop {
        let filled = drive(&host, source.fill(&mut batch, &io));
        assert!(batch.len() <= max, "at most {max} rows a call, not {}", batch.len());
        empty = if batch.is_empty() { empty + 1 } else { 0 };
        assert!(empty < 1_000, "a thousand calls in a row gave no row and no end");
        drain(&mut batch, view, &mut rows);
        if filled == Filled::End {
            return rows;
        }
    }
}

/// The rows are the same, in the same order, however many are asked for at once; the end comes.
pub fn batch_sizes_do_not_matter<S: Source, V: PartialEq + Debug>(
    make: &impl Fn() -> S,
    view: &impl Fn(<S::Col as Column>::Ref<'_>) -> V,
) {
    let expected = read(&mut make(), 1, view);
    for max in [2, 7, 1_024] {
        assert_eq!(read(&mut make(), max, view), expected, "{max} rows a call");
    }
    // Calls that need not wait, where the source offers them, give the same rows.
    let (host, mut source, mut rows) = (ManualHost::new(), make(), Vec::new());
    let (io, mut batch) = (host.io(3), Batch::default());
    loop {
        let filled = match source.try_fill(&mut batch, 3) {
            Some(r) => r.unwrap_or_else(|e| super::broken(&flux_io_core::chain(&e))),
            None => drive(&host, source.fill(&mut batch, &io)),
        };
        drain(&mut batch, view, &mut rows);
        if filled == Filled::End {
            break;
        }
    }
    assert_eq!(rows, expected);
}

/// I1: a call that is dropped whenever it is pending loses nothing and doubles nothing.
pub fn a_dropped_call_loses_nothing<S: Source, V: PartialEq + Debug>(
    make: &impl Fn() -> S,
    view: &impl Fn(<S::Col as Column>::Ref<'_>) -> V,
) {
    let expected = read(&mut make(), 5, view);
    // Fresh batches after each drop, and one batch that is filled further.
    for keep in [false, true] {
        let (host, mut source, mut rows) = (ManualHost::new(), make(), Vec::new());
        let (io, mut batch) = (host.io(5), Batch::default());
        let mut polls = 0;
        loop {
            polls += 1;
            assert!(polls < MOST_POLLS, "dropped at every wait, the source never ends");
            let polled = poll_and_drop(&host, polls % 7, source.fill(&mut batch, &io));
            if !keep || polled.is_some() {
                drain(&mut batch, view, &mut rows);
            }
            match polled {
                Some(Ok(Filled::End)) => break,
                Some(Ok(Filled::More)) | None => {}
                Some(Err(e)) => super::broken(&flux_io_core::chain(&e)),
            }
        }
        assert_eq!(rows, expected, "one batch kept: {keep}");
    }
}

/// A source that names places goes on exactly behind the rows given before, from any of them.
pub fn positions_resume_exactly<S: Source, V: PartialEq + Debug>(
    make: &impl Fn() -> S,
    view: &impl Fn(<S::Col as Column>::Ref<'_>) -> V,
) {
    if make().position().is_none() {
        return;
    }
    let expected = read(&mut make(), 4, view);
    let calls = expected.len().div_ceil(4) + 1;
    for stop in 0..=calls {
        let (host, mut source, mut rows) = (ManualHost::new(), make(), Vec::new());
        let (io, mut batch) = (host.io(4), Batch::default());
        let mut ended = false;
        for _ in 0..stop {
            if !ended {
                ended = drive(&host, source.fill(&mut batch, &io)) == Filled::End;
                drain(&mut batch, view, &mut rows);
            }
        }
        let Some(place) = source.position() else {
            super::broken("a source that named a place names none later")
        };
        let mut again = make();
        let sought = again.seek(&place);
        assert!(sought.is_ok(), "its own place: {sought:?}");
        assert_eq!(again.position().as_ref(), Some(&place), "it stands where it was told to");
        rows.extend(read(&mut again, 3, view));
        assert_eq!(rows, expected, "stopped behind {stop} calls");
    }
}

/// Rows are numbered from 0 without gaps, also behind dropped calls, and a restored source goes on
/// with the next number.
pub fn rows_are_numbered<S: Source, V: PartialEq + Debug>(
    make: &impl Fn() -> S,
    view: &impl Fn(<S::Col as Column>::Ref<'_>) -> V,
) {
    let expected = read(&mut make(), 5, view);
    let host = ManualHost::new();
    let io = host.io(2);
    let mut source = ErasedSource::new(make(), SourceId(3));
    let mut batch: AnyBatch = (ColumnType::of::<S::Col>().new)();
    let (mut next, mut polls) = (0, 0);
    loop {
        polls += 1;
        assert!(polls < MOST_POLLS, "dropped at every wait, the source never ends");
        let polled = poll_and_drop(&host, polls % 7, source.fill(&mut batch, &io));
        if !batch.is_empty() {
            assert_eq!(batch.meta().source, SourceId(3));
            assert_eq!(batch.meta().seq, Seq::Run(next));
            next += batch.len() as u64;
        }
        batch.clear();
        if let Some(place) = source.position() {
            let mut again = ErasedSource::new(make(), SourceId(3));
            assert!(again.seek(&place).is_ok());
            assert_eq!(again.position(), Some(place), "the number is part of the place");
        }
        if matches!(polled, Some(Ok(Filled::End))) {
            break;
        }
    }
    assert_eq!(next, expected.len() as u64);
}
