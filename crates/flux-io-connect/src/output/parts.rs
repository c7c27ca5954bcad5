//! A directory of part files, one an epoch: each row becomes visible exactly once, also across
//! crashes.

use super::buffered::Buffered;
use super::compress::Compression;
use super::encode::Encode;
use super::names::Names;
use super::parts_target::Target;
use crate::disk::{Disk, OsDisk};
use crate::frames::BLOCK_BYTES;
use crate::offload::Place;
use crate::sync::Arc;
use flux_io_core::{
    Batch, ConnectorDescriptor, Epoch, ErrorClass, ErrorKind, IoCx, Sink, StageError,
    TransactionalSink,
};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The directory was not looked at yet.
    New,
    Open,
    Closed,
    Aborted,
}

/// Rows into a directory, one file an epoch: `orders.ndjson` becomes `orders-000000000007.ndjson`.
///
/// - Rows go into a hidden temporary file; `flush` hands them to the operating system. `prepare(e)` makes it durable as
///   `orders.ndjson.part-7`, not yet visible to readers of `orders-*.ndjson`. `commit(e)` renames
///   what was prepared up to `e`; it may be called again. An epoch without rows makes an empty
///   file, so that a lost file is told from an empty one.
/// - `recover(done)` commits what was prepared up to `done` and removes the rest. A file of a later
///   epoch that is visible already is an error: the checkpoint is older than the output.
/// - Without checkpoints, `close` commits everything under the next epoch.
/// - `abort`, or dropping it, removes the temporary file. Prepared files stay for `recover`, since
///   the checkpoint they belong to may have been made.
/// - A directory that holds such files already is refused unless `recover` was called.
/// - After a failed write or fsync it is given up; a failed `commit` may be tried again.
///
/// The directory must exist and belong to one run at a time. Do not remove its newest file while a
/// run may still be resumed.
#[derive(Debug)]
pub struct PartsSink<E> {
    encode: E,
    out: Buffered<Target>,
    dir: PathBuf,
    phase: Phase,
    write_bytes: usize,
    /// Rows were accepted since the last `prepare`.
    rows: bool,
    /// A job that prepares this epoch was started.
    preparing: Option<Epoch>,
    /// A job that commits up to this epoch was started.
    committing: Option<Epoch>,
    /// A job that recovers to this epoch was started.
    recovering: Option<Option<Epoch>>,
    /// The newest epoch prepared.
    last: Option<Epoch>,
    /// The newest epoch committed.
    committed: Option<Epoch>,
}

impl<E: Encode> PartsSink<E> {
    /// A sink into directory `dir`, files named after `name`, encoded by `encode`.
    pub fn new(dir: impl Into<PathBuf>, name: impl Into<String>, encode: E) -> Self {
        let dir = dir.into();
        let names = Names::new(dir.clone(), name.into());
        Self {
            encode,
            out: Buffered::new(Target::new(Arc::new(OsDisk), names), Place::Disk),
            dir,
            phase: Phase::New,
            write_bytes: BLOCK_BYTES,
            rows: false,
            preparing: None,
            committing: None,
            recovering: None,
            last: None,
            committed: None,
        }
    }

    /// Compresses what is written. Default: not.
    #[must_use]
    pub fn compression(mut self, how: Compression) -> Self {
        if let Some(t) = self.out.here() {
            t.compression = how;
        }
        self
    }

