//! The sending end of a channel, for pipelines.

use super::send::Sender;
use super::state::Put;
use crate::sink::Front;
use flux_io_core::{Batch, ConnectorDescriptor, ErrorClass, ErrorKind, IoCx, Sink, StageError};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Rows into a channel, in order, waiting while it is full. Cancel-safe: rows that did not go in
/// stay in the batch. When the receiver goes away, so do those of the same batch that it left in the
/// channel: what the write does not give back was received. Rows of earlier batches that wait in the
/// channel then are lost; there are at most `capacity` of them.
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
    pub(super) fn new(to: Sender<T>) -> Self {
        to.chan.takes_back();
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
}

impl<T: Send + 'static> ChannelSink<T> {
    /// Waits until no row of ours waits for room; `Err` with the row when it never will have any.
    fn poll_waiting(&mut self, task: &Context<'_>) -> Poll<Result<(), T>> {
        if let Some(ticket) = self.waits {
            let answer = std::task::ready!(self.to.chan.ask(ticket, task));
            self.waits = None;
            return Poll::Ready(answer);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        rows: &mut Front<'_, T>,
        task: &Context<'_>,
    ) -> Poll<Result<(), StageError>> {
        loop {
            if let Err(row) = std::task::ready!(self.poll_waiting(task)) {
                rows.rest.push_front(row);
                return Poll::Ready(Err(self.gone(rows)));
            }
            if rows.rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if self.to.chan.put_many(&mut rows.rest).is_err() {
                return Poll::Ready(Err(self.gone(rows)));
            }
            let Some(next) = rows.rest.pop_front() else { continue };
            match self.to.chan.put(next, Some(task)) {
                Put::Taken => {}
                Put::Waits(ticket) => self.waits = Some(ticket),
                Put::Full(row) | Put::Closed(row) => {
                    rows.rest.push_front(row);
                    return Poll::Ready(Err(self.gone(rows)));
                }
            }
        }
    }

    /// The receiver is gone: rows of this batch that it left in the channel were not received, so
    /// they go back, before those that were not sent.
    fn gone(&self, rows: &mut Front<'_, T>) -> StageError {
        for row in self.to.chan.take_back(rows.taken()) {
            rows.rest.push_front(row);
        }
        gone()
    }
}

fn gone() -> StageError {
    let what = "the channel is closed: its receiver is gone; nothing more can be sent";
    StageError::new(ErrorClass::Permanent, ErrorKind::Io, what)
}

impl<T: Send + 'static> Sink for ChannelSink<T> {
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, _cx: &IoCx) -> Result<(), StageError> {
        let mut rows = Front::of(batch);
        poll_fn(|task| self.poll_write(&mut rows, task)).await
    }

    fn holds_back(&self) -> bool {
        self.waits.is_some()
    }

    /// Waits until every row has found room; it does not wait for the receiver.
    async fn flush(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        let found = poll_fn(|task| self.poll_waiting(task)).await;
        found.map_err(|_| gone())
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
