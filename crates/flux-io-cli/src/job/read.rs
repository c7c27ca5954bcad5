//! The stage that reads records: bytes become JSON, the file's stages work on it, and what is left
//! becomes a fragment. One pass, no record rebuilt unless a stage changes it.

use super::fragment::Fragments;
use super::shape::Shape;
use crate::config::OnBad;
use flux_io::core::{
    Batch, ByteColumn, Column, Counts, DeadCause, ErrorClass, ErrorKind, ErrorRecord, Meta,
    Original, Out, RowError, Stage, StageCx, StageError, Step,
};
use flux_io::flow::ORIGINAL_BYTES;
use flux_io::record::{Editor, Filter, Limits, RecordColumn, RecordRef};

/// How bytes are a record.
#[derive(Clone, Debug)]
pub(crate) enum Parse {
    /// A JSON object.
    Json,
    /// A text, which becomes the field `line`.
    Line,
}

/// What one stage of the file does with a record.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Filter(Filter),
    Edit(Editor),
}

/// An operator of the stage, as reports name it.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) on_bad: OnBad,
    pub(crate) counts: Counts,
}

impl Operator {
    pub(crate) fn new(name: &str, on_bad: OnBad) -> Self {
        Self { name: name.to_owned(), on_bad, counts: Counts::default() }
    }
}

/// Reads the records of one source.
///
/// Operators: the first parses, the last makes fragments, between them stand the file's stages.
#[derive(Debug)]
pub(crate) struct Read {
    parse: Parse,
    limits: Limits,
    works: Vec<Work>,
    shape: Shape,
    operators: Vec<Operator>,
    scratch: [RecordColumn; 2],
    kept: Vec<u32>,
}

/// How a record fared.
enum Fate {
    Kept,
    Filtered,
    /// It failed in this operator.
    Failed(usize, RowError),
}

impl Read {
    /// Reads by `parse`, then does `works`, then makes fragments by `shape`. `operators` are two
    /// more than `works`.
    pub(crate) fn new(
        parse: Parse,
        limits: Limits,
        works: Vec<Work>,
        shape: Shape,
        operators: Vec<Operator>,
    ) -> Self {
        debug_assert_eq!(operators.len(), works.len() + 2);
        let scratch = [RecordColumn::default(), RecordColumn::default()];
        Self { parse, limits, works, shape, operators, scratch, kept: Vec::new() }
    }

    fn record(&mut self, bytes: &[u8], out: &mut Fragments) -> Fate {
        let [first, second] = &mut self.scratch;
        Column::clear(first);
        let read = match self.parse {
            Parse::Json => first.push_json(bytes, &self.limits).map_err(|e| e.into_row()),
            Parse::Line => line(bytes, first),
        };
        self.operators[0].counts.rows_in += 1;
        if let Err(e) = read {
            return Fate::Failed(0, e);
        }
        self.operators[0].counts.rows_out += 1;
        let (mut from, mut to) = (first, second);
        for (i, work) in self.works.iter_mut().enumerate() {
            let counts = &mut self.operators[i + 1].counts;
            counts.rows_in += 1;
            match work {
                Work::Filter(filter) => match filter.passes(from.row(0)) {
                    Ok(true) => {}
                    Ok(false) => return Fate::Filtered,
                    Err(e) => return Fate::Failed(i + 1, e),
                },
                Work::Edit(editor) => {
                    Column::clear(to);
                    if let Err(e) = editor.apply(from.row(0), to) {
                        return Fate::Failed(i + 1, e);
                    }
                    std::mem::swap(&mut from, &mut to);
                }
            }
            counts.rows_out += 1;
        }
        let last = self.operators.len() - 1;
        self.operators[last].counts.rows_in += 1;
        match push(&mut self.shape, from.row(0), out) {
            Ok(()) => {
                self.operators[last].counts.rows_out += 1;
                Fate::Kept
            }
            Err(e) => Fate::Failed(last, e),
        }
    }

    #[cold]
    fn failed(
        &mut self,
        operator: usize,
        error: RowError,
        (bytes, row, meta): (&[u8], usize, &Meta),
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        let Operator { name, on_bad, counts } = &mut self.operators[operator];
        counts.failed += 1;
        let seq = meta.seq.at(row);
        match on_bad {
            OnBad::Skip => cx.dropped("skip", 1),
            OnBad::DeadLetter => cx.dead(ErrorRecord {
                stage: cx.home().id,
                stage_name: name.clone(),
                source: meta.source,
                seq,
                original: Original::Bytes(bytes[..bytes.len().min(ORIGINAL_BYTES)].to_vec()),
                ..ErrorRecord::new(error.cause, error.what)
            }),
            OnBad::Fail => {
                let what = format!(
                    "record {} cannot be used in `{name}`, and on_bad = \"fail\": {}",
                    seq + 1,
                    error.what
                );
                return Err(StageError::new(ErrorClass::Permanent, ErrorKind::User, what));
            }
        }
        Ok(())
    }
}

fn push(shape: &mut Shape, record: RecordRef<'_>, out: &mut Fragments) -> Result<(), RowError> {
    // The key is a part of the record or of a template; both are far below the record's limit.
    if !out.fits(2 * record.text().len() + 4096) {
        return Err(RowError::new(DeadCause::Oversize, "the batch has no room for the record"));
    }
    shape.push(record, out)
}

/// A line as a record with the field `line`.
fn line(bytes: &[u8], out: &mut RecordColumn) -> Result<(), RowError> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        RowError::poison(format!("byte {}: the line is not UTF-8", e.valid_up_to() + 1))
    })?;
    out.push_with(|record| {
        record.str("line", text);
        Ok(())
    })
}

impl Stage for Read {
    type In = ByteColumn;
    type Out = Fragments;

    fn on_batch(
        &mut self,
        input: &mut Batch<ByteColumn>,
        out: &mut Out<'_, Fragments>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = input.len();
        self.kept.clear();
        let made = out.batch();
        for row in 0..rows {
            let bytes = input.col.row(row);
            match self.record(bytes, &mut made.col) {
                Fate::Kept => self.kept.push(row as u32),
                Fate::Filtered => {}
                Fate::Failed(operator, e) => {
                    self.failed(operator, e, (bytes, row, &input.meta), cx)?;
                }
            }
        }
        let gaps = self.kept.len() < rows;
        made.meta.select(&input.meta, gaps.then(|| std::mem::take(&mut self.kept)));
        // A batch out is a batch in: its numbers are those of its rows.
        out.seal();
        Ok(Step::Done)
    }

    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        self.operators.iter().enumerate().for_each(|(i, op)| each(i, op.counts));
    }
}
