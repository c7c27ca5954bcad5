//! The sending end of a channel as a `futures` sink: what a pipeline starts from.

use super::send::{Closed, Sender};
use super::state::Put;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A [`Sender`] as a `futures` sink; see [`Sender::into_sink`].
pub struct SenderSink<T> {
    to: Option<Sender<T>>,
    /// An item for which there was no room when it was given.
    held: Option<T>,
    /// An item of ours that waits for room, in the channel.
    waits: Option<u64>,
}

impl<T> fmt::Debug for SenderSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.to.is_some() { "SenderSink" } else { "SenderSink(closed)" })
    }
}

impl<T> Sender<T> {
    /// As a `futures` sink: ready when its last item has found room, so that at most one item of it
    /// waits beside the channel's `capacity`. Flushing waits for that room, not for the receiver.
    /// Closing it ends this sender alone; the channel ends with its last sender.
    #[must_use]
    pub const fn into_sink(self) -> SenderSink<T> {
        SenderSink { to: Some(self), held: None, waits: None }
    }
}

impl<T> SenderSink<T> {
    /// Waits until nothing of ours waits.
    fn poll_out(&mut self, cx: &Context<'_>) -> Poll<Result<(), Closed<T>>> {
        let Some(to) = &self.to else { return Poll::Ready(Ok(())) };
        if let Some(ticket) = self.waits {
            let answer = ready!(to.chan.ask(ticket, cx));
            self.waits = None;
            return Poll::Ready(answer.map_err(Closed));
        }
        let Some(item) = self.held.take() else { return Poll::Ready(Ok(())) };
        match to.chan.put(item, Some(cx)) {
            Put::Taken => Poll::Ready(Ok(())),
            Put::Waits(ticket) => {
                self.waits = Some(ticket);
                Poll::Pending
            }
            Put::Full(item) | Put::Closed(item) => Poll::Ready(Err(Closed(item))),
        }
    }
}

impl<T> Unpin for SenderSink<T> {}

impl<T> futures_sink::Sink<T> for SenderSink<T> {
    type Error = Closed<T>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_out(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        let Some(to) = self.to.as_ref().filter(|_| self.held.is_none()) else {
            return Err(Closed(item));
        };
        match to.chan.put(item, None) {
            Put::Taken | Put::Waits(_) => Ok(()),
            Put::Closed(item) => Err(Closed(item)),
            Put::Full(item) => {
                self.held = Some(item);
                Ok(())
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_out(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.poll_out(cx))?;
        self.to = None;
        Poll::Ready(Ok(()))
    }
}

impl<T> Drop for SenderSink<T> {
    fn drop(&mut self) {
        if let (Some(ticket), Some(to)) = (self.waits, &self.to) {
            drop(to.chan.withdraw(ticket));
        }
    }
}
