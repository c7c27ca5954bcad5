//! A door that one lane opens for the other.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct Door {
    open: bool,
    waiting: Option<Waker>,
}

/// Ready once it was opened. One task waits for it.
#[derive(Clone, Default)]
pub(crate) struct Latch(Arc<Mutex<Door>>);

/// Opens a latch when it is dropped, so also when its thread panics.
pub(crate) struct OpenOnDrop(Latch);

impl Latch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) const fn on_drop(self) -> OpenOnDrop {
        OpenOnDrop(self)
    }

    fn lock(&self) -> MutexGuard<'_, Door> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        let mut door = self.0.lock();
        door.open = true;
        let waiting = door.waiting.take();
        drop(door);
        if let Some(w) = waiting {
            w.wake();
        }
    }
}

impl Future for Latch {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut door = self.lock();
        if door.open {
            return Poll::Ready(());
        }
        door.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}
