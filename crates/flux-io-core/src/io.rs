//! Sources and sinks: async, batch-wise, cancel-safe, with positions.
//!
//! # Laws
//! - I1 cancel safety: before each await, everything taken from outside is in `out` or in `self`.
//!   Dropping the future loses nothing; the driver keeps `out` and calls again.
//! - I2 waits are absolute: a source that waits keeps its next instant in `self` and uses
//!   [`IoCx::sleep_until`]. There is no relative sleep.
//! - I4 `End` may come with rows; after it there are no more calls. `More` without rows is
//!   allowed, boundedly often.
//! - I5 a sink takes rows from the front; rows still in the batch when the future is dropped are
//!   offered again. `write` returning means accepted; `flush` handed to the operating system or the
//!   receiver; `prepare` and `close` as durable as the sink can make it, `close` visible too.
//! - I7 positions advance at checkpoint commit, never per item.

use crate::batch::{AnyBatch, Batch, ColumnType, Seq};
use crate::column::Column;
use crate::error::{ErrorClass, ErrorKind, ErrorRecord, StageError};
use crate::host::{Blocking, BoxFuture, Host, Sleep, watched};
use crate::id::{Epoch, SourceId};
use crate::sync::Arc;
use crate::time::{Moment, Timestamp};
use std::fmt;
use std::future::Future;

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Call again.
    More,
    /// That was all.
    End,
}

/// What sources and sinks may ask of the engine.
#[derive(Clone)]
pub struct IoCx {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) max_rows: usize,
}

impl fmt::Debug for IoCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IoCx(max_rows {})", self.max_rows)
    }
}

impl IoCx {
    /// For driving a source or sink by hand on a host of one's own.
    #[must_use]
    pub fn new(host: Arc<dyn Host>, max_rows: usize) -> Self {
        Self { host, max_rows: max_rows.max(1) }
    }

    /// Rows to add at most in this call.
    #[must_use]
    pub const fn max_rows(&self) -> usize {
        self.max_rows
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.host.now()
    }

    /// Wall-clock time, as data.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.host.wall()
    }

    /// Waits until `at` (law I2).
    #[must_use]
    pub fn sleep_until(&self, at: Moment) -> Sleep {
        Sleep::until(&self.host, at)
    }

    /// Runs work that blocks for a bounded time (files) where the engine wants it; in place on the
    /// sync engine. What may wait for somebody else belongs to [`IoCx::outside`].
    ///
    /// The job is not stopped when the future is dropped, so whatever it takes from outside must
    /// come back through state it shares with the source (law I1).
    pub fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Blocking<T> {
        Blocking::start(job, |job| self.host.blocking(job))
    }

    /// Runs work that may block for ever (pipes, terminals, sockets without a reactor), on a thread
    /// that nothing else waits for: no other source, no stop, not the end of the run. Start at most
    /// one at a time. The job is not stopped either; see [`IoCx::blocking`].
    pub fn outside<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Blocking<T> {
        Blocking::start(job, |job| self.host.outside(job))
    }

    /// Whether sockets can be used on this engine.
    #[must_use]
    pub fn has_reactor(&self) -> bool {
        self.host.has_reactor()
    }
}

/// A place in a source, opaque to everyone else: what a checkpoint keeps and `seek` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CheckpointToken(pub Vec<u8>);

/// What a connector is and needs; checked by the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorDescriptor {
    /// The kind, for people: "ndjson file", "channel".
    pub kind: &'static str,
    /// What it is connected to: a path, a URI; never a secret.
    pub target: String,
    /// Whether a source can give and take positions.
    pub seekable: bool,
    /// Whether a sink can prepare and commit.
    pub transactional: bool,
    /// Whether it needs an engine with a reactor (sockets).
    pub needs_reactor: bool,
}

impl ConnectorDescriptor {
    /// A connector with no abilities and no needs.
    pub fn new(kind: &'static str, target: impl Into<String>) -> Self {
        Self {
            kind,
            target: target.into(),
            seekable: false,
            transactional: false,
            needs_reactor: false,
        }
    }
}

