//! Rows into stdout or any other writer.

use super::buffered::Buffered;
use super::compress::{Compression, Packer};
use super::encode::Encode;
use crate::frames::BLOCK_BYTES;
use crate::offload::Place;
use flux_io_core::{Batch, ConnectorDescriptor, ErrorClass, ErrorKind, IoCx, Sink, StageError};
use std::fmt;
use std::io::{self, Write};

/// The writer that moves into blocking jobs.
struct Target {
    name: String,
    to: Box<dyn Write + Send>,
    packer: Packer,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        let went = self.packer.pack(bytes).and_then(|packed| self.to.write_all(packed));
        self.flushed(went)
    }

    /// Writes what belongs behind the last bytes.
    fn end(&mut self) -> Result<(), StageError> {
        let went = self.packer.end().and_then(|packed| self.to.write_all(packed));
        self.flushed(went)
    }

    fn flushed(&mut self, wrote: io::Result<()>) -> Result<(), StageError> {
        let went = wrote.and_then(|()| self.to.flush());
        went.map_err(|e| {
            let what = if e.kind() == io::ErrorKind::BrokenPipe {
                format!("{} is closed", self.name)
            } else {
                format!("cannot write to {}", self.name)
            };
            StageError::new(ErrorClass::Permanent, ErrorKind::Io, what).because(e)
        })
    }
}

/// Rows into a writer, in order.
///
/// What waits is written as soon as the writer is idle, so a slow flow is seen at once and a fast
/// one is written in large pieces. `flush` waits for the writer; there is no durability. The writer
/// has a thread of its own, since nobody knows how long its reader lets it wait.
///
/// A reader that went away (`BrokenPipe`) is an error of kind [`ErrorKind::Io`], class permanent,
/// text "`<name>` is closed", with the [`io::Error`] as its source: whoever runs the program may
/// take it for a quiet end ([`is_closed_pipe`]).
#[derive(Debug)]
pub struct WriterSink<E> {
    name: String,
    encode: E,
    out: Buffered<Target>,
    /// Bytes that wait before the writer is given any while it is idle.
    piece: usize,
    closed: bool,
}

/// Whether an error says that the reader of a pipe went away.
#[must_use]
pub fn is_closed_pipe(error: &StageError) -> bool {
    let cause = error.source.as_ref().and_then(|e| e.downcast_ref::<io::Error>());
    cause.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

impl<E: Encode> WriterSink<E> {
    /// A sink into `to`; `name` is what messages call it.
    pub fn new(name: impl Into<String>, to: impl Write + Send + 'static, encode: E) -> Self {
        let name = name.into();
        let packer = Packer::new(Compression::None);
        let target = Target { name: name.clone(), to: Box::new(to), packer };
        let out = Buffered::new(target, Place::Outside);
        Self { name, encode, out, piece: 1, closed: false }
    }

    /// Compresses what is written. Default: not. With compression 256 KiB wait before anything is
    /// written, unless it is flushed.
    #[must_use]
    pub fn compression(mut self, how: Compression) -> Self {
        if let Some(t) = self.out.here() {
            t.packer = Packer::new(how);
        }
        self.piece = if how == Compression::None { 1 } else { BLOCK_BYTES };
        self
    }

    fn usable(&self) -> Result<(), StageError> {
        if self.closed {
            let what =
                format!("{} was closed by this flow; nothing more can be written", self.name);
            return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what));
        }
        Ok(())
    }
}

impl<E: Encode> Sink for WriterSink<E> {
    type Col = E::Col;

    async fn write(&mut self, batch: &mut Batch<E::Col>, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.out.look()?;
        if self.out.waiting() >= BLOCK_BYTES {
            self.out.settle().await?;
        }
        self.out.encode(&mut self.encode, batch)?;
        if !self.out.is_busy() && self.out.waiting() >= self.piece {
            self.out.start(cx, Target::write);
            self.out.look()?;
        }
        Ok(())
    }

    fn holds_back(&self) -> bool {
        self.out.waiting() > 0
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        self.out.settle().await?;
        while self.out.waiting() > 0 {
            self.out.start(cx, Target::write);
            self.out.settle().await?;
        }
        Ok(())
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        if !self.closed {
            self.flush(cx).await?;
            if self.piece > 1 {
                // Twice does no harm: the second time nothing is left to write.
                self.out.start(cx, |t, _| t.end());
                self.out.settle().await?;
            }
            self.closed = true;
        }
        Ok(())
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new(self.encode.kind(), self.name.clone())
    }
}
