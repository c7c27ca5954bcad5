//! Waits for something outside a run, told to hosts whose time is virtual.
//!
//! Whoever will end a wait holds a clone of the waker that the wait was polled with. So user code
//! is polled with a waker of its own, whose clones are counted: those that the host's timers hold
//! wait for time, any other for somebody outside the run.

use super::Host;
use crate::sync::{Arc, Mutex, lock};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Wake, Waker};

/// What a host whose time is virtual is told. See [`Host::virtual_time`].
pub trait VirtualTime: Send + Sync {
    /// Timers that are armed with this very waker.
    fn armed_with(&self, waker: &Waker) -> usize;
    /// One more wait for something outside the run is under way, or (`false`) one fewer.
    fn outside_awaited(&self, begins: bool);
}

/// One who waits, and whether it is for something outside the run.
pub(crate) struct Abroad {
    host: Arc<dyn Host>,
    waits: bool,
}

impl Abroad {
    pub(crate) fn new(host: &Arc<dyn Host>) -> Self {
        Self { host: Arc::clone(host), waits: false }
    }

    /// Asks whether it waits for something outside, where the host wants to know.
    pub(crate) fn ask(&mut self, waits: impl FnOnce(&dyn VirtualTime) -> bool) {
        if let Some(time) = self.host.virtual_time() {
            let waits = waits(time);
            if std::mem::replace(&mut self.waits, waits) != waits {
                time.outside_awaited(waits);
            }
        }
    }
}

impl Drop for Abroad {
    fn drop(&mut self) {
        self.ask(|_| false);
    }
}

/// Passes a wake on to the task that polled last.
#[derive(Default)]
struct Relay(Mutex<Option<Waker>>);

impl Relay {
    fn set(&self, task: &Waker) {
        let mut to = lock(&self.0);
        let before = match &mut *to {
            Some(t) if t.will_wake(task) => None,
            to => to.replace(task.clone()),
        };
        drop(to);
        drop(before);
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = lock(&self.0).clone();
        if let Some(t) = task {
            t.wake();
        }
    }
}

/// Awaits user code of a source or sink; a host whose time is virtual learns whether that waits for
/// something outside.
pub(crate) async fn watched<F: Future>(host: &Arc<dyn Host>, future: F) -> F::Output {
    if host.virtual_time().is_none() {
        return future.await;
    }
    let relay = Arc::<Relay>::default();
    let waker = Waker::from(Arc::clone(&relay));
    let mut abroad = Abroad::new(host);
    let mut future = pin!(future);
    poll_fn(|cx| {
        relay.set(cx.waker());
        let polled = Future::poll(Pin::as_mut(&mut future), &mut Context::from_waker(&waker));
        let pending = polled.is_pending();
        // Two of them are ours.
        abroad.ask(|time| pending && Arc::strong_count(&relay) - 2 > time.armed_with(&waker));
        polled
    })
    .await
}
