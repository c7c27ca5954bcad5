//! The receiving end of a channel, for pipelines.

use super::receive::Receiver;
use super::state::Got;
use flux_io_core::{Batch, ConnectorDescriptor, Filled, IoCx, Source, StageError};
use std::future::poll_fn;
use std::task::Poll;

/// What is sent into a channel, as a source. A fill gives what is there, up to `max_rows`, and
/// waits only when nothing is; it ends when the channel is closed and empty. Cancel-safe. Dropping
/// it gives senders their items back. It has no positions.
#[derive(Debug)]
pub struct ChannelSource<T> {
    from: Receiver<T>,
}

impl<T> ChannelSource<T> {
    pub(super) const fn new(from: Receiver<T>) -> Self {
        Self { from }
    }

    /// Items that wait to be received.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.from.waiting()
    }
}

impl<T: Send + 'static> Source for ChannelSource<T> {
    type Col = Vec<T>;

    async fn fill(&mut self, out: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<Filled, StageError> {
        let max = cx.max_rows();
        let got = poll_fn(|task| self.from.chan.take(max, &mut out.col, Some(task))).await;
        answer(got)
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<Vec<T>>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        match self.from.chan.take(max_rows, &mut out.col, None) {
            Poll::Ready(got) => Some(answer(got)),
            Poll::Pending => None,
        }
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("channel", "")
    }
}

fn answer(got: Got) -> Result<Filled, StageError> {
    match got {
        Got::Items => Ok(Filled::More),
        Got::End => Ok(Filled::End),
        Got::Failed(e) => Err(e),
    }
}