/// Where rows come from. See the module for the laws.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of rows",
    note = "use `source::iter(..)` for an iterator, or implement `Source`"
)]
pub trait Source: Send {
    /// Column of the rows.
    type Col: Column;

    /// Appends up to `cx.max_rows()` rows to `out`, waiting if none is there. Cancel-safe (I1).
    ///
    /// # Errors
    /// Transient ones may be tried again by the stage's policy, others end the run.
    fn fill(
        &mut self,
        out: &mut Batch<Self::Col>,
        cx: &IoCx,
    ) -> impl Future<Output = Result<Filled, StageError>> + Send;

    /// Like `fill`, if that is possible without waiting. A convenience, not a need.
    fn try_fill(
        &mut self,
        out: &mut Batch<Self::Col>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        let _ = (out, max_rows);
        None
    }

    /// Rows that could not be read, since the last call: they become dead letters with their
    /// position. Their `seq` is set by the source.
    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        Vec::new()
    }

    /// What the source promises about event times still to come, after the rows given so far.
    fn watermark(&self) -> Option<Timestamp> {
        None
    }

    /// The place behind the rows given so far, if the source can name it.
    fn position(&self) -> Option<CheckpointToken> {
        None
    }

    /// Goes to a place that `position` named. Called before the first `fill`.
    ///
    /// # Errors
    /// When the source cannot seek or the place is gone; nothing was read then.
    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let _ = token;
        Err(StageError::permanent("this source cannot seek; start the run without a checkpoint"))
    }

    /// What it is and needs.
    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("source", "")
    }
}

/// A source whose positions can be trusted for recovery: `seek(position())` continues exactly
/// behind the rows given so far.
pub trait RecoverableSource: Source {}

/// Where rows go. See the module for the laws.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take the rows of this flow",
    note = "a sink's column must be the flow's column"
)]
pub trait Sink: Send {
    /// Column of the rows.
    type Col: Column;

    /// Takes all rows of `batch`, from the front, by removing them from its column. Cancel-safe
    /// (I5). The metadata of rows that are left moves up by [`Meta::advance`](crate::Meta::advance):
    /// here, or where this returns, since the driver sees whether it has.
    ///
    /// # Errors
    /// The stage's error policy decides; rows still in `batch` were not accepted.
    fn write(
        &mut self,
        batch: &mut Batch<Self::Col>,
        cx: &IoCx,
    ) -> impl Future<Output = Result<(), StageError>> + Send;

    /// Hands everything accepted to the operating system, or to the receiver: nothing of it stays
    /// in a buffer of the sink because more may come. Called when the input goes quiet, between
    /// `write`s and as often as that happens, so it must be cheap and does not wait for a disk:
    /// durability is for `prepare` and `close`. Cancel-safe: a flush that was dropped is begun
    /// again, and what it had handed over is not handed over twice.
    ///
    /// The default does nothing, which is right for a sink that keeps nothing back in `write`.
    ///
    /// # Errors
    /// Transient ones are tried again by the stage's policy; otherwise the run ends, since what was
    /// accepted since the last flush may be lost.
    fn flush(&mut self, cx: &IoCx) -> impl Future<Output = Result<(), StageError>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Whether `flush` may have something to hand over. A sink that keeps nothing back in `write`
    /// says no, and costs no timer while its input is quiet.
    fn holds_back(&self) -> bool {
        true
    }

    /// Finishes: what was accepted is as durable as the sink can make it, and visible. Called once,
    /// at the end of the input. The default flushes: a sink whose `flush` leaves something to be
    /// done (a disk to wait for, a trailer to write, a name to give) has a `close` of its own.
    ///
    /// # Errors
    /// When it could not be finished; nothing half-finished is visible then.
    fn close(&mut self, cx: &IoCx) -> impl Future<Output = Result<(), StageError>> + Send {
        self.flush(cx)
    }

    /// Gives up: what was accepted and not prepared shall never become visible. Called once when a
    /// run is aborted or fails, or its tasks are dropped. What was prepared is left as it is: its
    /// epoch may be complete, and [`Sink::recover`] decides.
    fn abort(&mut self) {}

