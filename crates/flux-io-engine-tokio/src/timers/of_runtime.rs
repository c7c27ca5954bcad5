//! Timers of tasks that a runtime polls.

use super::Server;
use crate::host::{Clock, now};
use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{Deadlines, Moment, TimerId};
use std::future::pending;
use std::task::{Wake, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A run that waits for less asks the thread from then on. In a wait as long as this the two
/// milliseconds by which the runtime may be late are one part in fifty.
pub(super) const SHORT: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Armed {
    due: Deadlines,
    /// What the task sleeps for.
    task: Option<Moment>,
    /// A short wait was asked for.
    short: bool,
    /// What the thread was asked for.
    asked: Option<(Moment, TimerId)>,
    /// The run is over: the thread is asked for nothing more.
    over: bool,
}

struct Shared {
    start: Instant,
    armed: Mutex<Armed>,
    /// A timer earlier than what the task sleeps for was armed.
    earlier: Notify,
    /// Where the clock is read on another thread.
    runtime: Handle,
    server: Arc<Server>,
}

/// Timers on the clock of a runtime. [`drive`](Self::drive) is to be spawned there. Timers that are
/// armed when it is dropped never fire.
pub(crate) struct OfRuntime(Arc<Shared>);

impl OfRuntime {
    /// Timers as of now; called inside `runtime`.
    pub(crate) fn new(runtime: Handle, server: Arc<Server>) -> Self {
        let (start, armed, earlier) = (now(), Mutex::default(), Notify::new());
        Self(Arc::new(Shared { start, armed, earlier, runtime, server }))
    }

    pub(crate) fn now(&self) -> Moment {
        self.0.now()
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let now = self.now();
        let mut g = lock(&self.0.armed);
        let id = g.due.arm(at, waker);
        let task = g.task.is_none_or(|t| at < t);
        if task {
            g.task = Some(at);
        }
        g.short |= at.since(now) < SHORT;
        self.0.ask(&mut g, now);
        drop(g);
        if task {
            self.0.earlier.notify_one();
        }
        id
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        let withdrawn = lock(&self.0.armed).due.cancel(id);
        drop(withdrawn);
    }

    /// The task: wakes what is due, for ever. Ended by aborting it.
    pub(crate) fn drive(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.0);
        async move {
            loop {
                let next = shared.sleeps_until();
                let wait = async {
                    match next {
                        Some(t) => sleep_until(shared.start + Duration::from_nanos(t.0)).await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    () = wait => shared.fire(),
                    () = shared.earlier.notified() => {}
                }
            }
        }
    }

    /// Whether the thread was asked, and timers that are armed.
    #[cfg(all(test, not(flux_io_loom)))]
    pub(super) fn asked(&self) -> (bool, usize) {
        let g = lock(&self.0.armed);
        (g.asked.is_some(), g.due.len())
    }
}

impl Drop for OfRuntime {
    fn drop(&mut self) {
        let mut g = lock(&self.0.armed);
        // What the thread was asked for holds the shared part; it may be about to ask itself again.
        g.over = true;
        let (asked, never) = (g.asked.take(), std::mem::take(&mut g.due));
        drop(g);
        drop(never);
        if let Some((_, id)) = asked {
            self.0.server.cancel(id);
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// The thread: something is due, or was.
    fn wake_by_ref(self: &Arc<Self>) {
        // The clock is the runtime's inside it alone.
        let _inside = self.runtime.enter();
        self.fire();
    }
}

impl Shared {
    fn now(&self) -> Moment {
        Clock::Tokio(self.start).now()
    }

    /// What the task sleeps for now.
    fn sleeps_until(&self) -> Option<Moment> {
        let mut g = lock(&self.armed);
        g.task = g.due.next();
        g.task
    }

    fn fire(self: &Arc<Self>) {
        let now = self.now();
        let mut g = lock(&self.armed);
        let due = g.due.take_due(now);
        // What the thread was asked for is over, or will be asked for again: a clock that is paused
        // or moved by hand is not the thread's.
        if let Some((_, before)) = g.asked.take() {
            self.server.cancel(before);
        }
        self.ask(&mut g, now);
        drop(g);
        due.into_iter().for_each(Waker::wake);
    }

    /// Asks the thread for the earliest timer, if it was not asked for one as early.
    fn ask(self: &Arc<Self>, g: &mut Armed, now: Moment) {
        let Some(at) = g.due.next().filter(|_| g.short && !g.over) else { return };
        if g.asked.is_some_and(|a| a.0 <= at) {
            return;
        }
        let fires = Waker::from(Arc::clone(self));
        let id = self.server.arm(self.server.now().plus(at.since(now)), &fires);
        if let Some((_, before)) = g.asked.replace((at, id)) {
            self.server.cancel(before);
        }
    }
}