    /// Uses another file system than the operating system's.
    #[must_use]
    pub fn on_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        if let Some(t) = self.out.here() {
            t.disk = disk;
        }
        self
    }

    /// Writes when `bytes` bytes wait (at least 1). Default 256 KiB.
    #[must_use]
    pub fn write_bytes(mut self, bytes: usize) -> Self {
        self.write_bytes = bytes.max(1);
        self
    }

    fn refused(&self, how: &str) -> StageError {
        let what = format!("the part files in {} {how}", self.dir.display());
        StageError::new(ErrorClass::Permanent, ErrorKind::Io, what)
    }

    fn usable(&self) -> Result<(), StageError> {
        match self.phase {
            Phase::New | Phase::Open => Ok(()),
            Phase::Closed => Err(self.refused("are closed; nothing more can be written")),
            Phase::Aborted => Err(self.refused("were given up; nothing more can be written")),
        }
    }

    async fn open(&mut self, cx: &IoCx) -> Result<(), StageError> {
        if self.phase == Phase::New {
            self.out.settle().await?;
            self.phase = Phase::Open;
            self.out.start(cx, |t, _| t.check_unused());
            self.out.settle().await?;
        }
        Ok(())
    }

    async fn write_if_enough(&mut self, cx: &IoCx) -> Result<(), StageError> {
        if self.out.waiting() >= self.write_bytes {
            self.settle().await?;
            self.out.start(cx, Target::write);
        }
        Ok(())
    }

    /// Waits for the job under way and books the epoch that it prepared or committed. A call that
    /// was dropped at work is so waited for, not begun again.
    async fn settle(&mut self) -> Result<(), StageError> {
        let went = self.out.settle().await;
        let (prepared, committed) = (self.preparing.take(), self.committing.take());
        went?;
        self.last = self.last.max(prepared);
        self.committed = self.committed.max(committed);
        Ok(())
    }

    async fn commit_up_to(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        if self.committing != Some(epoch) {
            self.settle().await?;
            if self.committed >= Some(epoch) {
                return Ok(());
            }
            self.committing = Some(epoch);
            self.out.start_aside(cx, move |t| t.commit(epoch));
        }
        self.settle().await
    }
}

impl<E: Encode> Sink for PartsSink<E> {
    type Col = E::Col;

    async fn write(&mut self, batch: &mut Batch<E::Col>, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.open(cx).await?;
        if self.preparing.is_some() {
            // Rows of this batch belong to the next epoch.
            self.settle().await?;
        }
        self.write_if_enough(cx).await?;
        let any = !batch.is_empty();
        self.out.encode(&mut self.encode, batch)?;
        self.rows |= any;
        self.write_if_enough(cx).await
    }

    fn holds_back(&self) -> bool {
        self.out.waiting() > 0
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.settle().await?;
        if self.out.waiting() > 0 {
            self.out.start(cx, Target::write);
            self.settle().await?;
        }
        Ok(())
    }

    async fn prepare(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.open(cx).await?;
        self.settle().await?;
        match self.last {
            Some(last) if last == epoch => return Ok(()),
            Some(last) if last > epoch => {
                let what = format!("are prepared up to epoch {}, not again {}", last.0, epoch.0);
                return Err(self.refused(&what));
            }
            _ => {}
        }
        self.preparing = Some(epoch);
        self.rows = false;
        self.out.start(cx, move |t, bytes| t.prepare(epoch, bytes));
        self.settle().await
    }

    async fn commit(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        if self.phase == Phase::Aborted {
            return self.usable();
        }
        self.commit_up_to(epoch, cx).await
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        match self.phase {
            Phase::Closed => return Ok(()),
            Phase::Aborted => return self.usable(),
            Phase::New | Phase::Open => {}
        }
        self.settle().await?;
        if self.rows {
            let next = Epoch(self.last.map_or(1, |e| e.0.saturating_add(1)));
            self.prepare(next, cx).await?;
        }
        if let Some(last) = self.last {
            self.commit_up_to(last, cx).await?;
        }
        self.phase = Phase::Closed;
        Ok(())
    }

    fn abort(&mut self) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Aborted;
            self.out.forget();
            if let Some(t) = self.out.here() {
                t.give_up();
            }
        }
    }

    async fn recover(&mut self, done: Option<Epoch>, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        if self.phase == Phase::Open {
            return Err(self.refused("are being written; recover before the first row"));
        }
        if self.recovering != Some(done) {
            self.out.settle().await?;
            self.recovering = Some(done);
            self.out.start_aside(cx, move |t| t.recover(done));
        }
        let went = self.out.settle().await;
        self.recovering = None;
        went?;
        (self.last, self.committed) = (done, done);
        self.phase = Phase::Open;
        Ok(())
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        let mut d = ConnectorDescriptor::new(self.encode.kind(), self.dir.display().to_string());
        d.transactional = true;
        d
    }
}

impl<E: Encode> TransactionalSink for PartsSink<E> {}
