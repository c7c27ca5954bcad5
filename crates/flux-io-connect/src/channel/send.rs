//! The sending end of a channel.

use super::state::{Chan, Put};
use crate::sync::Arc;
use flux_io_core::StageError;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Nobody receives any more, or the channel was closed: the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed<T>(pub T);

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed; stop sending")
    }
}

impl<T: fmt::Debug> std::error::Error for Closed<T> {}

/// Why an item could not be sent at once; it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// As many items wait as the channel holds.
    Full(T),
    /// Nobody receives any more, or the channel was closed.
    Closed(T),
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full; await `send`, or try again later",
            Self::Closed(_) => "the channel is closed; stop sending",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for TrySendError<T> {}

/// Puts items into a channel. Clones send into the same one; it ends when all are dropped, or when
/// one of them is told to [`close`](Sender::close).
#[derive(Debug)]
pub struct Sender<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Sender<T> {
    /// The first sender of a new channel.
    pub(super) const fn new(chan: Arc<Chan<T>>) -> Self {
        Self { chan }
    }

    /// Sends an item, waiting for room (or as the channel's policy says). Senders that wait are
    /// served in order of their first poll. Dropping the future before it is ready withdraws the
    /// item, unless room was found for it in the meantime.
    ///
    /// # Errors
    /// [`Closed`] with the item.
    pub const fn send(&self, item: T) -> Send<'_, T> {
        Send { chan: &self.chan, item: Some(item), ticket: None }
    }

    /// Sends an item if there is room now.
    ///
    /// # Errors
    /// [`TrySendError`] with the item.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self.chan.put(item, None) {
            Put::Taken | Put::Waits(_) => Ok(()),
            Put::Full(item) => Err(TrySendError::Full(item)),
            Put::Closed(item) => Err(TrySendError::Closed(item)),
        }
    }

    /// Sends from the front while there is room; what is left stays.
    pub(crate) fn send_what_fits(&self, items: &mut VecDeque<T>) {
        // When the channel is closed, all stay.
        let _ = self.chan.put_many(items);
    }

    /// Ends the channel for all senders. What was sent is still received; senders that wait get
    /// their items back. Again: nothing happens.
    pub fn close(&self) {
        self.chan.close(None);
    }

    /// Ends the channel with an error, which the receiver gets behind what was sent. On a closed
    /// channel nothing happens.
    pub fn fail(&self, error: StageError) {
        self.chan.close(Some(error));
    }

    /// Whether sending is over: closed, or the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
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

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.chan.join();
        Self { chan: Arc::clone(&self.chan) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.chan.leave();
    }
}

/// See [`Sender::send`].
#[must_use = "nothing is sent until it is awaited"]
pub struct Send<'a, T> {
    chan: &'a Arc<Chan<T>>,
    item: Option<T>,
    ticket: Option<u64>,
}

impl<T> Unpin for Send<'_, T> {}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Send({:?})", self.chan)
    }
}

impl<T: marker::Send> Future for Send<'_, T> {
    type Output = Result<(), Closed<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(ticket) = this.ticket {
            let answer = std::task::ready!(this.chan.ask(ticket, cx));
            this.ticket = None;
            return Poll::Ready(answer.map_err(Closed));
        }
        let Some(item) = this.item.take() else { return Poll::Ready(Ok(())) };
        match this.chan.put(item, Some(cx)) {
            Put::Taken => Poll::Ready(Ok(())),
            Put::Closed(item) => Poll::Ready(Err(Closed(item))),
            Put::Waits(ticket) => {
                this.ticket = Some(ticket);
                Poll::Pending
            }
            Put::Full(item) => {
                this.item = Some(item);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Send<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            drop(self.chan.withdraw(ticket));
        }
    }
}
