//! `merge`: what comes first goes first.

use flux_io_core::{AnyBatch, Node, Outbox, StageCx, StageError, Step};

/// The stage of `merge`: batches pass whole, with their metadata. The driver takes the inputs in
/// turn and has rewritten their marks to what all of them promise.
#[derive(Debug)]
pub(super) struct Merge;

impl Node for Merge {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(out) = outs.first_mut() {
            out.seal();
            std::mem::swap(out.open(), input);
            out.seal();
        }
        Ok(Step::Done)
    }
}
