//! Timers of a run: one ordered set, and a thread that sleeps until the earliest is due and no
//! longer. Tokio's own timers tick in whole milliseconds and round up: a wait of one lasts up to two.
//!
//! On a lane of one worker the thread is that worker. On a runtime it is one of the run's own,
//! started by the first short wait; beside it a task sleeps on the runtime's timers, so that a clock
//! that is paused or moved by hand is followed. Whoever comes first takes a timer out of the set, so
//! each wakes once.

#[cfg(all(test, not(flux_io_loom)))]
mod tests;

use crate::sync::{Arc, Builder, Condvar, Mutex, lock, wait};
use flux_io_core::{Deadlines, Moment, TimerId};
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A shorter wait starts the thread. In a wait as long as this the two milliseconds by which the
/// runtime may be late are one part in fifty, and not worth a thread of the run's own.
const SHORT: Duration = Duration::from_millis(100);

struct Armed {
    due: Deadlines,
    /// What the task sleeps for.
    task: Option<Moment>,
    thread: Thread,
    /// The thread is wanted for something else than a timer.
    called: bool,
}

enum Thread {
    /// No short wait was asked for yet.
    Unneeded,
    /// It looks at the timers before it sleeps.
    Awake,
    /// It sleeps until then.
    Asleep(Option<Moment>),
    /// It could not be started.
    Refused,
}

struct Shared {
    start: Instant,
    armed: Mutex<Armed>,
    /// A timer earlier than what the task sleeps for was armed.
    earlier: Notify,
    /// The same for the thread, or it was called.
    changed: Condvar,
}

/// Ends a thread of its own when it is dropped. Timers that are armed then never fire.
pub(crate) struct Timers {
    shared: Arc<Shared>,
    /// Where a thread of its own reads the clock.
    runtime: Option<Handle>,
}

impl Timers {
    /// Timers on the clock of `runtime`, as of `start`, with a thread of their own when they need it
    /// and [`drive`](Self::drive) to be spawned.
    pub(crate) fn of_runtime(start: Instant, runtime: Handle) -> Self {
        Self { shared: Shared::new(start, Thread::Unneeded), runtime: Some(runtime) }
    }

    /// Timers, as of `start`, of a thread that is in [`block_on`](Self::block_on) or will be.
    pub(crate) fn of_caller(start: Instant) -> Self {
        Self { shared: Shared::new(start, Thread::Awake), runtime: None }
    }

    pub(crate) fn now(&self) -> Moment {
        self.shared.now()
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let earlier = |until: Option<Moment>| until.is_none_or(|t| at < t);
        let mut g = lock(&self.shared.armed);
        let id = g.due.arm(at, waker);
        let task = earlier(g.task);
        if task {
            g.task = Some(at);
        }
        let thread = match g.thread {
            Thread::Asleep(until) => earlier(until),
            Thread::Unneeded => at.since(self.now()) < SHORT,
            Thread::Awake | Thread::Refused => false,
        };
        let start = thread && matches!(g.thread, Thread::Unneeded);
        if thread {
            g.thread = Thread::Awake;
        }
        drop(g);
        if task {
            self.shared.earlier.notify_one();
        }
        if start {
            self.start_thread();
        } else if thread {
            self.shared.changed.notify_one();
        }
        id
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        let withdrawn = lock(&self.shared.armed).due.cancel(id);
        drop(withdrawn);
    }

    fn start_thread(&self) {
        let (shared, runtime) = (Arc::clone(&self.shared), self.runtime.clone());
        let serve = move || {
            // The clock is the runtime's inside it alone.
            let _inside = runtime.as_ref().map(Handle::enter);
            shared.serve();
        };
        if Builder::new().name("flux-io-timers".into()).spawn(serve).is_err() {
            // The task serves all the same, in whole milliseconds.
            lock(&self.shared.armed).thread = Thread::Refused;
        }
    }

    /// Polls `future` to its end on this thread, which serves the timers meanwhile.
    pub(crate) fn block_on(&self, mut future: Pin<&mut impl Future<Output = ()>>) {
        let waker = Waker::from(Arc::clone(&self.shared));
        let mut cx = Context::from_waker(&waker);
        while future.as_mut().poll(&mut cx).is_pending() {
            self.shared.serve();
        }
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
        self.shared.call();
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}

impl Shared {
    fn new(start: Instant, thread: Thread) -> Arc<Self> {
        let armed = Armed { due: Deadlines::default(), task: None, thread, called: false };
        let armed = Mutex::new(armed);
        Arc::new(Self { start, armed, earlier: Notify::new(), changed: Condvar::new() })
    }

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

    /// Lets the thread return from [`serve`](Self::serve).
    fn call(&self) {
        let mut g = lock(&self.armed);
        g.called = true;
        let asleep = matches!(g.thread, Thread::Asleep(_));
        if asleep {
            g.thread = Thread::Awake;
        }
        drop(g);
        if asleep {
            self.changed.notify_one();
        }
    }

    /// The thread: wakes what is due until it is called.
    fn serve(&self) {
        let mut g = lock(&self.armed);
        loop {
            let now = self.now();
            let due = g.due.take_due(now);
            if !due.is_empty() {
                drop(g);
                due.into_iter().for_each(Waker::wake);
                g = lock(&self.armed);
            } else if std::mem::take(&mut g.called) {
                return;
            } else {
                let next = g.due.next();
                g.thread = Thread::Asleep(next);
                // Over too early when the runtime's clock is paused: then it looks for nothing.
                g = wait(&self.changed, &self.armed, g, next.map(|t| t.since(now)));
                g.thread = Thread::Awake;
            }
        }
    }
}
