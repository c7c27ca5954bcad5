//! `on_bad` of a source: records that cannot be read are dead letters, skipped, or end the run.

use crate::config::OnBad;
use flux_io::core::{
    Batch, CheckpointToken, ConnectorDescriptor, ErrorClass, ErrorKind, ErrorRecord, Filled, IoCx,
    Source, StageError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source whose faults are judged.
#[derive(Debug)]
pub(crate) struct Judged<S> {
    pub(crate) source: S,
    pub(crate) on_bad: OnBad,
    /// Records skipped.
    pub(crate) skipped: Arc<AtomicU64>,
}

impl<S: Source> Judged<S> {
    /// Ends the run at the first fault, if that is asked for.
    fn judge(&mut self, filled: Filled) -> Result<Filled, StageError> {
        if self.on_bad != OnBad::Fail {
            return Ok(filled);
        }
        match self.source.take_faults().into_iter().next() {
            None => Ok(filled),
            Some(first) => {
                let what = format!("{}: {} (on_bad = \"fail\")", first.cause, first.what);
                Err(StageError::new(ErrorClass::Permanent, ErrorKind::Serialization, what))
            }
        }
    }
}

impl<S: Source> Source for Judged<S> {
    type Col = S::Col;

    async fn fill(&mut self, out: &mut Batch<S::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        let filled = self.source.fill(out, cx).await?;
        self.judge(filled)
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<S::Col>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        let filled = self.source.try_fill(out, max_rows)?;
        Some(filled.and_then(|filled| self.judge(filled)))
    }

    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        let faults = self.source.take_faults();
        if self.on_bad != OnBad::Skip {
            return faults;
        }
        self.skipped.fetch_add(faults.len() as u64, Ordering::Relaxed);
        Vec::new()
    }

    fn position(&self) -> Option<CheckpointToken> {
        self.source.position()
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        self.source.seek(token)
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        self.source.descriptor()
    }
}
