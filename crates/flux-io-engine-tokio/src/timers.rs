//! Timers of a run: one ordered set, served by a task and by a thread.
//!
//! The task sleeps on the runtime's timers, so it follows a clock that is paused or moved by hand.
//! They tick in whole milliseconds and round up: a wait of one lasts up to two. The thread is there
//! for short waits; it sleeps until the earliest deadline and no longer. Whoever comes first takes
//! a timer out of the set, so each wakes once.

use crate::sync::{Arc, Builder, Condvar, Mutex, lock, wait};
use flux_io_core::{Deadlines, Moment, TimerId};
use std::future::pending;
use std::task::Waker;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A shorter wait starts the thread. In a wait as long as this the two milliseconds by which the
/// runtime may be late are one part in fifty, and not worth a thread of the run's own.
const SHORT: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Armed {
    due: Deadlines,
    /// What the task sleeps for.
    task: Option<Moment>,
    thread: Thread,
}

#[derive(Default)]
enum Thread {
    /// No short wait was asked for yet.
    #[default]
    Unneeded,
    /// It sleeps until then.
    Until(Option<Moment>),
    /// It has to end, or could not be started.
    Over,
}

struct Shared {
    start: Instant,
    armed: Mutex<Armed>,
    /// A timer earlier than what the task sleeps for was armed.
    earlier: Notify,
    /// The same for the thread, or it has to end.
    changed: Condvar,
}

/// Ends its thread when it is dropped. Timers that are armed then never fire.
pub(crate) struct Timers {
    shared: Arc<Shared>,
    handle: Handle,
}

impl Timers {
    /// Timers on the clock of the runtime behind `handle`, as of `start`.
    pub(crate) fn new(start: Instant, handle: Handle) -> Self {
        let shared = Shared {
            start,
            armed: Mutex::default(),
            earlier: Notify::new(),
            changed: Condvar::new(),
        };
        Self { shared: Arc::new(shared), handle }
    }

    pub(crate) fn now(&self) -> Moment {
        self.shared.now()
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let earlier = |until: &mut Option<Moment>| {
            let earlier = until.is_none_or(|t| at < t);
            if earlier {
                *until = Some(at);
            }
            earlier
        };
        let mut g = lock(&self.shared.armed);
        let id = g.due.arm(at, waker);
        let task = earlier(&mut g.task);
        let mut start = false;
        let thread = match &mut g.thread {
            Thread::Until(until) => earlier(until),
            Thread::Unneeded if at.since(self.now()) < SHORT => {
                g.thread = Thread::Until(Some(at));
                start = true;
                false
            }
            Thread::Unneeded | Thread::Over => false,
        };
        drop(g);
        if task {
            self.shared.earlier.notify_one();
        }
        if thread {
            self.shared.changed.notify_one();
        }
        if start {
            self.start_thread();
        }
        id
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        let withdrawn = lock(&self.shared.armed).due.cancel(id);
        drop(withdrawn);
    }

    fn start_thread(&self) {
        let (shared, handle) = (Arc::clone(&self.shared), self.handle.clone());
        let serve = move || {
            // The clock is the runtime's inside it alone.
            let _inside = handle.enter();
            shared.serve();
        };
        if Builder::new().name("flux-io-timers".into()).spawn(serve).is_err() {
            // The task serves all the same, in whole milliseconds.
            lock(&self.shared.armed).thread = Thread::Over;
        }
    }

    /// Wakes what is due.
    #[cfg(all(test, flux_io_loom))]
    pub(crate) fn fire(&self) {
        self.shared.fire();
    }

    /// The task: wakes what is due, for ever. Ended by aborting it.
    pub(crate) fn drive(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
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
}

impl Drop for Timers {
    fn drop(&mut self) {
        lock(&self.shared.armed).thread = Thread::Over;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn now(&self) -> Moment {
        let ns = crate::host::now().duration_since(self.start).as_nanos();
        Moment(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// What the task sleeps for now.
    fn sleeps_until(&self) -> Option<Moment> {
        let mut g = lock(&self.armed);
        g.task = g.due.next();
        g.task
    }

    fn fire(&self) {
        let due = lock(&self.armed).due.take_due(self.now());
        due.into_iter().for_each(Waker::wake);
    }

    /// The thread: wakes what is due until it has to end.
    fn serve(&self) {
        let mut g = lock(&self.armed);
        while matches!(g.thread, Thread::Until(_)) {
            let now = self.now();
            let due = g.due.take_due(now);
            if due.is_empty() {
                let next = g.due.next();
                g.thread = Thread::Until(next);
                // Early when the runtime's clock is paused: then it looks again, for nothing.
                g = wait(&self.changed, &self.armed, g, next.map(|t| t.since(now)));
            } else {
                drop(g);
                due.into_iter().for_each(Waker::wake);
                g = lock(&self.armed);
            }
        }
    }
}
