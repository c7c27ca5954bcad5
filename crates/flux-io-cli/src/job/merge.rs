//! Several sources become one flow: batches as they come. The driver keeps the watermark at the
//! minimum over the inputs.

use flux_io::core::{AnyBatch, Node, Outbox, StageCx, StageError, Step};

/// Passes every batch of every input on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge;

impl Node for Merge {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let empty = input.empty();
        if let Some(out) = outs.first_mut() {
            out.push_batch(std::mem::replace(input, empty));
        }
        Ok(Step::Done)
    }
}
