//! A file that is there whole or not at all.

use super::buffered::{Buffered, final_io};
use super::compress::Compression;
use super::encode::Encode;
use super::temp::Temp;
use crate::disk::{Disk, OsDisk};
use crate::frames::BLOCK_BYTES;
use crate::offload::Place;
use crate::sync::{Arc, AtomicBool, Ordering};
use flux_io_core::{
    Batch, ConnectorDescriptor, Epoch, ErrorClass, ErrorKind, IoCx, Sink, StageError,
};
use std::io;
use std::path::{Path, PathBuf};

/// The target that moves into blocking jobs.
#[derive(Debug)]
struct Target {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    overwrite: bool,
    compression: Compression,
    temp: Option<Temp>,
    /// Set when the sink was given up while a job was under way.
    given_up: Arc<AtomicBool>,
}

impl Target {
    fn open(&mut self) -> Result<(), StageError> {
        if self.temp.is_some() {
            return Ok(());
        }
        let there = self.disk.exists(&self.path);
        let there =
            there.map_err(|e| final_io(format!("cannot look at {}", self.path.display()), e))?;
        if there && !self.overwrite {
            let what = format!(
                "{} exists; choose another name, remove it, or allow overwriting",
                self.path.display()
            );
            return Err(final_io(what, io::ErrorKind::AlreadyExists.into()));
        }
        self.temp = Some(Temp::beside(&self.disk, &self.path, self.compression)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        self.open()?;
        let wrote = self.temp.as_mut().map_or(Ok(()), |t| t.write(bytes));
        self.or_remove(wrote)
    }

    fn sync(&mut self) -> Result<(), StageError> {
        let synced = self.temp.as_mut().map_or(Ok(()), Temp::sync);
        self.or_remove(synced)
    }

    /// What failed is never finished: it goes at once.
    fn or_remove(&mut self, went: Result<(), StageError>) -> Result<(), StageError> {
        if went.is_err() {
            self.temp = None;
        }
        went
    }

    fn finish(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        self.write(bytes)?;
        let ended = self.temp.as_mut().map_or(Ok(()), Temp::end);
        self.or_remove(ended)?;
        self.sync()?;
        match self.temp.take() {
            Some(temp) if !self.given_up.load(Ordering::SeqCst) => {
                temp.publish(&self.path, self.overwrite)
            }
            _ => Err(final_io(
                format!("{} was given up", self.path.display()),
                io::ErrorKind::Interrupted.into(),
            )),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Open,
    /// The closing job was started.
    Closing,
    Closed,
    Aborted,
}

/// Rows into a file that gets its name when it is complete.
///
/// - Rows go into `.<name>.tmp-<n>` beside it. `close` makes it durable, renames it and makes the
///   name durable; a flow without rows makes an empty file.
/// - `flush`: what was accepted is with the operating system, under the temporary name. `prepare`:
///   it survives a power cut there.
/// - `abort`, or dropping it unclosed, removes the temporary file.
/// - It refuses to replace a file unless told ([`overwrite`](FileSink::overwrite)).
/// - After a failed write, fsync or rename the file is given up: every later call fails, and
///   nothing is visible. (With `overwrite`, a failure after the rename leaves the new file, whole.)
/// - A batch is encoded whole or, when a row cannot be encoded, not at all.
#[derive(Debug)]
pub struct FileSink<E> {
    encode: E,
    out: Buffered<Target>,
    path: PathBuf,
    phase: Phase,
    write_bytes: usize,
    /// Rows were accepted since `prepare` began last.
    dirty: bool,
    given_up: Arc<AtomicBool>,
}

impl<E: Encode> FileSink<E> {
    /// A sink into the file at `path`, encoded by `encode`. The file is opened by the first write.
    pub fn new(path: impl Into<PathBuf>, encode: E) -> Self {
        let path = path.into();
        let given_up = Arc::new(AtomicBool::new(false));
        let target = Target {
            disk: Arc::new(OsDisk),
            path: path.clone(),
            overwrite: false,
            compression: Compression::None,
            temp: None,
            given_up: Arc::clone(&given_up),
        };
        let out = Buffered::new(target, Place::Disk);
        let write_bytes = BLOCK_BYTES;
        Self { encode, out, path, phase: Phase::New, write_bytes, dirty: false, given_up }
    }

    /// Replaces a file that is there, in one step, when this one is complete.
    #[must_use]
    pub fn overwrite(mut self, yes: bool) -> Self {
        if let Some(t) = self.out.here() {
            t.overwrite = yes;
        }
        self
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

    /// Where the file will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn ended(&self, how: &str) -> StageError {
        let what = format!("{} {how}; nothing more can be written", self.path.display());
        StageError::new(ErrorClass::Permanent, ErrorKind::Io, what)
    }

    fn usable(&self) -> Result<(), StageError> {
        match self.phase {
            Phase::New | Phase::Open => Ok(()),
            Phase::Closing | Phase::Closed => Err(self.ended("is closed")),
            Phase::Aborted => Err(self.ended("was given up")),
        }
    }

    async fn open(&mut self, cx: &IoCx) -> Result<(), StageError> {
        if self.phase == Phase::New {
            self.phase = Phase::Open;
            self.out.start(cx, |t, _| t.open());
            self.out.settle().await?;
        }
        Ok(())
    }

    /// Starts writing when enough waits, behind the job before it.
    async fn write_if_enough(&mut self, cx: &IoCx) -> Result<(), StageError> {
        if self.out.waiting() >= self.write_bytes {
            self.out.settle().await?;
            self.out.start(cx, Target::write);
        }
        Ok(())
    }
}

impl<E: Encode> Sink for FileSink<E> {
    type Col = E::Col;

    async fn write(&mut self, batch: &mut Batch<E::Col>, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.out.look()?;
        self.open(cx).await?;
        // What a dropped call left comes first, so that buffers stay bounded.
        self.write_if_enough(cx).await?;
        self.dirty |= !batch.is_empty();
        self.out.encode(&mut self.encode, batch)?;
        self.write_if_enough(cx).await
    }

    fn holds_back(&self) -> bool {
        self.out.waiting() > 0
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.out.settle().await?;
        if self.out.waiting() > 0 {
            self.out.start(cx, Target::write);
            self.out.settle().await?;
        }
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.out.settle().await?;
        // One that was dropped at work is waited for above and not begun again.
        if std::mem::take(&mut self.dirty) {
            self.out.start(cx, |t, bytes| {
                t.write(bytes)?;
                t.sync()
            });
            self.out.settle().await?;
        }
        Ok(())
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        match self.phase {
            Phase::Closed => return Ok(()),
            Phase::Aborted => return Err(self.ended("was given up")),
            Phase::New | Phase::Open => {
                self.out.settle().await?;
                self.phase = Phase::Closing;
                self.out.start(cx, Target::finish);
            }
            Phase::Closing => {}
        }
        self.out.settle().await?;
        self.phase = Phase::Closed;
        Ok(())
    }

    /// Removes the temporary file. When `close` was started and not awaited to its end, the file
    /// is either complete or not there.
    fn abort(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Aborted;
        self.given_up.store(true, Ordering::SeqCst);
        self.out.forget();
        if let Some(t) = self.out.here() {
            t.temp = None;
        }
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new(self.encode.kind(), self.path.display().to_string())
    }
}

impl<E> Drop for FileSink<E> {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::SeqCst);
    }
}
