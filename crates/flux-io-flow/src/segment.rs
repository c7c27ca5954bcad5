//! A segment: a kernel as a stage. It decides what metadata the rows carry that come out.

use crate::drive::{Drive, Operators, Ran};
use crate::kernel::Kernel;
use flux_io_core::raw::RowWriter;
use flux_io_core::{
    Batch, Column, Control, Counts, ErrorClass, ErrorKind, Meta, Out, Seq, SourceId, Stage,
    StageCx, StageError, Step, Uniform,
};
use std::fmt;
use std::marker::PhantomData;

/// Fused operators as one stage.
///
/// Metadata: rows of a kernel that keeps rows carry exactly what their input rows carried. Behind a
/// kernel that drops or adds rows, each row's origin is tracked when somebody downstream needs it,
/// when times or contexts differ from row to row, or when the batch has watermark positions. Else
/// sequence numbers are those of the batch's first row onward, and output batches of several inputs
/// are joined.
///
/// A kernel that adds rows (`flat_map`) numbers them anew, as a source does: the input's numbers
/// would not tell the rows made of one row apart. Their source is then the segment ([`MADE`]).
pub struct Segment<C, K> {
    kernel: K,
    ops: Operators,
    track: bool,
    rows: u64,
    behind: u64,
    begun: bool,
    at: u64,
    from: u64,
    lost: Vec<u32>,
    origins: Vec<u32>,
    /// Numbers for kernels that add rows.
    made: Made,
    column: PhantomData<fn() -> C>,
}

/// Source numbers from here on are of stages that number the rows they make: this plus the stage's
/// number in the plan.
pub const MADE: u32 = 1 << 31;
/// The number of the next row made, for stages that add rows: they number them anew.
#[derive(Debug, Default)]
pub(crate) struct Made(pub(crate) u64);

impl Made {
    /// Gives the next `rows` rows of a batch their source and numbers.
    pub(crate) fn number(&mut self, cx: &StageCx<'_>, meta: &mut Meta, rows: u64) {
        let home = cx.home();
        meta.source = SourceId(MADE | home.id.0);
        meta.seq = Seq::Run(u64::from(home.shard) * PER_SHARD + self.0);
        self.0 += rows;
    }

    pub(crate) fn snapshot(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0.to_le_bytes());
    }

    pub(crate) fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let Ok(bytes) = from.try_into() else {
            let what = format!("8 bytes are the number of the next row, not {}", from.len());
            return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what));
        };
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

/// Rows made by one instance before its numbers would reach those of the next.
const PER_SHARD: u64 = 1 << 48;

impl<C, K: fmt::Debug> fmt::Debug for Segment<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("kernel", &self.kernel).field("rows", &self.rows).finish()
    }
}

impl<C: Column, K: Kernel<C>> Segment<C, K> {
    /// A segment whose operators are called `names` and keep `policies`, both from the head;
    /// `track` = rows keep exact sequence numbers also behind filters.
    pub fn new(
        kernel: K,
        names: Vec<String>,
        policies: Vec<flux_io_core::OnError>,
        track: bool,
    ) -> Self {
        Self::of(kernel, Operators { names, on: policies }, track)
    }

