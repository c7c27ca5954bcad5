//! Rows that a join holds: where they came from, what bounds them, how they are saved, and how they
//! go out again with their metadata.

use crate::codec::Codec;
use flux_io_core::{
    Batch, Context, ErrorClass, ErrorKind, HeapSize, Meta, Out, Reservation, Seq, SourceId,
    StageCx, StageError, Timestamp, Uniform,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Rows that a join holds of an input unless it is told otherwise: those of a full default edge.
pub const HELD_ROWS: usize = flux_io_core::DEFAULT_CAPACITY * flux_io_core::DEFAULT_ROWS;

/// What a join may hold, and how: of each input, or, where rows are found by id or number, of ids in
/// all ([`Join::hold`](super::Join::hold)).
///
/// An input that has brought `rows` rows too many, or more than `bytes` bytes, is left waiting: its
/// edge fills, and its sender is held back. Batches come whole, so up to a batch more is held of
/// each input; and so are the rows before a checkpoint's barrier while another input waits there.
pub struct Hold<T> {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) patience: Option<Duration>,
    heap: Option<fn(&T) -> usize>,
    codec: Option<Codec<T>>,
}

impl<T> fmt::Debug for Hold<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hold({} rows, ", self.rows)?;
        if self.bytes < usize::MAX {
            write!(f, "{} bytes, ", self.bytes)?;
        }
        write!(f, "patience {:?})", self.patience)
    }
}

impl<T> Default for Hold<T> {
    fn default() -> Self {
        Self { rows: HELD_ROWS, bytes: usize::MAX, patience: None, heap: None, codec: None }
    }
}

impl<T> Hold<T> {
    /// At most `rows` rows, at least one; no patience, no codec.
    #[must_use]
    pub fn rows(rows: usize) -> Self {
        Self { rows: rows.max(1), ..Self::default() }
    }

    /// At most `bytes` bytes besides, at least one row: the rows, what they own, and what the join
    /// needs to find them. The heap behind rows is charged to the memory budget of the run then,
    /// too; without this it is not known. A panic in `heap_bytes` is an error of the stage.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self
    where
        T: HeapSize,
    {
        self.bytes = bytes.max(1);
        self.heap = Some(T::heap_bytes);
        self
    }

    /// Bytes of a row that is held.
    fn cost(&self, row: &T) -> usize {
        size_of::<Held<T>>().saturating_add(self.heap.map_or(0, |heap| heap(row)))
    }

    /// Whether what is held is all that may be.
    pub(super) const fn is_full(&self, rows: usize, bytes: usize) -> bool {
        rows >= self.rows || (rows > 0 && bytes >= self.bytes)
    }

    /// Takes the rows out of a batch, each with its origin, and charges them first, with `more`
    /// bytes for each. Marks stay.
    pub(super) fn take<'a>(
        &self,
        input: &'a mut Batch<Vec<T>>,
        more: usize,
        charge: &mut Charge,
        cx: &StageCx<'_>,
    ) -> Result<impl Iterator<Item = Held<T>> + use<'a, T>, StageError>
    where
        T: Send + 'static,
    {
        let Batch { col, meta } = input;
        let each = size_of::<Held<T>>() + more;
        let heap = self.heap;
        let behind = heap.map_or(0, |heap| col.iter().map(heap).fold(0, usize::saturating_add));
        charge.grow(col.len(), col.len().saturating_mul(each).saturating_add(behind), cx)?;
        let meta = &*meta;
        Ok(col.drain(..).enumerate().map(move |(i, row)| {
            let bytes = size_of::<Held<T>>().saturating_add(heap.map_or(0, |heap| heap(&row)));
            Held { row, at: Origin { bytes, ..Origin::of(meta, i) } }
        }))
    }

    pub(super) const fn has_codec(&self) -> bool {
        self.codec.is_some()
    }

    /// How long, by the engine's clock, a join that is full waits for what it misses before it goes
    /// on without it. Without one it waits for as long as its inputs live. It makes the stage
    /// schedule-dependent.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// How held rows are written into a checkpoint and read back: `save` appends a row to the bytes,
    /// `load` answers `None` when the bytes are no row. Called at checkpoints only. Without it a checkpoint that
    /// finds rows held is given up, with the stage's name; the run goes on.
    #[must_use]
    pub fn durable(
        mut self,
        save: impl Fn(&T, &mut Vec<u8>) + Send + 'static,
        load: impl Fn(&[u8]) -> Option<T> + Send + 'static,
    ) -> Self {
        self.codec = Some(Codec::new(save, load));
        self
    }
}

/// Where a row came from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) source: SourceId,
    pub(super) seq: u64,
    pub(super) time: Timestamp,
    pub(super) context: Option<Arc<Context>>,
    /// What the row is charged with while it is held.
    pub(super) bytes: usize,
}

impl Origin {
    fn of(meta: &Meta, row: usize) -> Self {
        Self {
            bytes: 0,
            source: meta.source,
            seq: meta.seq.at(row),
            time: meta.time.at(row),
            context: meta.context_at(row).cloned(),
        }
    }
}

/// A row that waits.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) row: T,
    pub(super) at: Origin,
}

/// Puts a row behind the others of an output. With `exact`, each row keeps its own sequence number
/// and source, and a batch ends where one does not follow from the other; without, a batch is
/// called after its first row.
pub(super) fn put<T: Send + 'static>(out: &mut Out<'_, Vec<T>>, row: T, at: Origin, exact: bool) {
    let open = out.batch();
    if !open.col.is_empty() && !follows(&open.meta, open.col.len(), &at, exact) {
        out.seal();
    }
    let Batch { col, meta } = out.batch();
    let rows = col.len();
    if rows == 0 {
        let marks = std::mem::take(&mut meta.marks);
        *meta = Meta {
            source: at.source,
            seq: Seq::Run(at.seq),
            time: Uniform::All(at.time),
            context: at.context,
            marks,
            ..Meta::default()
        };
    } else {
        if exact {
            number(&mut meta.seq, rows, at.seq);
        }
        date(&mut meta.time, rows, at.time);
    }
    col.push(row);
    out.seal_if_full();
}