    /// First half of a two-phase commit: everything accepted so far is durable under `epoch`, and
    /// not yet visible. The default flushes, which is all there is to do for a sink that has
    /// nothing durable; one that has waits for its disk here, also when nothing was accepted since
    /// the last flush.
    ///
    /// # Errors
    /// Transient ones are tried again by the stage's policy; otherwise the checkpoint is given up,
    /// and what was accepted belongs to the next one.
    fn prepare(
        &mut self,
        epoch: Epoch,
        cx: &IoCx,
    ) -> impl Future<Output = Result<(), StageError>> + Send {
        let _ = epoch;
        self.flush(cx)
    }

    /// Second half: what was prepared under `epoch` becomes visible. Idempotent.
    ///
    /// # Errors
    /// Transient ones are tried again by the stage's policy; otherwise the run ends and the epoch
    /// stays prepared, for [`Sink::recover`].
    fn commit(
        &mut self,
        epoch: Epoch,
        cx: &IoCx,
    ) -> impl Future<Output = Result<(), StageError>> + Send {
        let _ = (epoch, cx);
        async { Ok(()) }
    }

    /// Called once, before the first row, in a run that is restored: commits what was prepared up
    /// to `done`, the newest complete epoch, and aborts the rest. Idempotent.
    ///
    /// # Errors
    /// The run ends: an epoch that must be committed is gone.
    fn recover(
        &mut self,
        done: Option<Epoch>,
        cx: &IoCx,
    ) -> impl Future<Output = Result<(), StageError>> + Send {
        let _ = (done, cx);
        async { Ok(()) }
    }

    /// What it is and needs.
    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("sink", "")
    }
}

/// A sink whose `prepare`, `commit` and `abort` keep their promises across a crash, so that each
/// row becomes visible exactly once.
///
/// # Laws
/// - Nothing accepted is visible before the `commit` of its epoch.
/// - `commit` of a prepared epoch succeeds in the end, however often it is called.
/// - `recover(done)` commits prepared epochs up to `done` and aborts later ones.
pub trait TransactionalSink: Sink {}

/// A source with its types erased, once per batch.
pub trait DynSource: Send {
    /// Column of the rows.
    fn column(&self) -> ColumnType;
    /// See [`Source::try_fill`].
    fn try_fill(
        &mut self,
        out: &mut AnyBatch,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>>;
    /// See [`Source::fill`]. Sequence numbers are assigned also when the future is dropped.
    fn fill<'a>(
        &'a mut self,
        out: &'a mut AnyBatch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<Filled, StageError>>;
    /// See [`Source::take_faults`].
    fn take_faults(&mut self) -> Vec<ErrorRecord>;
    /// See [`Source::watermark`].
    fn watermark(&self) -> Option<Timestamp>;
    /// See [`Source::position`]; carries the sequence number too.
    fn position(&self) -> Option<CheckpointToken>;
    /// See [`Source::seek`].
    ///
    /// # Errors
    /// When the source cannot seek or the place is gone.
    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError>;
    /// See [`Source::descriptor`].
    fn descriptor(&self) -> ConnectorDescriptor;
}

/// A [`Source`] as a [`DynSource`]: numbers the rows.
#[derive(Debug)]
pub struct ErasedSource<S> {
    source: S,
    id: SourceId,
    next: u64,
}

impl<S> ErasedSource<S> {
    /// Numbers rows from 0.
    pub const fn new(source: S, id: SourceId) -> Self {
        Self { source, id, next: 0 }
    }
}

impl<S: Source> ErasedSource<S> {
    fn stamp<'b>(&self, out: &'b mut AnyBatch) -> Result<&'b mut Batch<S::Col>, StageError> {
        let b = out.get_mut::<S::Col>()?;
        b.meta.source = self.id;
        if b.is_empty() {
            b.meta.seq = Seq::Run(self.next);
        }
        Ok(b)
    }
}

/// Counts rows also when the future that adds them is dropped.
struct CountRows<'a, C: Column> {
    before: usize,
    next: &'a mut u64,
    batch: &'a mut Batch<C>,
}

