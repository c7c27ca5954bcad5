//! The end of a flow nobody reads.

use flux_io_core::{AnyBatch, Node, Outbox, StageCx, StageError, Step};

/// Takes rows and drops them; the stage's counters still count them.
pub(crate) struct Discard;

impl Node for Discard {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        input.clear();
        Ok(Step::Done)
    }
}
