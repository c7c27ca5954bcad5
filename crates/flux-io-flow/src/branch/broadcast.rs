//! `broadcast`: several flows see the same rows, which are shared and never copied.

use flux_io_core::{
    AnyBatch, Batch, Column, Control, Meta, Node, Outbox, StageCx, StageError, Step, mutant,
};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Rows of columns that other batches see, too: a count of owners instead of a copy.
///
/// Rows are seen, not taken: their `Mut` is a view. Moving rows between batches (`filter_rows`,
/// exchanges) moves their places.
pub struct SharedRows<C> {
    parts: Vec<Part<C>>,
}

/// Rows of one shared column: all of them, or these.
struct Part<C> {
    of: Arc<C>,
    picked: Option<Vec<u32>>,
}

impl<C: Column> Part<C> {
    fn rows(&self) -> usize {
        self.picked.as_ref().map_or_else(|| self.of.rows(), Vec::len)
    }

    fn place(&self, i: usize) -> usize {
        self.picked.as_ref().map_or(i, |p| p[i] as usize)
    }
}

impl<C> Default for SharedRows<C> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<C> Clone for SharedRows<C> {
    fn clone(&self) -> Self {
        let twin = |p: &Part<C>| Part { of: Arc::clone(&p.of), picked: p.picked.clone() };
        Self { parts: self.parts.iter().map(twin).collect() }
    }
}

impl<C: Column> fmt::Debug for SharedRows<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.parts.iter().map(Part::rows).sum();
        write!(f, "SharedRows({} rows in {} columns)", rows, self.parts.len())
    }
}

impl<C: Column> SharedRows<C> {
    /// All rows of a column.
    #[must_use]
    pub fn of(column: C) -> Self {
        Self { parts: vec![Part { of: Arc::new(column), picked: None }] }
    }

    /// The part of row `i`, and its place in the part.
    fn find(&self, mut i: usize) -> (&Part<C>, usize) {
        let mut k = 0;
        while i >= self.parts[k].rows() {
            i -= self.parts[k].rows();
            k += 1;
        }
        (&self.parts[k], self.parts[k].place(i))
    }

    /// Takes row `place` of a shared column behind the own ones.
    fn pick(&mut self, of: &Arc<C>, place: u32) {
        match self.parts.last_mut() {
            Some(Part { of: last, picked: Some(rows) }) if Arc::ptr_eq(last, of) => {
                rows.push(place);
            }
            _ => self.parts.push(Part { of: Arc::clone(of), picked: Some(vec![place]) }),
        }
    }
}

impl<C: Column + Sync> Column for SharedRows<C> {
    type Ref<'a> = C::Ref<'a>;
    type Mut<'a> = C::Ref<'a>;

    fn rows(&self) -> usize {
        self.parts.iter().map(Part::rows).sum()
    }
    #[inline]
    fn row(&self, i: usize) -> C::Ref<'_> {
        match self.parts.as_slice() {
            [all] => all.of.row(all.place(i)),
            _ => {
                let (part, place) = self.find(i);
                part.of.row(place)
            }
        }
    }
    fn row_mut(&mut self, i: usize) -> C::Ref<'_> {
        self.row(i)
    }
    fn clear(&mut self) {
        self.parts.clear();
    }
    fn scatter(&mut self, to: &[u32], outs: &mut [&mut Self]) {
        let mut to = to.iter();
        for part in self.parts.drain(..) {
            for (i, &s) in (0..part.rows()).zip(to.by_ref()) {
                outs[s as usize].pick(&part.of, part.place(i) as u32);
            }
        }
    }
    fn append(&mut self, other: &mut Self) {
        self.parts.append(&mut other.parts);
    }
    fn row_bytes() -> usize {
        C::row_bytes()
    }
}

/// The stage of `broadcast`.
pub(super) struct Broadcast<C> {
    /// Somebody downstream asks how far each flow has come.
    tell: bool,
    column: PhantomData<fn() -> C>,
}

impl<C> Broadcast<C> {
    pub(super) const fn new(tell: bool) -> Self {
        Self { tell, column: PhantomData }
    }
}

/// Says that all outputs have passed a number.
pub(super) fn pass(number: Option<u64>, outs: &mut [Outbox]) {
    if let Some(n) = number
        && !mutant!(PassedNotTold)
    {
        outs.iter_mut().for_each(|out| out.control(Control::Passed(n)));
    }
}

/// The number behind the last row of a batch.
pub(super) fn behind(meta: &Meta, rows: usize) -> Option<u64> {
    rows.checked_sub(1).map(|last| meta.seq.at(last).saturating_add(1))
}

impl<C: Column + Sync> Node for Broadcast<C> {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let Batch { col, meta } = input.get_mut::<C>()?;
        let passed = behind(meta, col.rows()).filter(|_| self.tell);
        let shared = SharedRows::of(std::mem::take(col));
        for (i, out) in outs.iter_mut().enumerate() {
            let batch = out.open().get_mut::<SharedRows<C>>()?;
            batch.col = shared.clone();
            batch.meta.clone_from(meta);
            if mutant!(BranchMarkFirst) && i > 0 {
                batch.meta.marks.iter_mut().for_each(|m| m.at = 0);
            }
            out.seal();
        }
        // Every output has the marks at their places.
        meta.clear();
        pass(passed, outs);
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        _port: usize,
        number: u64,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        pass(Some(number), outs);
        Ok(Step::Done)
    }
}
