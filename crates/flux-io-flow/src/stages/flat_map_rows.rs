//! `flat_map_rows`: rows of any column become any number of rows of another.

use super::row_wise::{Judging, Reached, Then};
use crate::segment::{MADE, Made, joins, stamp};
use flux_io_core::{
    Batch, Column, Meta, OnError, Out, SourceId, Stage, StageCx, StageError, Step, Uniform,
};
use std::fmt;
use std::marker::PhantomData;

/// The stage of `flat_map_rows`.
pub struct FlatMapRows<C, D, F> {
    f: F,
    judging: Judging,
    made: Made,
    /// For each row of the open batch the input row it was made of, where somebody must know.
    origins: Vec<u32>,
    columns: PhantomData<fn(C) -> D>,
}

impl<C, D, F> fmt::Debug for FlatMapRows<C, D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlatMapRows")
    }
}

impl<C, D, F> FlatMapRows<C, D, F> {
    /// Rows become what `f` appends; `on` is for rows on which it panics.
    pub fn new(f: F, on: OnError) -> Self {
        let judging = Judging::new(on);
        Self { f, judging, made: Made::default(), origins: Vec::new(), columns: PhantomData }
    }
}

/// Whether rows of one batch differ in what they carry, or have marks between them.
fn differs(meta: &Meta) -> bool {
    !meta.marks.is_empty() || !meta.exceptional.is_empty() || matches!(meta.time, Uniform::Rows(_))
}

/// Takes the rows from `keep` on out of a column.
fn cut<D: Column>(col: &mut D, keep: usize) {
    if col.rows() > keep {
        let to: Vec<u32> = (0..col.rows()).map(|i| u32::from(i >= keep)).collect();
        let (mut stay, mut go) = (D::default(), D::default());
        col.scatter(&to, &mut [&mut stay, &mut go]);
        *col = stay;
    }
}

impl<C, D, F> Stage for FlatMapRows<C, D, F>
where
    C: Column,
    D: Column,
    F: for<'a> FnMut(C::Ref<'a>, &mut D) + Send,
{
    type In = C;
    type Out = D;

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, D>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let exact = differs(&input.meta);
        let source = SourceId(MADE | cx.home().id.0);
        loop {
            let max = out.max_rows();
            if exact || !joins(out.batch(), source, &input.meta) {
                out.seal();
            }
            let Self { f, judging, made, origins, .. } = self;
            let Batch { col, meta } = out.batch();
            origins.clear();
            let before = col.rows();
            // Rows of input rows that were handled to their ends.
            let mut whole = before;
            let reached = judging.until_pause(&input.col, &input.meta, cx, &mut |row, i| {
                cut(col, whole);
                f(row, col);
                whole = col.rows();
                if exact {
                    origins.resize(whole, i as u32);
                }
                Ok(if whole >= max { Then::Pause } else { Then::Stay })
            })?;
            cut(col, whole);
            if before == 0 {
                let rows = exact.then(|| std::mem::take(origins));
                stamp(meta, &mut input.meta, rows, judging.next() as u64);
                made.number(cx, meta, whole as u64);
            } else {
                made.0 += (whole - before) as u64;
            }
            match reached {
                Reached::End => {
                    self.judging.reset();
                    if exact {
                        out.seal();
                    }
                    out.seal_if_full();
                    return Ok(Step::Done);
                }
                Reached::Pause => {
                    out.seal();
                    if out.is_full() {
                        return Ok(Step::Yield);
                    }
                }
                Reached::Wait(at) => {
                    out.seal();
                    return Ok(Step::Wait(at));
                }
            }
        }
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.made.snapshot(to);
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.made.restore(from)
    }
}
