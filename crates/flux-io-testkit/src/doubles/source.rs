//! Sources: rows of a vector, and a wrapper that fails on schedule.

use super::{Fault, Faults};
use flux_io_core::{
    Batch, CheckpointToken, ConnectorDescriptor, Filled, IoCx, RecoverableSource, Source,
    StageError, Timestamp,
};

/// Rows of a vector, in order. Seekable; its position is the number of rows given.
#[derive(Clone, Debug)]
pub struct VecSource<T> {
    rows: Vec<T>,
    at: usize,
    ready: bool,
}

impl<T> VecSource<T> {
    /// A source that gives `rows` by waiting calls only.
    pub fn new(rows: impl IntoIterator<Item = T>) -> Self {
        Self { rows: rows.into_iter().collect(), at: 0, ready: false }
    }

    /// The same, by calls that need not wait.
    #[must_use]
    pub fn ready(mut self) -> Self {
        self.ready = true;
        self
    }
}

impl<T: Clone> VecSource<T> {
    fn give(&mut self, out: &mut Batch<Vec<T>>, max: usize) -> Filled {
        let end = self.at.saturating_add(max).min(self.rows.len());
        out.col.extend_from_slice(&self.rows[self.at..end]);
        self.at = end;
        if self.at == self.rows.len() { Filled::End } else { Filled::More }
    }
}

impl<T: Clone + Send + Sync + 'static> Source for VecSource<T> {
    type Col = Vec<T>;

    async fn fill(&mut self, out: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<Filled, StageError> {
        Ok(self.give(out, cx.max_rows()))
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<Vec<T>>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        self.ready.then(|| Ok(self.give(out, max_rows)))
    }

    fn position(&self) -> Option<CheckpointToken> {
        Some(CheckpointToken((self.at as u64).to_le_bytes().to_vec()))
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let at = token.0.as_slice().try_into().ok().map(u64::from_le_bytes);
        match at.and_then(|a| usize::try_from(a).ok()).filter(|a| *a <= self.rows.len()) {
            Some(a) => {
                self.at = a;
                Ok(())
            }
            None => Err(StageError::permanent("the vector has no such position")),
        }
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        let seekable = true;
        ConnectorDescriptor { seekable, ..ConnectorDescriptor::new("vector", "rows") }
    }
}

impl<T: Clone + Send + Sync + 'static> RecoverableSource for VecSource<T> {}

/// A source whose calls of `fill` fail, wait or panic on schedule, before the inner one is asked.
#[derive(Debug)]
pub struct FlakySource<S> {
    inner: S,
    faults: Faults,
}

impl<S> FlakySource<S> {
    /// `inner`, with these faults.
    pub const fn new(inner: S, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl<S: Source> Source for FlakySource<S> {
    type Col = S::Col;

    async fn fill(&mut self, out: &mut Batch<S::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        let (call, fault) = self.faults.begin();
        match fault {
            Some(Fault::After(_)) => {
                let filled = self.inner.fill(out, cx).await?;
                if filled == Filled::End {
                    return Ok(filled);
                }
                Err(StageError::transient(format!("source fails after call {call}")))
            }
            Some(f) => {
                f.strike("source", call).await?;
                self.inner.fill(out, cx).await
            }
            None => self.inner.fill(out, cx).await,
        }
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.inner.watermark()
    }

    fn position(&self) -> Option<CheckpointToken> {
        self.inner.position()
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        self.inner.seek(token)
    }
}
