//! The stage between a source and the accumulator: the file's stages work on each record, and what
//! is left becomes a fragment. A record that no stage changes is copied once.

use super::fragment::Fragments;
use super::records::{Records, Seen};
use super::shape::Shape;
use crate::config::OnBad;
use flux_io::core::{
    Batch, Column, Counts, DeadCause, ErrorClass, ErrorKind, ErrorRecord, Meta, Original, Out,
    RowError, Stage, StageCx, StageError, Step,
};
use flux_io::record::{Editor, Filter, Jq, RecordColumn, RecordRef};

/// What one stage of the file does with a record.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Filter(Filter),
    Edit(Editor),
    Jq(Box<Jq>),
}

/// An operator of the stage, as reports name it.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) on_bad: OnBad,
    counts: Counts,
}

impl Operator {
    pub(crate) fn new(name: String, on_bad: OnBad) -> Self {
        Self { name, on_bad, counts: Counts::default() }
    }
}

/// Works on the records of one source.
///
/// Operators: one for each of the file's stages, and the last, which makes fragments.
#[derive(Debug)]
pub(crate) struct Read {
    /// What places in messages begin with: the input's name, where there is one alone.
    input: String,
    works: Vec<Work>,
    shape: Shape,
    operators: Vec<Operator>,
    scratch: [RecordColumn; 2],
    /// The row that each fragment came from.
    kept: Vec<u32>,
    /// Operators that failed for the row in hand, and why.
    failed: Vec<(usize, RowError)>,
}

impl Read {
    /// Does `works`, then makes fragments by `shape`. `operators` are one more than `works`.
    pub(crate) fn new(
        input: String,
        works: Vec<Work>,
        shape: Shape,
        operators: Vec<Operator>,
    ) -> Self {
        debug_assert_eq!(operators.len(), works.len() + 1);
        let scratch = [RecordColumn::default(), RecordColumn::default()];
        let (kept, failed) = (Vec::new(), Vec::new());
        Self { input, works, shape, operators, scratch, kept, failed }
    }

    #[inline]
    fn record(&mut self, row: u32, seen: Seen<'_>, out: &mut Fragments) {
        if self.works.is_empty() {
            self.shaped(0, row, seen.record, seen.line, out);
            return;
        }
        let [mut from, mut to] = std::mem::take(&mut self.scratch);
        Column::clear(&mut from);
        if !from.push(seen.record) {
            self.failed.push((0, full()));
        }
        for (i, work) in self.works.iter_mut().enumerate() {
            let counts = &mut self.operators[i].counts;
            counts.rows_in += from.rows() as u64;
            Column::clear(&mut to);
            work.apply(&from, &mut to, |e| self.failed.push((i, e)));
            counts.rows_out += to.rows() as u64;
            std::mem::swap(&mut from, &mut to);
        }
        for record in from.iter() {
            self.shaped(self.works.len(), row, record, seen.line, out);
        }
        self.scratch = [from, to];
    }

    #[inline]
    fn shaped(
        &mut self,
        operator: usize,
        row: u32,
        record: RecordRef<'_>,
        line: u64,
        out: &mut Fragments,
    ) {
        let counts = &mut self.operators[operator].counts;
        counts.rows_in += 1;
        // The key is made of fields of the record; with a template's own text it is far below 2x.
        let room = out.fits(2 * record.text().len() + 4096);
        let pushed = if room { self.shape.push(record, line, out) } else { Err(full()) };
        match pushed {
            Ok(()) => {
                counts.rows_out += 1;
                self.kept.push(row);
            }
            Err(e) => self.failed.push((operator, e)),
        }
    }

    /// What the policies say of what failed for a row.
    #[cold]
    fn judge(
        &mut self,
        seen: Seen<'_>,
        meta: &Meta,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        for (operator, error) in self.failed.drain(..) {
            let Operator { name, on_bad, counts } = &mut self.operators[operator];
            counts.failed += 1;
            let what = format!("{}line {}: {}", self.input, seen.line + 1, error.what);
            match on_bad {
                OnBad::Skip => cx.dropped("skip", 1),
                OnBad::DeadLetter => cx.dead(ErrorRecord {
                    stage: cx.home().id,
                    stage_name: name.clone(),
                    source: meta.source,
                    seq: seen.line,
                    original: Original::Bytes(seen.record.text().as_bytes().to_vec()),
                    ..ErrorRecord::new(error.cause, what)
                }),
                OnBad::Fail => {
                    let what = format!("`{name}` at {what} (on_bad = \"fail\")");
                    let (class, kind) = (ErrorClass::Permanent, ErrorKind::User);
                    return Err(StageError::new(class, kind, what));
                }
            }
        }
        Ok(())
    }
}

#[cold]
fn full() -> RowError {
    RowError::new(DeadCause::Oversize, "the batch has no room for the record")
}

impl Work {
    fn apply(
        &mut self,
        from: &RecordColumn,
        to: &mut RecordColumn,
        mut failed: impl FnMut(RowError),
    ) {
        for record in from.iter() {
            let done = match self {
                Self::Filter(filter) => match filter.passes(record) {
                    Ok(true) if !to.push(record) => Err(full()),
                    passed => passed.map(drop),
                },
                Self::Edit(editor) => editor.apply(record, to),
                Self::Jq(jq) => jq.apply(record, to).map(drop),
            };
            if let Err(e) = done {
                failed(e);
            }
        }
    }
}

impl Stage for Read {
    type In = Records;
    type Out = Fragments;

    fn on_batch(
        &mut self,
        input: &mut Batch<Records>,
        out: &mut Out<'_, Fragments>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = input.len();
        self.kept.clear();
        let made = out.batch();
        for row in 0..rows {
            let seen = input.col.row(row);
            self.record(row as u32, seen, &mut made.col);
            if !self.failed.is_empty() {
                self.judge(seen, &input.meta, cx)?;
            }
        }
        let same =
            self.kept.len() == rows && self.kept.last().is_none_or(|l| *l as usize == rows - 1);
        made.meta.select(&input.meta, (!same).then(|| std::mem::take(&mut self.kept)));
        // A batch out is a batch in: its numbers are those of its rows.
        out.seal();
        Ok(Step::Done)
    }

    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        self.operators.iter().enumerate().for_each(|(i, op)| each(i, op.counts));
    }
}
