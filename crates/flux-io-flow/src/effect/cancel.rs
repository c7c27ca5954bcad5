//! The token by which effects learn that they are no longer wanted.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Says whether work is still wanted, and wakes whoever waits to hear that it is not.
///
/// Clones share one state. A stage cancels its token when it is dropped, so when a run is aborted;
/// a single call is cancelled by dropping its future.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cancelled: bool,
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", self.is_cancelled())
    }
}

impl Cancel {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels, for good.
    pub fn cancel(&self) {
        let mut s = self.lock();
        s.cancelled = true;
        let waiting = std::mem::take(&mut s.waiting);
        drop(s);
        waiting.into_iter().for_each(|w| w.1.wake());
    }

    /// How many wait with a waker of the kind that `like` is of.
    pub(crate) fn waiting(&self, like: &Waker) -> usize {
        let same = |w: &Waker| std::ptr::eq(w.vtable(), like.vtable());
        self.lock().waiting.iter().filter(|w| same(&w.1)).count()
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Waits until it is cancelled. Cancel-safe.
    #[must_use]
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { of: self.clone(), ticket: None }
    }
}

/// See [`Cancel::cancelled`].
#[derive(Debug)]
pub struct Cancelled {
    of: Cancel,
    ticket: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut s = this.of.lock();
        if s.cancelled {
            return Poll::Ready(());
        }
        let ticket = *this.ticket.get_or_insert_with(|| {
            s.next += 1;
            s.next
        });
        match s.waiting.iter_mut().find(|w| w.0 == ticket) {
            Some(w) => w.1.clone_from(cx.waker()),
            None => s.waiting.push((ticket, cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.of.lock().waiting.retain(|w| w.0 != ticket);
        }
    }
}
