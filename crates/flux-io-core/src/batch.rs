//! What moves: a payload column with metadata columns that cost nothing when uniform.
//!
//! The batch is the unit of every boundary: call, await, channel, counter, error, acknowledgement.
//! Types are erased here, once per batch, behind a checked type id ([`AnyBatch`]).

use crate::column::Column;
use crate::context::{Context, Cost, EnvelopeMeta};
use crate::id::SourceId;
use crate::key::{UNKEYED, shard_of};
use crate::time::Timestamp;
use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

/// Sequence numbers of the rows: a run, or a run seen through the selection of surviving rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seq {
    /// `base`, `base + 1`, …
    Run(u64),
    /// `base + rows[i]`.
    Rows {
        /// Number of the first row of the run.
        base: u64,
        /// Offsets of the rows that are left, ascending.
        rows: Vec<u32>,
    },
}

impl Seq {
    /// The number of row `i`; at the greatest number they rise no more.
    #[inline]
    #[must_use]
    pub fn at(&self, i: usize) -> u64 {
        match self {
            Self::Run(base) => base.saturating_add(i as u64),
            Self::Rows { base, rows } => {
                let offset = rows.get(i).or(rows.last()).copied().unwrap_or(0);
                base.saturating_add(u64::from(offset))
            }
        }
    }

    /// A number that changes whenever rows are taken from the front.
    pub(crate) const fn place(&self) -> u64 {
        match self {
            Self::Run(base) => *base,
            Self::Rows { rows, .. } => rows.len() as u64,
        }
    }
}

/// One value for all rows, or one each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uniform<T> {
    /// The same for every row.
    All(T),
    /// One a row.
    Rows(Vec<T>),
}

impl<T: Copy> Uniform<T> {
    /// The value of row `i`.
    ///
    /// # Panics
    /// When values are per row and `i` is not one of them.
    #[inline]
    pub fn at(&self, i: usize) -> T {
        match self {
            Self::All(t) => *t,
            Self::Rows(v) => v[i],
        }
    }

    fn select(&self, rows: &[u32]) -> Self {
        match self {
            Self::All(t) => Self::All(*t),
            Self::Rows(v) => Self::Rows(rows.iter().map(|&i| v[i as usize]).collect()),
        }
    }
}

/// A watermark's place between two rows: it holds after `at` rows of the batch were seen.
///
/// `watermark = w` promises that no row with event time `<= w` is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Rows before the mark; the batch's row count for a mark at its end.
    pub at: u32,
    /// The promise.
    pub watermark: Timestamp,
}

/// Bounds of the window a batch stands for, set by window stages only. The end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowBounds {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

/// Metadata of a batch's rows.
///
/// Law C1: each column is uniform, empty (hash), or exactly as long as the batch; `marks` are
/// ascending in both fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// The source the rows came from.
    pub source: SourceId,
    /// Sequence numbers at that source.
    pub seq: Seq,
    /// Event time; ingestion time until a stage says otherwise.
    pub time: Uniform<Timestamp>,
    /// One key hash a row behind `key_by`, else empty.
    pub hash: Vec<u64>,
    /// Where watermarks stand between the rows.
    pub marks: Vec<Mark>,
    /// Shared headers, trace and attributes.
    pub context: Option<Arc<Context>>,
    /// Rows whose context differs from the shared one, ascending.
    pub exceptional: Vec<(u32, Arc<Context>)>,
    /// The window these rows stand for.
    pub window: Option<WindowBounds>,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            source: SourceId::default(),
            seq: Seq::Run(0),
            time: Uniform::All(Timestamp(0)),
            hash: Vec::new(),
            marks: Vec::new(),
            context: None,
            exceptional: Vec::new(),
            window: None,
        }
    }
}

impl Meta {
    /// Back to the metadata of a new batch, so that what is filled again carries nothing of the
    /// rows before; capacities of hashes, marks and contexts stay.
    pub fn clear(&mut self) {
        self.source = SourceId::default();
        self.seq = Seq::Run(0);
        self.time = Uniform::All(Timestamp(0));
        self.hash.clear();
        self.marks.clear();
        self.context = None;
        self.exceptional.clear();
        self.window = None;
    }

