//! The receiving end of a channel, for programs.

use super::state::{Chan, Got};
use crate::sync::Arc;
use flux_io_core::StageError;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Takes items out of a channel. Dropping it gives senders their items back.
///
/// With feature `futures` it is a `Stream` of `Result<T, StageError>`.
#[derive(Debug)]
pub struct Receiver<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Receiver<T> {
    pub(super) const fn new(chan: Arc<Chan<T>>) -> Self {
        Self { chan }
    }

    /// The next item, waiting for it; `None` when the channel is closed and empty. Cancel-safe.
    ///
    /// # Errors
    /// What the sending end failed with, once, behind everything it sent: an aborted run is not a
    /// clean end.
    pub async fn recv(&mut self) -> Result<Option<T>, StageError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Like [`recv`](Self::recv), for those who poll.
    ///
    /// # Errors
    /// As `recv`.
    pub fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Result<Option<T>, StageError>> {
        let mut one = None;
        let mut give = One(&mut one);
        let got = std::task::ready!(self.chan.take(1, &mut give, Some(cx)));
        Poll::Ready(match got {
            Got::Items => Ok(one),
            Got::End => Ok(None),
            Got::Failed(e) => Err(e),
        })
    }

    /// An item, if one is there now. `None` says nothing about the end; [`recv`](Self::recv) does.
    pub fn try_recv(&mut self) -> Option<T> {
        let mut one = None;
        if self.chan.is_empty() {
            return None;
        }
        let _ = self.chan.take(1, &mut One(&mut one), None);
        one
    }

    /// Items that wait to be received.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.chan.len()
    }

    /// Items dropped by the channel's policy.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.chan.dropped()
    }
}

/// A place for one item.
struct One<'a, T>(&'a mut Option<T>);

impl<T> Extend<T> for One<'_, T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            *self.0 = Some(item);
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.chan.abandon();
    }
}

#[cfg(feature = "futures")]
impl<T> futures_core::Stream for Receiver<T> {
    type Item = Result<T, StageError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}