fn follows(meta: &Meta, rows: usize, at: &Origin, exact: bool) -> bool {
    let same = match (&meta.context, &at.context) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    let (Seq::Run(base) | Seq::Rows { base, .. }) = &meta.seq;
    let behind = || at.seq > meta.seq.at(rows - 1) && at.seq - base <= u64::from(u32::MAX);
    same && (!exact || meta.source == at.source && behind())
}

fn number(seq: &mut Seq, rows: usize, next: u64) {
    match seq {
        Seq::Run(base) if base.checked_add(rows as u64) == Some(next) => {}
        Seq::Run(base) => {
            let base = *base;
            let mut all: Vec<u32> = (0..rows as u32).collect();
            all.push((next - base) as u32);
            *seq = Seq::Rows { base, rows: all };
        }
        Seq::Rows { base, rows } => rows.push((next - *base) as u32),
    }
}

fn date(time: &mut Uniform<Timestamp>, rows: usize, next: Timestamp) {
    match time {
        Uniform::All(t) if *t == next => {}
        Uniform::All(t) => {
            let mut all = vec![*t; rows];
            all.push(next);
            *time = Uniform::Rows(all);
        }
        Uniform::Rows(all) => all.push(next),
    }
}

/// Memory for held rows, charged before they are held. Heap behind rows is counted where
/// [`Hold::bytes`] says how.
#[derive(Debug, Default)]
pub(super) struct Charge(Option<Reservation>);

impl Charge {
    fn grow(&mut self, rows: usize, bytes: usize, cx: &StageCx<'_>) -> Result<(), StageError> {
        self.0.get_or_insert_with(|| cx.reservation()).try_grow(bytes as u64).map_err(|e| {
            let what = format!("stage `{}` cannot hold {rows} rows more", cx.home().name);
            StageError::new(ErrorClass::Permanent, ErrorKind::User, what).because(e)
        })
    }

    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(r) = &mut self.0 {
            r.shrink(bytes as u64);
        }
    }
}

/// The version of the snapshots of joins.
const VERSION: u8 = 2;

/// Writes the snapshot of a join.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl<'a> Writer<'a> {
    pub(super) fn new(to: &'a mut Vec<u8>) -> Self {
        to.push(VERSION);
        Self(to)
    }

    pub(super) fn number(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    pub(super) fn option(&mut self, n: Option<u64>) {
        self.number(u64::from(n.is_some()));
        self.number(n.unwrap_or(0));
    }

    pub(super) fn time(&mut self, t: Timestamp) {
        self.number(t.0 as u64);
    }

    pub(super) fn row<T>(
        &mut self,
        row: &T,
        at: &Origin,
        hold: &Hold<T>,
    ) -> Result<(), StageError> {
        let refuse = |what| StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what);
        let Some(codec) = &hold.codec else {
            let what = "the stage holds rows, which have no codec; give it `Hold::durable(save, \
                        load)`";
            return Err(refuse(what));
        };
        if at.context.is_some() {
            return Err(refuse("the stage holds a row with a context, which has no codec"));
        }
        self.number(u64::from(at.source.0));
        self.number(at.seq);
        self.time(at.time);
        codec.save(row, self.0)
    }
}

/// Reads the snapshot of a join.
pub(super) struct Reader<'a>(&'a [u8]);

fn torn() -> StageError {
    let what = "the snapshot is of another stage or version, or torn";
    StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what)
}

impl<'a> Reader<'a> {
    pub(super) fn new(from: &'a [u8]) -> Result<Self, StageError> {
        match from.split_first() {
            Some((&VERSION, rest)) => Ok(Self(rest)),
            _ => Err(torn()),
        }
    }

    fn bytes(&mut self, n: usize) -> Result<&'a [u8], StageError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(torn)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn number(&mut self) -> Result<u64, StageError> {
        let bytes = self.bytes(8)?.try_into().map_err(|_| torn())?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn option(&mut self) -> Result<Option<u64>, StageError> {
        let there = self.number()? > 0;
        let n = self.number()?;
        Ok(there.then_some(n))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StageError> {
        Ok(Timestamp(self.number()? as i64))
    }

    /// A number of things that the rest of the snapshot has room for.
    pub(super) fn count(&mut self) -> Result<usize, StageError> {
        let n = usize::try_from(self.number()?).map_err(|_| torn())?;
        if n <= self.0.len() { Ok(n) } else { Err(torn()) }
    }

    pub(super) fn row<T>(&mut self, hold: &Hold<T>) -> Result<Held<T>, StageError> {
        let Some(codec) = &hold.codec else {
            let what = "the snapshot holds rows, but the stage has no codec for them; give it \
                        `Hold::durable(save, load)`";
            return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what));
        };
        let source = SourceId(u32::try_from(self.number()?).map_err(|_| torn())?);
        let (seq, time) = (self.number()?, self.time()?);
        let row = codec.load(&mut self.0)?;
        let bytes = hold.cost(&row);
        Ok(Held { row, at: Origin { source, seq, time, context: None, bytes } })
    }

    pub(super) fn end(self) -> Result<(), StageError> {
        if self.0.is_empty() { Ok(()) } else { Err(torn()) }
    }
}