    pub(crate) fn of(mut kernel: K, ops: Operators, track: bool) -> Self {
        kernel.policies(&ops.on, &mut 0);
        Self {
            kernel,
            ops,
            track,
            rows: 0,
            behind: 0,
            begun: false,
            at: 0,
            from: 0,
            lost: Vec::new(),
            origins: Vec::new(),
            made: Made::default(),
            column: PhantomData,
        }
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.at = 0;
            self.from = 0;
            self.lost.clear();
        }
    }

    /// Rows that come out one for one: input and output differ by lost rows only.
    fn keep(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, Vec<K::Out>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Ran, StageError> {
        out.seal();
        let batch = out.batch();
        let more = input.col.rows();
        let col = &mut batch.col;
        let (ops, at, lost) = (&self.ops, &mut self.at, &mut self.lost);
        let mut drive = Drive { ops, at, lost, behind: &mut self.behind };
        let ran = drive.run(&mut self.kernel, &mut input.col, &input.meta, cx, |k, c, at| {
            let mut writer = RowWriter::new(col, more + 1);
            k.run(c, at, &mut |_, y| {
                writer.put(y);
                true
            })
        });
        // A waiting row was taken, and comes out with the next piece.
        let to = if matches!(ran, Ok(Ran::Wait(_))) { self.at - 1 } else { self.at };
        let whole = self.from == 0 && self.lost.is_empty() && matches!(ran, Ok(Ran::All));
        let rows = (!whole).then(|| left(self.from, to, &mut self.lost));
        stamp(&mut batch.meta, &mut input.meta, rows, to);
        self.from = to;
        ran
    }

    /// Rows whose origin is written down one by one, until `room` rows came out.
    fn track(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, Vec<K::Out>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Ran, StageError> {
        out.seal();
        let room = out.max_rows();
        let batch = out.batch();
        let want = if K::EXPANDS { room } else { room.min(input.col.rows() + 1) };
        self.origins.clear();
        let (col, origins) = (&mut batch.col, &mut self.origins);
        let (ops, at, lost) = (&self.ops, &mut self.at, &mut self.lost);
        let mut drive = Drive { ops, at, lost, behind: &mut self.behind };
        let ran = drive.run(&mut self.kernel, &mut input.col, &input.meta, cx, |k, c, at| {
            let more = want.min(room - col.len());
            let mut from = RowWriter::new(origins, more);
            let mut rows = RowWriter::new(col, more);
            k.run(c, at, &mut |r, y| {
                rows.put(y);
                from.put(r);
                rows.rows() < room
            })
        });
        // A row that waits or is half poured out is behind the marks before it, not yet before
        // those behind it.
        let to = if matches!(ran, Ok(Ran::All)) { self.at } else { self.at.saturating_sub(1) };
        let rows = std::mem::take(&mut self.origins);
        stamp(&mut batch.meta, &mut input.meta, Some(rows), to);
        if K::EXPANDS {
            let rows = batch.len() as u64;
            self.made.number(cx, &mut out.batch().meta, rows);
        }
        ran
    }

    /// Rows whose origin nobody asks for; they join what the open batch holds.
    fn join(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, Vec<K::Out>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Ran, StageError> {
        let max = out.max_rows();
        let source = if K::EXPANDS { SourceId(MADE | cx.home().id.0) } else { input.meta.source };
        if !joins(out.batch(), source, &input.meta) || out.batch().len() >= max {
            out.seal();
        }
        let batch = out.batch();
        let before = batch.len();
        if batch.is_empty() {
            let seq = input.meta.seq.at(self.at as usize);
            batch.meta.select(&input.meta, None);
            batch.meta.seq = Seq::Run(seq);
            if K::EXPANDS {
                self.made.number(cx, &mut batch.meta, 0);
            }
        }
        let want = if K::EXPANDS { max } else { input.col.rows() + 1 };
        let col = &mut batch.col;
        let (ops, at, lost) = (&self.ops, &mut self.at, &mut self.lost);
        let mut drive = Drive { ops, at, lost, behind: &mut self.behind };
        let ran = drive.run(&mut self.kernel, &mut input.col, &input.meta, cx, |k, c, at| {
            let more = want.min(max - col.len());
            let mut rows = RowWriter::new(col, more);
            k.run(c, at, &mut |_, y| {
                rows.put(y);
                rows.rows() < max
            })
        });
        self.made.0 += (batch.len() - before) as u64;
        ran
    }
}

/// Whether rows of `meta` may stand in the open batch.
pub(crate) fn joins<C: Column>(open: &Batch<C>, source: SourceId, meta: &Meta) -> bool {
    let o = &open.meta;
    open.is_empty()
        || (o.source == source
            && matches!((&o.time, &meta.time), (Uniform::All(a), Uniform::All(b)) if a == b)
            && o.context == meta.context
            && o.window == meta.window
            && o.marks.is_empty())
}

/// Rows `from..to` without those that were lost, which are used up by it.
fn left(from: u64, to: u64, lost: &mut Vec<u32>) -> Vec<u32> {
    lost.sort_unstable();
    let gone = std::mem::take(lost);
    (from as u32..to as u32).filter(|r| gone.binary_search(r).is_err()).collect()
}

/// Gives an output batch the metadata of its rows, and those marks that hold once rows before `to`
/// were seen; later marks stay with the input.
pub(crate) fn stamp(out: &mut Meta, input: &mut Meta, rows: Option<Vec<u32>>, to: u64) {
    let cut = input.marks.partition_point(|m| u64::from(m.at) <= to);
    let later = input.marks.split_off(cut);
    out.select(input, rows);
    input.marks = later;
}

impl<C: Column, K: Kernel<C>> Stage for Segment<C, K> {
    type In = C;
    type Out = Vec<K::Out>;

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, Vec<K::Out>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.begin();
        let meta = &input.meta;
        let exact = self.track
            || !meta.marks.is_empty()
            || !meta.exceptional.is_empty()
            || matches!(meta.time, Uniform::Rows(_));
        loop {
            let before = self.at;
            let ran = match (K::KEEPS, exact) {
                (true, _) => self.keep(input, out, cx),
                (false, true) => self.track(input, out, cx),
                (false, false) => self.join(input, out, cx),
            };
            self.rows += self.at - before;
            self.begun = matches!(ran, Ok(Ran::Stopped | Ran::Wait(_)));
            match ran? {
                Ran::All if K::KEEPS || exact => {
                    out.seal();
                    return Ok(Step::Done);
                }
                Ran::All => {
                    out.seal_if_full();
                    return Ok(Step::Done);
                }
                Ran::Stopped => {
                    // Much work for nothing that came out: the driver looks whether to go on.
                    let fruitless = out.batch().is_empty();
                    out.seal();
                    if out.is_full() {
                        return Ok(Step::Yield);
                    }
                    if fruitless {
                        return Ok(Step::Wait(cx.now()));
                    }
                }
                Ran::Wait(at) => {
                    out.seal();
                    return Ok(Step::Wait(at));
                }
            }
        }
    }

    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, Vec<K::Out>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        // Rows that are made have numbers of their own.
        if !K::EXPANDS {
            out.control(Control::Passed(number));
        }
        Ok(Step::Done)
    }

    /// The number of the next row made, for kernels that add rows, and the states of operators.
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        if K::EXPANDS {
            self.made.snapshot(to);
        }
        self.kernel.save(to)
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut rest = from;
        if K::EXPANDS {
            let (made, behind) = rest.split_at_checked(8).unwrap_or((rest, &[]));
            self.made.restore(made)?;
            rest = behind;
        }
        self.kernel.load(&mut rest)?;
        if rest.is_empty() {
            return Ok(());
        }
        let what = format!("{} bytes are no snapshot of this segment", from.len());
        Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what))
    }

    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        // A single operator is the stage itself, which the driver counts.
        if self.ops.names.len() > 1 {
            let mut n = 0;
            self.kernel.counts(self.rows, &mut |c| {
                each(n, c);
                n += 1;
            });
        }
    }
}
