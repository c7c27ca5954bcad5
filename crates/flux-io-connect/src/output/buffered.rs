//! Bytes on their way out: one buffer that fills, one that is being written.

use super::encode::Encode;
use crate::offload::{Offload, Place};
use flux_io_core::{Batch, ErrorClass, ErrorKind, IoCx, StageError};
use std::fmt;

/// What a job brings back: its buffer, to be used again, and how it went.
type Done = (Vec<u8>, Result<(), StageError>);

/// A target `S` that is written in blocking jobs, at `place`. After a job of `start` has failed, every call
/// fails: a failed write or fsync is final.
#[derive(Debug)]
pub(super) struct Buffered<S> {
    work: Offload<S, Done>,
    buf: Vec<u8>,
    spare: Vec<u8>,
    failed: Option<String>,
    /// Whether a failure of the job under way is final.
    strict: bool,
    place: Place,
}

impl<S: Send + fmt::Debug + 'static> Buffered<S> {
    pub(super) const fn new(target: S, place: Place) -> Self {
        let work = Offload::new(target);
        Self { work, buf: Vec::new(), spare: Vec::new(), failed: None, strict: true, place }
    }

    /// The target, unless a job has it.
    pub(super) const fn here(&mut self) -> Option<&mut S> {
        self.work.here()
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.work.is_busy()
    }

    /// Bytes that wait to be written.
    pub(super) const fn waiting(&self) -> usize {
        self.buf.len()
    }

    /// Forgets what waits to be written.
    pub(super) fn forget(&mut self) {
        self.buf = Vec::new();
    }

    /// Encodes all rows of the batch, or none, and empties it.
    pub(super) fn encode<E: Encode>(
        &mut self,
        encode: &mut E,
        batch: &mut Batch<E::Col>,
    ) -> Result<(), StageError> {
        let before = self.buf.len();
        if let Err(e) = encode.encode(&batch.col, &mut self.buf) {
            self.buf.truncate(before);
            let what = format!("row with number {} cannot be written", batch.meta.seq.at(e.row));
            let class = ErrorClass::Permanent;
            return Err(StageError::new(class, ErrorKind::Serialization, what).because(e));
        }
        batch.clear();
        Ok(())
    }

    /// Hands the bytes that wait to a job, unless one is under way (then nothing happens).
    pub(super) fn start(
        &mut self,
        cx: &IoCx,
        job: impl FnOnce(&mut S, &[u8]) -> Result<(), StageError> + Send + 'static,
    ) {
        if self.work.is_busy() {
            return;
        }
        self.strict = true;
        let bytes = std::mem::replace(&mut self.buf, std::mem::take(&mut self.spare));
        self.work.start(cx, self.place, move |target| {
            let went = job(target, &bytes);
            (bytes, went)
        });
    }

    /// Like `start`, but what waits goes on waiting, and a failure may be made good by another try.
    pub(super) fn start_aside(
        &mut self,
        cx: &IoCx,
        job: impl FnOnce(&mut S) -> Result<(), StageError> + Send + 'static,
    ) {
        if self.work.is_busy() {
            return;
        }
        self.strict = false;
        let bytes = std::mem::take(&mut self.spare);
        self.work.start(cx, self.place, move |target| {
            let went = job(target);
            (bytes, went)
        });
    }

    fn book(&mut self, done: Option<Done>) -> Result<(), StageError> {
        let Some((mut bytes, went)) = done else { return Ok(()) };
        bytes.clear();
        self.spare = bytes;
        if let Err(e) = &went
            && self.strict
        {
            self.failed = Some(flux_io_core::chain(e));
        }
        went
    }

    /// Waits for the job under way. Cancel-safe.
    ///
    /// # Errors
    /// Its error; when it was final, the same for ever.
    pub(super) async fn settle(&mut self) -> Result<(), StageError> {
        self.check()?;
        let done = self.work.finish().await.inspect_err(|e| self.failed = Some(e.what.clone()))?;
        self.book(done)
    }

    /// Like `settle`, without waiting.
    pub(super) fn look(&mut self) -> Result<(), StageError> {
        self.check()?;
        let done = self.work.look().inspect_err(|e| self.failed = Some(e.what.clone()))?;
        self.book(done)
    }

    fn check(&self) -> Result<(), StageError> {
        self.failed.as_ref().map_or(Ok(()), |text| {
            let what = format!("nothing more is written, it failed before: {text}");
            Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what))
        })
    }
}

/// A failed write, fsync or rename: final, whatever its kind.
pub(super) fn final_io(what: String, e: std::io::Error) -> StageError {
    StageError::new(ErrorClass::Permanent, ErrorKind::Io, what).because(e)
}