    /// The first `n` rows are gone: becomes the metadata of those behind them. A mark that stood
    /// before a row that is left stands before it still.
    pub fn advance(&mut self, n: usize) {
        let gone = n as u32;
        match &mut self.seq {
            Seq::Run(base) => *base = base.saturating_add(n as u64),
            Seq::Rows { rows, .. } => drop(rows.drain(..n.min(rows.len()))),
        }
        if let Uniform::Rows(times) = &mut self.time {
            times.drain(..n.min(times.len()));
        }
        self.hash.drain(..n.min(self.hash.len()));
        self.exceptional.retain(|e| e.0 >= gone);
        self.exceptional.iter_mut().for_each(|e| e.0 -= gone);
        let passed = self.marks.partition_point(|m| m.at <= gone);
        self.marks.drain(..passed.saturating_sub(1));
        self.marks.iter_mut().for_each(|m| m.at = m.at.saturating_sub(gone));
    }

    /// The context of row `i`.
    #[must_use]
    pub fn context_at(&self, i: usize) -> Option<&Arc<Context>> {
        let own = self.exceptional.binary_search_by_key(&(i as u32), |e| e.0).ok();
        own.map(|k| &self.exceptional[k].1).or(self.context.as_ref())
    }

    /// The metadata of row `i`, as an envelope shows it.
    ///
    /// # Panics
    /// When times are per row and `i` is not one of them.
    #[must_use]
    pub fn envelope(&self, i: usize, cost: Cost) -> EnvelopeMeta {
        let context = self.context_at(i).map(Arc::clone);
        EnvelopeMeta { seq: self.seq.at(i), time: self.time.at(i), cost, context }
    }

    /// Becomes the metadata of rows `rows` of `from` (all rows when `None`), marks included: a
    /// mark moves to behind the last kept row before it.
    ///
    /// Without `rows` the sequence run is kept as it is, which is right for a one-to-one stage.
    pub fn select(&mut self, from: &Self, rows: Option<Vec<u32>>) {
        self.source = from.source;
        self.context = from.context.as_ref().map(Arc::clone);
        self.window = from.window;
        let Some(rows) = rows else {
            self.seq = from.seq.clone();
            self.time = from.time.clone();
            self.exceptional.clone_from(&from.exceptional);
            self.marks.clone_from(&from.marks);
            return;
        };
        self.time = from.time.select(&rows);
        self.exceptional = rows
            .iter()
            .enumerate()
            .filter_map(|(to, &i)| {
                let k = from.exceptional.binary_search_by_key(&i, |e| e.0).ok()?;
                Some((to as u32, Arc::clone(&from.exceptional[k].1)))
            })
            .collect();
        self.marks.clear();
        for m in &from.marks {
            let at = rows.partition_point(|&r| r < m.at);
            push_mark(&mut self.marks, Mark { at: at as u32, watermark: m.watermark });
        }
        self.seq = match &from.seq {
            Seq::Run(base) => Seq::Rows { base: *base, rows },
            Seq::Rows { base, rows: old } => {
                Seq::Rows { base: *base, rows: rows.iter().map(|&i| old[i as usize]).collect() }
            }
        };
    }
}

/// Adds a mark behind the others; one at the same place replaces the one there, and one that does
/// not advance is left out.
pub fn push_mark(marks: &mut Vec<Mark>, m: Mark) {
    match marks.last_mut() {
        Some(last) if m.watermark <= last.watermark => {}
        Some(last) if last.at == m.at => last.watermark = m.watermark,
        _ => marks.push(m),
    }
}

/// A payload column with its metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch<C> {
    /// The payloads.
    pub col: C,
    /// Their metadata.
    pub meta: Meta,
}

impl<C: Column> Batch<C> {
    /// A batch of these rows, with default metadata.
    pub fn of(col: C) -> Self {
        Self { col, meta: Meta::default() }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.col.rows()
    }

