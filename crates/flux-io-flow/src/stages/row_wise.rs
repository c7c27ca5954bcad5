//! `filter_rows` and `validate_rows`: rows of any column that stay or go, and the loop that judges
//! row views one by one with panics caught and policies kept, which `key_by` uses too.

use crate::drive::{Failed, kept, panic_text};
use flux_io_core::{
    Batch, Column, Control, DeadCause, Meta, Moment, OnError, Original, Out, RowError, Stage,
    StageCx, StageError, Step, Validator,
};
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a judge says of a row: it stays, it goes, or it failed.
pub(crate) type Verdict = Result<bool, RowError>;

/// What follows a row.
pub(crate) enum Then {
    /// The row stays.
    Stay,
    /// The row goes.
    Go,
    /// The row stays, and the batch is left for now.
    Pause,
}

/// How far a batch was handled.
pub(crate) enum Reached {
    /// All of it.
    End,
    /// A pause was asked for.
    Pause,
    /// A row waits for another attempt until then.
    Wait(Moment),
}

/// Judges the rows of a batch one after the other; resumes at the row that waits.
#[derive(Debug, Default)]
pub(crate) struct Judging {
    on: OnError,
    next: usize,
    /// The row that failed last, and how often it was tried.
    tried: (usize, u32),
    gone: Vec<u32>,
}

/// The place in a batch as a local of the loop, written back on every way out.
struct Place<'a> {
    row: usize,
    to: &'a mut usize,
}

impl Drop for Place<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.to = self.row;
    }
}

impl Judging {
    pub(crate) fn new(on: OnError) -> Self {
        Self { on, ..Self::default() }
    }

    /// Calls `judge` for each row. `Some` = a row waits for another attempt until then.
    #[inline]
    pub(crate) fn all<C: Column>(
        &mut self,
        col: &C,
        meta: &Meta,
        cx: &mut StageCx<'_>,
        judge: &mut impl FnMut(C::Ref<'_>, usize) -> Verdict,
    ) -> Result<Option<Moment>, StageError> {
        let judge =
            &mut |row: C::Ref<'_>, i: usize| Ok(if judge(row, i)? { Then::Stay } else { Then::Go });
        match self.until_pause(col, meta, cx, judge)? {
            Reached::Wait(at) => Ok(Some(at)),
            Reached::End | Reached::Pause => Ok(None),
        }
    }

    /// The next row to be judged.
    pub(crate) const fn next(&self) -> usize {
        self.next
    }

    /// Calls `judge` for each row from the one where it left off, until it asks for a pause.
    #[inline]
    pub(crate) fn until_pause<C: Column>(
        &mut self,
        col: &C,
        meta: &Meta,
        cx: &mut StageCx<'_>,
        judge: &mut impl FnMut(C::Ref<'_>, usize) -> Result<Then, RowError>,
    ) -> Result<Reached, StageError> {
        let rows = col.rows();
        loop {
            let (next, gone) = (&mut self.next, &mut self.gone);
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let mut at = Place { row: *next, to: next };
                while at.row < rows {
                    match judge(col.row(at.row), at.row) {
                        Ok(Then::Stay) => {}
                        Ok(Then::Go) => gone.push(at.row as u32),
                        Ok(Then::Pause) => {
                            at.row += 1;
                            return Ok(Reached::Pause);
                        }
                        Err(e) => return Err(e),
                    }
                    at.row += 1;
                }
                Ok(Reached::End)
            }));
            let error = match ended {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(e)) => e,
                Err(p) => RowError::new(DeadCause::Panicked, panic_text(p.as_ref())),
            };
            if let Some(at) = self.failed(error, col, meta, cx)? {
                return Ok(Reached::Wait(at));
            }
        }
    }

    fn failed<C: Column>(
        &mut self,
        error: RowError,
        col: &C,
        meta: &Meta,
        cx: &mut StageCx<'_>,
    ) -> Result<Option<Moment>, StageError> {
        let row = self.next;
        let attempts = if self.tried.0 == row { self.tried.1 + 1 } else { 1 };
        self.tried = (row, attempts);
        if self.on.retry_after(error.class, attempts, 0).is_some()
            && let Some(wait) = self.on.retry_after(error.class, attempts, cx.draw())
        {
            cx.retried(1);
            return Ok(Some(cx.now().plus(wait)));
        }
        let name = cx.home().name.clone();
        let failed = Failed { part: "stage", name: &name, meta, row, attempts };
        if let Err(e) = failed.go(self.on, error, kept(Original::None, col, row), cx) {
            self.reset();
            return Err(e);
        }
        self.gone.push(row as u32);
        self.next += 1;
        Ok(None)
    }

    /// Takes the rows that went out of the batch and starts over.
    pub(crate) fn finish<C: Column>(&mut self, input: &mut Batch<C>) {
        if !self.gone.is_empty() {
            remove(input, &self.gone);
        }
        self.reset();
    }

    pub(crate) fn reset(&mut self) {
        self.next = 0;
        self.tried = (0, 0);
        self.gone.clear();
    }
}

