//! A publisher as a source.

use super::{Subscriber, Subscription};
use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{
    Batch, ConnectorDescriptor, ErrorClass, ErrorKind, Filled, IoCx, Source, StageError,
};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

struct State<T> {
    items: VecDeque<T>,
    capacity: u64,
    /// Requested and not yet come. With the items that wait it is never above `capacity`.
    asked: u64,
    subscription: Option<Box<dyn Subscription>>,
    subscribed: bool,
    over: bool,
    error: Option<StageError>,
    waits: Option<Waker>,
}

struct Shared<T>(Arc<Mutex<State<T>>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut s = lock(&self.0);
        let r = change(&mut s);
        let waits = s.waits.take();
        drop(s);
        if let Some(w) = waits {
            w.wake();
        }
        r
    }

    /// Asks for what there is room for, once that is at least half of it or nothing is on its way
    /// (B41). The publisher may answer inside the call, so no lock is held.
    fn request(&self) {
        let ask = {
            let mut s = lock(&self.0);
            let room = s.capacity - s.asked - s.items.len() as u64;
            if s.over || room == 0 || (s.asked > 0 && room < s.capacity.div_ceil(2)) {
                return;
            }
            let Some(subscription) = s.subscription.take() else { return };
            s.asked += room;
            (subscription, room)
        };
        let (mut subscription, room) = ask;
        subscription.request(room);
        let mut s = lock(&self.0);
        if s.over {
            drop(s);
            subscription.cancel();
        } else {
            s.subscription = Some(subscription);
        }
    }

    /// Ends it; the publisher is told unless it ended by itself.
    fn end(&self, error: Option<StageError>, cancel: bool) {
        let subscription = self.change(|s| {
            if !std::mem::replace(&mut s.over, true) {
                s.error = error;
            }
            s.subscription.take()
        });
        if let Some(mut subscription) = subscription.filter(|_| cancel) {
            subscription.cancel();
        }
    }
}

/// A publisher's items as a source: give the [`Inlet`] to the publisher's `subscribe`. At most
/// `capacity` items (at least 1) are requested or wait here; more are requested as the pipeline
/// takes them.
///
/// A publisher that gives more than was requested breaks rule 1.01: it is cancelled, and the run
/// fails behind the items that were requested. Dropping the source cancels the subscription. An
/// inlet that is dropped without a last signal ends the source with an error.
#[must_use]
pub fn from_publisher<T: Send + 'static>(capacity: u64) -> (Inlet<T>, PublisherSource<T>) {
    let state = State {
        items: VecDeque::new(),
        capacity: capacity.max(1),
        asked: 0,
        subscription: None,
        subscribed: false,
        over: false,
        error: None,
        waits: None,
    };
    let shared = Shared(Arc::new(Mutex::new(state)));
    (Inlet(shared.clone()), PublisherSource(shared))
}

/// The subscriber's end; see [`from_publisher`].
pub struct Inlet<T>(Shared<T>);

/// The pipeline's end; see [`from_publisher`].
pub struct PublisherSource<T>(Shared<T>);

impl<T> fmt::Debug for Inlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inlet")
    }
}

impl<T> fmt::Debug for PublisherSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = lock(&self.0.0);
        write!(f, "PublisherSource({} of {}, {} asked)", s.items.len(), s.capacity, s.asked)
    }
}

impl<T: Send> Subscriber<T> for Inlet<T> {
    /// A second subscription is cancelled (2.05), and so is the first one of an ended source.
    fn on_subscribe(&mut self, mut subscription: Box<dyn Subscription>) {
        let refused = self.0.change(|s| {
            if std::mem::replace(&mut s.subscribed, true) || s.over {
                return true;
            }
            false
        });
        if refused {
            subscription.cancel();
            return;
        }
        lock(&self.0.0).subscription = Some(subscription);
        self.0.request();
    }

    fn on_next(&mut self, item: T) {
        let mut item = Some(item);
        let too_many = self.0.change(|s| {
            if s.over {
                return false;
            }
            if s.asked == 0 {
                return true;
            }
            s.asked -= 1;
            s.items.extend(item.take());
            false
        });
        if too_many {
            let what = "the publisher gave more items than were requested (rule 1.01)";
            let error = StageError::new(ErrorClass::Permanent, ErrorKind::Io, what);
            self.0.end(Some(error), true);
        }
    }

    fn on_error(&mut self, error: StageError) {
        self.0.end(Some(error), false);
    }

    fn on_complete(&mut self) {
        self.0.end(None, false);
    }
}

impl<T> Drop for Inlet<T> {
    fn drop(&mut self) {
        let what = "the publisher went away without a last signal (rules 1.04, 1.05)";
        self.0.end(Some(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what)), false);
    }
}

impl<T: Send + 'static> PublisherSource<T> {
    fn poll_take(
        &self,
        out: &mut Vec<T>,
        max: usize,
        cx: Option<&Context<'_>>,
    ) -> Poll<Result<Filled, StageError>> {
        let mut s = lock(&self.0.0);
        let n = s.items.len().min(max);
        out.extend(s.items.drain(..n));
        let answer = if n > 0 {
            Poll::Ready(Ok(Filled::More))
        } else if s.over {
            Poll::Ready(s.error.take().map_or(Ok(Filled::End), Err))
        } else {
            s.waits = cx.map(|cx| cx.waker().clone());
            Poll::Pending
        };
        drop(s);
        if n > 0 {
            self.0.request();
        }
        answer
    }
}

impl<T: Send + 'static> Source for PublisherSource<T> {
    type Col = Vec<T>;

    async fn fill(&mut self, out: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<Filled, StageError> {
        let max = cx.max_rows();
        poll_fn(|task| self.poll_take(&mut out.col, max, Some(task))).await
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<Vec<T>>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        match self.poll_take(&mut out.col, max_rows, None) {
            Poll::Ready(filled) => Some(filled),
            Poll::Pending => None,
        }
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("publisher", "")
    }
}

impl<T> Drop for PublisherSource<T> {
    fn drop(&mut self) {
        self.0.end(None, true);
    }
}
