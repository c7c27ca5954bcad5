//! A subscriber as a sink.

use super::Subscriber;
use super::credits::{Credits, Said};
use crate::sink::Front;
use flux_io_core::{Batch, ConnectorDescriptor, ErrorClass, ErrorKind, IoCx, Sink, StageError};
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::{Context, Poll};

/// Rows to a subscriber, in order, each when it was requested: a subscriber that asks for nothing
/// holds the pipeline back, and nothing is buffered here. Cancel-safe: rows that were not requested
/// stay in the batch.
///
/// The end of the run is `on_complete`; an aborted or failed run is `on_error`. A subscriber that
/// cancels, or requests 0 items, makes the next write fail, as the receiver of a channel does that
/// goes away.
pub fn to_subscriber<T, S>(mut subscriber: S) -> SubscriberSink<T, S>
where
    T: Send + 'static,
    S: Subscriber<T>,
{
    let credits = Credits::default();
    subscriber.on_subscribe(Box::new(credits.clone()));
    SubscriberSink { subscriber, credits, over: false, row: PhantomData }
}

/// See [`to_subscriber`].
pub struct SubscriberSink<T, S: Subscriber<T>> {
    subscriber: S,
    credits: Credits,
    /// A last signal was given, or none is wanted.
    over: bool,
    row: PhantomData<fn(T)>,
}

impl<T, S: Subscriber<T>> fmt::Debug for SubscriberSink<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubscriberSink(over {})", self.over)
    }
}

fn io(what: &str) -> StageError {
    StageError::new(ErrorClass::Permanent, ErrorKind::Io, what)
}

impl<T: Send + 'static, S: Subscriber<T>> SubscriberSink<T, S> {
    fn poll_write(
        &mut self,
        rows: &mut Front<'_, T>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), StageError>> {
        while !rows.rest.is_empty() {
            match std::task::ready!(self.credits.poll(cx)) {
                Said::More(_) => {}
                Said::Cancelled => {
                    self.over = true;
                    return Poll::Ready(Err(io("the subscriber cancelled; it takes nothing more")));
                }
                Said::Nothing => {
                    let what = "the subscriber requested 0 items; request at least 1 (rule 3.09)";
                    self.fail(what);
                    return Poll::Ready(Err(io(what)));
                }
            }
            while !rows.rest.is_empty() && self.credits.spend() {
                if let Some(row) = rows.rest.pop_front() {
                    self.subscriber.on_next(row);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T, S: Subscriber<T>> SubscriberSink<T, S> {
    fn fail(&mut self, what: &str) {
        if !std::mem::replace(&mut self.over, true) && !self.cancelled() {
            self.subscriber.on_error(io(what));
        }
    }

    fn cancelled(&self) -> bool {
        let cx = Context::from_waker(std::task::Waker::noop());
        self.credits.poll(&cx) == Poll::Ready(Said::Cancelled)
    }
}

impl<T, S> Sink for SubscriberSink<T, S>
where
    T: Send + 'static,
    S: Subscriber<T>,
{
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, _cx: &IoCx) -> Result<(), StageError> {
        if self.over {
            return Err(io("the subscriber was told its end; nothing more can be written"));
        }
        let mut rows = Front::of(batch);
        poll_fn(|cx| self.poll_write(&mut rows, cx)).await
    }

    fn holds_back(&self) -> bool {
        false
    }

    async fn close(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        if !std::mem::replace(&mut self.over, true) && !self.cancelled() {
            self.subscriber.on_complete();
        }
        Ok(())
    }

    fn abort(&mut self) {
        self.fail("the run that publishes stopped before its end");
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("subscriber", "")
    }
}

impl<T, S: Subscriber<T>> Drop for SubscriberSink<T, S> {
    fn drop(&mut self) {
        self.fail("the run that publishes stopped before its end");
    }
}