    /// Whether there are no rows (marks may still be there).
    pub fn is_empty(&self) -> bool {
        self.col.rows() == 0
    }

    /// Removes rows and metadata, keeps capacities.
    pub fn clear(&mut self) {
        self.col.clear();
        self.meta.clear();
    }

    /// Adds a mark behind the last row.
    pub fn mark(&mut self, watermark: Timestamp) {
        let at = self.len() as u32;
        push_mark(&mut self.meta.marks, Mark { at, watermark });
    }
}

/// A batch behind a checked type id: what edges and engines carry.
trait ErasedBatch: Send {
    fn any(&mut self) -> &mut dyn Any;
    fn any_ref(&self) -> &dyn Any;
    fn type_name(&self) -> &'static str;
    fn len(&self) -> usize;
    fn bytes(&self) -> usize;
    fn meta(&self) -> &Meta;
    fn meta_mut(&mut self) -> &mut Meta;
    fn clear(&mut self);
    fn empty(&self) -> AnyBatch;
    fn scatter(&mut self, to: &[u32], outs: &mut [AnyBatch]) -> Result<(), WrongColumn>;
}

impl<C: Column> ErasedBatch for Batch<C> {
    fn any(&mut self) -> &mut dyn Any {
        self
    }
    fn any_ref(&self) -> &dyn Any {
        self
    }
    fn type_name(&self) -> &'static str {
        type_name::<C>()
    }
    fn len(&self) -> usize {
        self.col.rows()
    }
    fn bytes(&self) -> usize {
        self.col.bytes() + self.meta.hash.capacity() * 8 + self.meta.marks.capacity() * 16
    }
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }
    fn clear(&mut self) {
        Batch::clear(self);
    }
    fn empty(&self) -> AnyBatch {
        AnyBatch::new(Self::default())
    }
    fn scatter(&mut self, to: &[u32], outs: &mut [AnyBatch]) -> Result<(), WrongColumn> {
        let mut parts = Vec::with_capacity(outs.len());
        for o in outs.iter_mut() {
            parts.push(o.get_mut::<C>()?);
        }
        let rows = scatter_meta(&self.meta, to, &mut parts);
        // Hashes and marks have their places in the parts; the rest follows the rows.
        self.meta.hash.clear();
        self.meta.marks.clear();
        for (p, rows) in parts.iter_mut().zip(rows) {
            let hash = std::mem::take(&mut p.meta.hash);
            let marks = std::mem::take(&mut p.meta.marks);
            p.meta.select(&self.meta, Some(rows));
            (p.meta.hash, p.meta.marks) = (hash, marks);
        }
        let mut cols: Vec<&mut C> = parts.into_iter().map(|b| &mut b.col).collect();
        self.col.scatter(to, &mut cols);
        self.meta.clear();
        Ok(())
    }
}

/// Gives hashes and marks to the parts and returns each part's rows. A part learns a watermark
/// just before its next row, or at its end: the same rows lie before it as in the whole batch.
fn scatter_meta<C: Column>(from: &Meta, to: &[u32], parts: &mut [&mut Batch<C>]) -> Vec<Vec<u32>> {
    let mut rows: Vec<Vec<u32>> = parts.iter().map(|_| Vec::new()).collect();
    let mut told = vec![Timestamp::MIN; parts.len()];
    let mut marks = from.marks.iter().peekable();
    let mut now = Timestamp::MIN;
    for (i, &s) in to.iter().enumerate() {
        while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
            now = m.watermark;
        }
        let s = s as usize;
        if told[s] < now {
            told[s] = now;
            parts[s].meta.marks.push(Mark { at: rows[s].len() as u32, watermark: now });
        }
        rows[s].push(i as u32);
        if let Some(&h) = from.hash.get(i) {
            parts[s].meta.hash.push(h);
        }
    }
    if let Some(m) = marks.last() {
        now = m.watermark;
    }
    for (s, p) in parts.iter_mut().enumerate() {
        if told[s] < now {
            push_mark(&mut p.meta.marks, Mark { at: rows[s].len() as u32, watermark: now });
        }
    }
    rows
}

