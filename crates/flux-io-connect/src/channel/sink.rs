//! The sending end of a channel, for pipelines.

use super::send::Sender;
use super::state::Put;
use crate::sink::Front;
use flux_io_core::{Batch, ConnectorDescriptor, ErrorClass, ErrorKind, IoCx, Sink, StageError};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Rows into a channel, in order, waiting while it is full. Cancel-safe: rows that did not go in
/// stay in the batch.
///
/// `close` ends the channel. Aborting, or dropping without closing, ends it with an error, so that
/// the receiver never takes a broken run for a whole one.
#[derive(Debug)]
pub struct ChannelSink<T> {
    to: Sender<T>,
    /// A row of ours that waits for room, in the channel.
    waits: Option<u64>,
    closed: bool,
}

impl<T> ChannelSink<T> {
    pub(super) const fn new(to: Sender<T>) -> Self {
        Self { to, waits: None, closed: false }
    }

    fn give_up(&mut self) {
        if !self.closed {
            self.closed = true;
            let what = "the run that sends into this channel stopped before its end";
            self.to.fail(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what));
        }
        if let Some(ticket) = self.waits.take() {
            drop(self.to.chan.withdraw(ticket));
        }
    }

    fn poll_waiting(&mut self, task: &Context<'_>) -> Poll<Result<(), StageError>> {
        if let Some(ticket) = self.waits {
            let answer = std::task::ready!(self.to.chan.ask(ticket, task));
            self.waits = None;
            return Poll::Ready(answer.map_err(|_| gone()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        rows: &mut Front<'_, T>,
        task: &Context<'_>,
    ) -> Poll<Result<(), StageError>> {
        loop {
            std::task::ready!(self.poll_waiting(task))?;
            if rows.rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if self.to.chan.put_many(&mut rows.rest).is_err() {
                return Poll::Ready(Err(gone()));
            }
            let Some(next) = rows.rest.pop_front() else { continue };
            match self.to.chan.put(next, Some(task)) {
                Put::Taken => {}
                Put::Waits(ticket) => self.waits = Some(ticket),
                Put::Full(row) | Put::Closed(row) => {
                    rows.rest.push_front(row);
                    return Poll::Ready(Err(gone()));
                }
            }
        }
    }
}

fn gone() -> StageError {
    let what = "the channel is closed: its receiver is gone; nothing more can be sent";
    StageError::new(ErrorClass::Permanent, ErrorKind::Io, what)
}

impl<T: Send + 'static> Sink for ChannelSink<T> {
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, _cx: &IoCx) -> Result<(), StageError> {
        let mut rows = Front::of(&mut batch.col);
        poll_fn(|task| self.poll_write(&mut rows, task)).await
    }

    /// Waits until every row has found room; it does not wait for the receiver.
    async fn flush(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        poll_fn(|task| self.poll_waiting(task)).await
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.flush(cx).await?;
        self.closed = true;
        self.to.close();
        Ok(())
    }

    fn abort(&mut self) {
        self.give_up();
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("channel", "")
    }
}

impl<T> Drop for ChannelSink<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}