/// Takes rows `gone` (ascending) out of a batch, metadata and key hashes with them.
pub(crate) fn remove<C: Column>(batch: &mut Batch<C>, gone: &[u32]) {
    let rows = batch.len() as u32;
    let to: Vec<u32> = (0..rows).map(|r| u32::from(gone.binary_search(&r).is_ok())).collect();
    let kept: Vec<u32> = (0..rows).filter(|&r| to[r as usize] == 0).collect();
    let (mut stay, mut go) = (C::default(), C::default());
    batch.col.scatter(&to, &mut [&mut stay, &mut go]);
    batch.col = stay;
    let mut meta = Meta::default();
    if !batch.meta.hash.is_empty() {
        meta.hash = kept.iter().map(|&r| batch.meta.hash[r as usize]).collect();
    }
    meta.select(&batch.meta, Some(kept));
    batch.meta = meta;
}

/// The stage of `filter_rows`.
pub struct FilterRows<C, F> {
    f: F,
    judging: Judging,
    column: PhantomData<fn() -> C>,
}

impl<C, F> fmt::Debug for FilterRows<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FilterRows")
    }
}

impl<C, F> FilterRows<C, F> {
    /// Rows for which `f` holds stay; `on` is for rows on which it panics.
    pub fn new(f: F, on: OnError) -> Self {
        Self { f, judging: Judging::new(on), column: PhantomData }
    }
}

impl<C, F> Stage for FilterRows<C, F>
where
    C: Column,
    F: for<'a> FnMut(C::Ref<'a>) -> bool + Send,
{
    type In = C;
    type Out = C;

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let Self { f, judging, .. } = self;
        let judge = &mut |row: C::Ref<'_>, _| Ok(f(row));
        if let Some(at) = judging.all(&input.col, &input.meta, cx, judge)? {
            return Ok(Step::Wait(at));
        }
        judging.finish(input);
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, C>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.control(Control::Passed(number));
        Ok(Step::Done)
    }
}

/// The stage of `validate_rows`.
pub struct ValidateRows<C, V> {
    validator: V,
    judging: Judging,
    column: PhantomData<fn() -> C>,
}

impl<C, V> fmt::Debug for ValidateRows<C, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValidateRows")
    }
}

impl<C, V> ValidateRows<C, V> {
    /// Rows that `validator` accepts stay; `on` is for the others.
    pub fn new(validator: V, on: OnError) -> Self {
        Self { validator, judging: Judging::new(on), column: PhantomData }
    }
}

impl<C: Column, V: Validator<C>> Stage for ValidateRows<C, V> {
    type In = C;
    type Out = C;

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let Self { validator, judging, .. } = self;
        let judge = &mut |row: C::Ref<'_>, _| validator.check(row).map(|()| true);
        if let Some(at) = judging.all(&input.col, &input.meta, cx, judge)? {
            return Ok(Step::Wait(at));
        }
        judging.finish(input);
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, C>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.control(Control::Passed(number));
        Ok(Step::Done)
    }
}
