//! `batch`: cuts and joins batches by rows and by time.

use crate::meta::{join, joins, slice};
use flux_io_core::{
    Batch, Column, Control, Epoch, ErrorClass, ErrorKind, Out, Reservation, Stage, StageCx,
    StageError, Step, Timestamp,
};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// When a batch is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batching {
    /// Every row by itself.
    Record,
    /// This many rows; the last batch may be smaller.
    Fixed(usize),
    /// What came within this time of the batch's first row, by the engine's clock; at most as many
    /// rows as the plan's batches have.
    Time(Duration),
    /// This many rows, or what came within this time of the batch's first row.
    Hybrid {
        /// Rows.
        rows: usize,
        /// Longest wait of a row.
        linger: Duration,
    },
}

impl Batching {
    /// Rows of a full batch, where they are said.
    #[must_use]
    pub const fn rows(self) -> Option<usize> {
        match self {
            Self::Record => Some(1),
            Self::Fixed(rows) | Self::Hybrid { rows, .. } => Some(rows),
            Self::Time(_) => None,
        }
    }

    /// Longest wait of a row, where one is said.
    #[must_use]
    pub const fn linger(self) -> Option<Duration> {
        match self {
            Self::Time(linger) | Self::Hybrid { linger, .. } => Some(linger),
            Self::Record | Self::Fixed(_) => None,
        }
    }
}

/// The stage of `batch`.
///
/// Rows keep their metadata and watermark positions. A batch never mixes sources, contexts or
/// windows, nor rows before and behind a watermark that comes outside a batch: such a change passes
/// on what is held first, and so does a memory budget that refuses more; and so do, in front of a
/// join by number, rows that were dropped before it, as many as a batch has rows. A quiet input passes on
/// what is held when its time is over (B53), the end of input always does.
///
/// A snapshot is refused while rows are held: they have no codec.
pub struct Rebatch<C> {
    how: Batching,
    held: Batch<C>,
    parts: VecDeque<Batch<C>>,
    charge: Option<Reservation>,
    /// A number that was passed behind the rows that are held.
    passed: Option<u64>,
}

impl<C: Column> fmt::Debug for Rebatch<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rebatch({:?}, {} rows held)", self.how, self.held.len())
    }
}

impl<C: Column> Rebatch<C> {
    /// Batches by `how`.
    #[must_use]
    pub fn new(how: Batching) -> Self {
        Self { how, held: Batch::default(), parts: VecDeque::new(), charge: None, passed: None }
    }

    fn full(&self, out: &Out<'_, C>) -> usize {
        self.how.rows().unwrap_or_else(|| out.max_rows()).max(1)
    }

    fn flush(&mut self, out: &mut Out<'_, C>, cx: &mut StageCx<'_>) {
        cx.cancel_wake();
        if let Some(c) = &mut self.charge {
            c.shrink(u64::MAX);
        }
        out.swap(&mut self.held);
        self.held.clear();
        self.pass(out);
    }

    /// Passes a number on, as far as no row below it is held.
    fn pass(&mut self, out: &mut Out<'_, C>) {
        let held = (!self.held.is_empty()).then(|| self.held.meta.seq.at(0));
        if let Some(n) = self.passed.take() {
            out.control(Control::Passed(held.map_or(n, |first| first.min(n))));
            self.passed = held.map(|_| n);
        }
    }

    /// Cuts a batch where batches end: the first part fills up what is held.
    fn cut(&mut self, input: &mut Batch<C>, full: usize) {
        let rows = input.len();
        let first = full.saturating_sub(self.held.len()).max(1);
        if rows <= first || !joins(&self.held.meta, self.held.len(), &input.meta) && rows <= full {
            self.parts.push_back(std::mem::take(input));
            return;
        }
        let first = if joins(&self.held.meta, self.held.len(), &input.meta) { first } else { full };
        let part = |row: usize| if row < first { 0 } else { 1 + (row - first) / full };
        let to: Vec<u32> = (0..rows).map(|r| part(r) as u32).collect();
        let mut cols: Vec<C> = (0..=part(rows - 1)).map(|_| C::default()).collect();
        input.col.scatter(&to, &mut cols.iter_mut().collect::<Vec<_>>());
        let mut from = 0;
        for col in cols {
            let to = from + col.rows();
            self.parts.push_back(Batch { col, meta: slice(&input.meta, from, to) });
            from = to;
        }
        input.clear();
    }

    /// Takes a part behind what is held, or in its place.
    fn hold(&mut self, mut part: Batch<C>, out: &mut Out<'_, C>, cx: &mut StageCx<'_>) {
        let bytes = (part.len() * C::row_bytes()) as u64;
        let charge = self.charge.get_or_insert_with(|| cx.reservation());
        let fits = charge.try_grow(bytes).is_ok();
        let rows = self.held.len();
        if rows > 0 && !(fits && joins(&self.held.meta, rows, &part.meta)) {
            self.flush(out, cx);
        }
        if self.held.is_empty()
            && let Some(linger) = self.how.linger()
        {
            cx.wake_at(cx.now().plus(linger));
        }
        let (rows, n) = (self.held.len(), part.len());
        join(&mut self.held.meta, rows, part.meta, n);
        self.held.col.append(&mut part.col);
    }
}

impl<C: Column> Stage for Rebatch<C> {
    type In = C;
    type Out = C;

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let full = self.full(out);
        if !input.is_empty() {
            self.cut(input, full);
        } else if !input.meta.marks.is_empty() {
            // Marks without rows hold behind what is held.
            for m in std::mem::take(&mut input.meta.marks) {
                self.held.mark(m.watermark);
            }
        }
        while let Some(part) = self.parts.pop_front() {
            self.hold(part, out, cx);
            if self.held.len() >= full {
                self.flush(out, cx);
            }
            if out.is_full() && !self.parts.is_empty() {
                return Ok(Step::Yield);
            }
        }
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        _watermark: Timestamp,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.flush(out, cx);
        Ok(Step::Done)
    }

    /// Rows that are held are passed on when as many numbers were passed behind the first of them as
    /// there are rows in a batch: few rows of many would be waited for without end.
    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.passed = self.passed.max(Some(number));
        let since = number.saturating_sub(self.held.meta.seq.at(0));
        if !self.held.is_empty() && since >= self.full(out) as u64 {
            self.flush(out, cx);
        } else {
            self.pass(out);
        }
        Ok(Step::Done)
    }

    fn on_timer(&mut self, out: &mut Out<'_, C>, cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.flush(out, cx);
        Ok(Step::Done)
    }

    fn on_end(&mut self, out: &mut Out<'_, C>, cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.flush(out, cx);
        Ok(Step::Done)
    }

    /// Rows held back belong before the cut: they go out, so that there is nothing to save.
    fn on_barrier(
        &mut self,
        _epoch: Epoch,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.flush(out, cx);
        Ok(Step::Done)
    }

    fn snapshot(&mut self, _to: &mut Vec<u8>) -> Result<(), StageError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let what = "a batch stage holds rows, which have no codec; take checkpoints of plans \
                    without `batch`, or give it a shorter linger";
        Err(StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what))
    }
}