impl<C: Column> Drop for CountRows<'_, C> {
    fn drop(&mut self) {
        *self.next += (self.batch.len() - self.before) as u64;
    }
}

impl<S: Source> DynSource for ErasedSource<S> {
    fn column(&self) -> ColumnType {
        ColumnType::of::<S::Col>()
    }
    fn try_fill(
        &mut self,
        out: &mut AnyBatch,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        let batch = match self.stamp(out) {
            Ok(b) => b,
            Err(e) => return Some(Err(e)),
        };
        let rows = CountRows { before: batch.len(), next: &mut self.next, batch };
        self.source.try_fill(rows.batch, max_rows)
    }
    fn fill<'a>(
        &'a mut self,
        out: &'a mut AnyBatch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<Filled, StageError>> {
        Box::pin(async move {
            let batch = self.stamp(out)?;
            let rows = CountRows { before: batch.len(), next: &mut self.next, batch };
            watched(&cx.host, self.source.fill(rows.batch, cx)).await
        })
    }
    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        let mut faults = self.source.take_faults();
        faults.iter_mut().for_each(|f| f.source = self.id);
        faults
    }
    fn watermark(&self) -> Option<Timestamp> {
        self.source.watermark()
    }
    fn position(&self) -> Option<CheckpointToken> {
        let mut bytes = self.next.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.source.position()?.0);
        Some(CheckpointToken(bytes))
    }
    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let bad = || {
            let what = "the checkpoint's source position is shorter than 8 bytes";
            StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what)
        };
        let (next, rest) = token.0.split_first_chunk::<8>().ok_or_else(bad)?;
        self.source.seek(&CheckpointToken(rest.to_vec()))?;
        self.next = u64::from_le_bytes(*next);
        Ok(())
    }
    fn descriptor(&self) -> ConnectorDescriptor {
        self.source.descriptor()
    }
}

/// A sink with its types erased, once per batch.
pub trait DynSink: Send {
    /// Column of the rows.
    fn column(&self) -> ColumnType;
    /// See [`Sink::write`].
    fn write<'a>(
        &'a mut self,
        batch: &'a mut AnyBatch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    /// See [`Sink::flush`].
    fn flush<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>>;
    /// See [`Sink::holds_back`].
    fn holds_back(&self) -> bool;
    /// See [`Sink::close`].
    fn close<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>>;
    /// See [`Sink::abort`].
    fn abort(&mut self);
    /// See [`Sink::prepare`].
    fn prepare<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    /// See [`Sink::commit`].
    fn commit<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    /// See [`Sink::recover`].
    fn recover<'a>(
        &'a mut self,
        done: Option<Epoch>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    /// See [`Sink::descriptor`].
    fn descriptor(&self) -> ConnectorDescriptor;
}

/// A [`Sink`] as a [`DynSink`].
#[derive(Debug)]
pub struct ErasedSink<S>(pub S);

impl<S: Sink> DynSink for ErasedSink<S> {
    fn column(&self) -> ColumnType {
        ColumnType::of::<S::Col>()
    }
    fn write<'a>(
        &'a mut self,
        batch: &'a mut AnyBatch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(async move { watched(&cx.host, self.0.write(batch.get_mut()?, cx)).await })
    }
    fn flush<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(watched(&cx.host, self.0.flush(cx)))
    }
    fn holds_back(&self) -> bool {
        self.0.holds_back()
    }
    fn close<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(watched(&cx.host, self.0.close(cx)))
    }
    fn abort(&mut self) {
        self.0.abort();
    }
    fn prepare<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(watched(&cx.host, self.0.prepare(epoch, cx)))
    }
    fn commit<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(watched(&cx.host, self.0.commit(epoch, cx)))
    }
    fn recover<'a>(
        &'a mut self,
        done: Option<Epoch>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(watched(&cx.host, self.0.recover(done, cx)))
    }
    fn descriptor(&self) -> ConnectorDescriptor {
        self.0.descriptor()
    }
}
