//! A batch: blocks of rows, with the watermarks at their places between them.

use super::guard::{Blame, Charge, Place};
use super::traits::{ALL, COUNT, MASK};
use super::{Accumulator, Cursor, Left, none};
use crate::timers::unordered;
use flux_io_core::hint::touch;
use flux_io_core::mutant;
use flux_io_core::{
    Accumulate, Batch, Column, ErrorClass, ErrorKind, Key, KeyOf, Out, StageError, Step, Timestamp,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows whose lines are asked for together. W5 is the same with 32 to 128 (docs/benchmarks.md).
const BLOCK: usize = 128;

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Handles the rows and marks of a batch from the cursor on. `Yield` keeps the cursor.
    pub(super) fn batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, Vec<Left<KO, A, C>>>,
    ) -> Result<Step, StageError> {
        let rows = input.col.rows();
        if input.meta.hash.len() != rows {
            return Err(StageError::new(
                ErrorClass::Catastrophic,
                ErrorKind::Plan,
                format!(
                    "{} key hashes for {rows} rows; put `key_by` before",
                    input.meta.hash.len()
                ),
            ));
        }
        let at = Cell::new(None);
        loop {
            let run = catch_unwind(AssertUnwindSafe(|| self.parts(input, out, &at)));
            match run {
                Ok(step) => return step,
                Err(p) => {
                    let row = at.take().map(|row| (row, &*input));
                    if let Err(e) = self.panicked(&*p, row) {
                        self.cursor = Cursor::default();
                        return Err(e);
                    }
                }
            }
        }
    }

    /// The parts of a batch between its marks. A row whose user code panics is noted in `at`, and the
    /// cursor stands where its part began.
    fn parts(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, Vec<Left<KO, A, C>>>,
        at: &Cell<Option<usize>>,
    ) -> Result<Step, StageError> {
        let rows = input.col.rows();
        loop {
            if self.drain(out)? == Step::Yield {
                if mutant!(MarkLostOnYield) {
                    self.cursor.marking = None;
                }
                return Ok(Step::Yield);
            }
            if let Some(w) = self.cursor.marking.take() {
                out.mark(w);
            }
            let next = input.meta.marks.get(self.cursor.mark).copied();
            let to = next.map_or(rows, |m| (m.at as usize).min(rows));
            if self.cursor.row < to {
                self.rows(input, to, out, at);
                out.seal_if_full();
                self.take_fault()?;
            } else if let Some(mark) = next {
                self.cursor.mark += 1;
                self.cursor.marking = Some(mark.watermark);
                self.raise(mark.watermark);
                continue;
            } else {
                self.cursor = Cursor::default();
                return Ok(Step::Done);
            }
            let more = self.cursor.row < rows || self.cursor.mark < input.meta.marks.len();
            if more && out.is_full() {
                if mutant!(RowTwiceOnYield) {
                    self.cursor.row -= 1;
                    self.tally.fragments -= 1;
                }
                return Ok(Step::Yield);
            }
        }
    }

    /// Handles rows up to `to`, or until the open output batch is full.
    fn rows(
        &mut self,
        input: &mut Batch<C>,
        to: usize,
        out: &mut Out<'_, Vec<Left<KO, A, C>>>,
        at: &Cell<Option<usize>>,
    ) {
        let max = out.max_rows();
        let ob = &mut out.batch().col;
        let start = self.cursor.row;
        self.cursor.row = match self.traits.kept {
            MASK => self.run::<MASK>(input, start, to, ob, max, at),
            COUNT => self.run::<COUNT>(input, start, to, ob, max, at),
            _ => self.run::<ALL>(input, start, to, ob, max, at),
        };
        self.tally.fragments += (self.cursor.row - start) as u64;
    }

    fn run<const KEPT: u8>(
        &mut self,
        input: &mut Batch<C>,
        start: usize,
        to: usize,
        ob: &mut Vec<Left<KO, A, C>>,
        max: usize,
        at: &Cell<Option<usize>>,
    ) -> usize {
        let mut place = Place { row: start, to: at };
        'all: while place.row < to {
            if place.row >= self.cursor.block.1 {
                self.look_ahead(&input.meta.hash, place.row);
            }
            let (first, end) = self.cursor.block;
            while place.row < end.min(to) {
                let hint = self.hints[place.row - first];
                let something_left = self.row::<KEPT>(input, place.row, hint, ob);
                place.row += 1;
                if something_left && (ob.len() >= max || self.fault.is_some()) {
                    break 'all;
                }
            }
        }
        place.leave()
    }

    /// The passes over a block that starts at row `at` before its rows are handled: index cells, the
    /// rows of the table that they name, what lies behind the keys in those.
    fn look_ahead(&mut self, hashes: &[u64], at: usize) {
        let block = &hashes[at..hashes.len().min(at + BLOCK)];
        self.cursor.block = (at, at + block.len());
        self.hints.clear();
        for &h in block {
            let tag = self.table.tag(h);
            self.table.index.prefetch(tag);
            self.hints.push((tag, 0));
        }
        if self.traits.tombs {
            for (tag, _) in &self.hints {
                self.tombs.prefetch(*tag);
            }
        }
        let mut new = 0;
        for (tag, slot) in &mut self.hints {
            *slot = self.table.index.guess(*tag);
            // A key that is not there will be opened in a slot that is known beforehand.
            let place = if none(*slot) {
                new += 1;
                self.table.next_slot(new - 1)
            } else {
                *slot as usize
            };
            touch(&mut self.table.rows, place);
            touch(&mut self.table.tails, place);
        }
        // The rows are there now, and with them the places of what lies behind their keys.
        for (_, slot) in &self.hints {
            if let Some(key) = self.table.rows.get(*slot as usize).and_then(|r| r.key.as_ref()) {
                let charge = Charge::new(&self.blame, Blame::Ahead { slot: *slot });
                key.touch();
                charge.done();
            }
        }
    }

    /// Emits the keys that are to leave; `Yield` when the output is full before all have.
    pub(super) fn drain(
        &mut self,
        out: &mut Out<'_, Vec<Left<KO, A, C>>>,
    ) -> Result<Step, StageError> {
        while let Some(d) = self.due.get(self.due_at).copied() {
            if out.is_full() {
                return Ok(Step::Yield);
            }
            self.due_at += 1;
            if self.alive(d.slot, d.life) {
                let moment = if d.event { unordered(d.at) } else { self.watermark };
                self.leave_at(d.slot, d.exit, moment, &mut out.batch().col);
                out.seal_if_full();
                self.take_fault()?;
            }
        }
        self.due.clear();
        self.due_at = 0;
        Ok(Step::Done)
    }

    /// Raises the watermark; a lower one is ignored.
    pub(super) fn raise(&mut self, to: Timestamp) {
        if to <= self.watermark {
            return;
        }
        self.watermark = to;
        if self.traits.tombs {
            let to = crate::timers::ordered(to);
            self.tombs.bury(to, &mut self.scratch, &mut self.purse);
        }
        self.collect_event();
    }
}