/// The batch is not of the column that was asked for. A plan that passed validation never gives
/// this; a hand-made plan may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column `{got}` arrived where `{want}` was planned; connect ports of one column type")]
pub struct WrongColumn {
    /// The column asked for.
    pub want: &'static str,
    /// The column that is there.
    pub got: &'static str,
}

/// A [`Batch`] of some column, found again by one comparison of type ids.
pub struct AnyBatch(Box<dyn ErasedBatch>);

impl fmt::Debug for AnyBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyBatch<{}>[{}]", self.0.type_name(), self.0.len())
    }
}

impl AnyBatch {
    /// Erases a batch.
    pub fn new<C: Column>(b: Batch<C>) -> Self {
        Self(Box::new(b))
    }

    /// The batch, if it is of column `C`.
    ///
    /// # Errors
    /// [`WrongColumn`] when it is of another one.
    #[inline]
    pub fn get_mut<C: Column>(&mut self) -> Result<&mut Batch<C>, WrongColumn> {
        let got = self.0.type_name();
        self.0.any().downcast_mut().ok_or(WrongColumn { want: type_name::<C>(), got })
    }

    /// The batch, if it is of column `C`.
    ///
    /// # Errors
    /// [`WrongColumn`] when it is of another one.
    #[inline]
    pub fn get<C: Column>(&self) -> Result<&Batch<C>, WrongColumn> {
        let got = self.0.type_name();
        self.0.any_ref().downcast_ref().ok_or(WrongColumn { want: type_name::<C>(), got })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Bytes held by the column and its metadata columns.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The rows' metadata.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        self.0.meta()
    }

    /// The rows' metadata, to be changed.
    pub fn meta_mut(&mut self) -> &mut Meta {
        self.0.meta_mut()
    }

    /// Removes rows and metadata, keeps capacities.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A new, empty batch of the same column.
    #[must_use]
    pub fn empty(&self) -> Self {
        self.0.empty()
    }

    /// Adds a mark behind the last row.
    pub fn mark(&mut self, watermark: Timestamp) {
        let at = self.len() as u32;
        push_mark(&mut self.meta_mut().marks, Mark { at, watermark });
    }

    /// Moves row `i` to `outs[to[i]]`, with its hash; marks go to every part, each at its place
    /// between that part's rows. Rows keep their order.
    ///
    /// # Errors
    /// [`WrongColumn`] when a part is of another column; then nothing has moved.
    pub fn scatter(&mut self, to: &[u32], outs: &mut [Self]) -> Result<(), WrongColumn> {
        self.0.scatter(to, outs)
    }

    /// Which of `shards` owns each row, by the high bits of its hash; rows without a key go to
    /// shard 0, so all of a batch without hashes.
    pub fn owners(&self, shards: u32, to: &mut Vec<u32>) {
        to.clear();
        let own = |&h: &u64| if h == UNKEYED { 0 } else { shard_of(h, shards) };
        to.extend(self.meta().hash.iter().map(own));
        to.resize(self.len(), 0);
    }
}

/// What a port carries: the planner's check of type continuity and the engine's batch factory.
#[derive(Clone, Copy, Debug)]
pub struct ColumnType {
    /// The column's type.
    pub id: TypeId,
    /// Its name, for people.
    pub name: &'static str,
    /// Makes an empty batch of it.
    pub new: fn() -> AnyBatch,
    /// Usual bytes of one row.
    pub row_bytes: usize,
}

impl ColumnType {
    /// The type of column `C`.
    #[must_use]
    pub fn of<C: Column>() -> Self {
        Self {
            id: TypeId::of::<C>(),
            name: type_name::<C>(),
            new: || AnyBatch::new(Batch::<C>::default()),
            row_bytes: C::row_bytes(),
        }
    }
}

impl PartialEq for ColumnType {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
