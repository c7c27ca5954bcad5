//! Rows made by a closure, a batch at a time.

use flux_io_core::{
    Batch, CheckpointToken, Column, ConnectorDescriptor, ErrorClass, ErrorKind, Filled, IoCx,
    RecoverableSource, Source, StageError,
};
use std::fmt;
use std::marker::PhantomData;

/// Rows made by `make(seq, out, max)`: it appends up to `max` rows to `out`, the first of them
/// number `seq` (rows made before, from 0), and says whether more may come. It must not block.
///
/// ```
/// # use flux_io_connect::source;
/// # use flux_io_core::Filled;
/// let squares = source::generate(|seq, out: &mut Vec<u64>, max| {
///     out.extend((seq..seq + max as u64).map(|n| n * n));
///     Filled::More
/// });
/// # let _ = squares;
/// ```
pub fn generate<C, F>(make: F) -> Generate<C, F>
where
    C: Column,
    F: FnMut(u64, &mut C, usize) -> Filled + Send,
{
    Generate { make, seq: 0, column: PhantomData }
}

/// See [`generate`].
pub struct Generate<C, F> {
    make: F,
    seq: u64,
    column: PhantomData<fn() -> C>,
}

impl<C, F> fmt::Debug for Generate<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generate(at row {})", self.seq)
    }
}

impl<C: Column, F: FnMut(u64, &mut C, usize) -> Filled> Generate<C, F> {
    /// Promises that a row depends on its number alone, not on what the closure keeps: then the
    /// number is a position to come back to.
    pub const fn resumable(self) -> Resumable<C, F> {
        Resumable(self)
    }

    fn make(&mut self, out: &mut Batch<C>, max: usize) -> Filled {
        let before = out.len();
        let filled = (self.make)(self.seq, &mut out.col, max);
        self.seq += (out.len() - before) as u64;
        filled
    }
}

impl<C, F> Source for Generate<C, F>
where
    C: Column,
    F: FnMut(u64, &mut C, usize) -> Filled + Send,
{
    type Col = C;

    async fn fill(&mut self, out: &mut Batch<C>, cx: &IoCx) -> Result<Filled, StageError> {
        Ok(self.make(out, cx.max_rows()))
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<C>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        Some(Ok(self.make(out, max_rows)))
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("generator", "")
    }
}

/// A [`Generate`] whose rows depend on their numbers alone.
#[derive(Debug)]
pub struct Resumable<C, F>(Generate<C, F>);

impl<C, F> Source for Resumable<C, F>
where
    C: Column,
    F: FnMut(u64, &mut C, usize) -> Filled + Send,
{
    type Col = C;

    async fn fill(&mut self, out: &mut Batch<C>, cx: &IoCx) -> Result<Filled, StageError> {
        self.0.fill(out, cx).await
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<C>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        self.0.try_fill(out, max_rows)
    }

    fn position(&self) -> Option<CheckpointToken> {
        Some(CheckpointToken(self.0.seq.to_le_bytes().to_vec()))
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let Ok(bytes) = <[u8; 8]>::try_from(token.0.as_slice()) else {
            let what = "the checkpoint's position is not one of a generator (8 bytes)";
            return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what));
        };
        self.0.seq = u64::from_le_bytes(bytes);
        Ok(())
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        let mut d = self.0.descriptor();
        d.seekable = true;
        d
    }
}

impl<C, F> RecoverableSource for Resumable<C, F>
where
    C: Column,
    F: FnMut(u64, &mut C, usize) -> Filled + Send,
{
}
