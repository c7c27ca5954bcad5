//! Timers that a thread serves: one that polls tasks, or the one that the process has for all runs.

use crate::host::{Clock, now, wall};
use crate::sync::{Arc, Builder, Condvar, Mutex, lock, wait};
use flux_io_core::{Deadlines, Moment, TimerId};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Wake, Waker};

struct Armed {
    due: Deadlines,
    thread: Thread,
    /// The thread is wanted for something else than a timer.
    called: bool,
}

enum Thread {
    /// No timer was armed yet.
    Unneeded,
    /// It looks at the timers before it sleeps.
    Awake,
    /// It sleeps until then.
    Asleep(Option<Moment>),
    /// It could not be started.
    Refused,
}

/// What the thread and those who arm share.
struct Served {
    clock: Clock,
    armed: Mutex<Armed>,
    /// A timer earlier than what the thread sleeps for was armed, or it was called.
    changed: Condvar,
}

/// Timers of a thread that is in [`block_on`](Self::block_on) or will be.
pub(crate) struct Worker(Arc<Served>);

impl Worker {
    /// Timers as of now, on tokio's clock.
    pub(crate) fn new() -> Self {
        Self(Served::new(Clock::Tokio(now()), Thread::Awake))
    }

    pub(crate) fn now(&self) -> Moment {
        self.0.clock.now()
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        self.0.arm(at, waker).0
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        self.0.cancel(id);
    }

    /// Polls `future` to its end on this thread, which serves the timers meanwhile.
    pub(crate) fn block_on(&self, mut future: Pin<&mut impl Future<Output = ()>>) {
        let waker = Waker::from(Arc::clone(&self.0));
        let mut cx = Context::from_waker(&waker);
        while future.as_mut().poll(&mut cx).is_pending() {
            self.0.serve();
        }
    }
}

/// Timers that a thread of their own serves, on the wall's clock. The thread is started by the first
/// one, and ends when this is dropped; timers that are armed then never fire.
pub(crate) struct Server(Arc<Served>);

impl Server {
    pub(crate) fn new() -> Self {
        Self(Served::new(Clock::Wall(wall()), Thread::Unneeded))
    }

    /// The one that all runs of the process share. Its thread stays, asleep.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Server>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::new())))
    }

    pub(crate) fn now(&self) -> Moment {
        self.0.clock.now()
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let (id, start) = self.0.arm(at, waker);
        if start {
            let served = Arc::clone(&self.0);
            let serve = move || served.serve();
            if Builder::new().name("flux-io-timers".into()).spawn(serve).is_err() {
                // The runtimes serve all the same, in whole milliseconds.
                lock(&self.0.armed).thread = Thread::Refused;
            }
        }
        id
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        self.0.cancel(id);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.call();
    }
}

impl Wake for Served {
    fn wake(self: Arc<Self>) {
        self.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.call();
    }
}

impl Served {
    fn new(clock: Clock, thread: Thread) -> Arc<Self> {
        let armed = Mutex::new(Armed { due: Deadlines::default(), thread, called: false });
        Arc::new(Self { clock, armed, changed: Condvar::new() })
    }

    /// Also whether the thread is to be started.
    fn arm(&self, at: Moment, waker: &Waker) -> (TimerId, bool) {
        let mut g = lock(&self.armed);
        let id = g.due.arm(at, waker);
        let start = matches!(g.thread, Thread::Unneeded);
        let wake = matches!(g.thread, Thread::Asleep(until) if until.is_none_or(|t| at < t));
        if start || wake {
            g.thread = Thread::Awake;
        }
        drop(g);
        if wake {
            self.changed.notify_one();
        }
        (id, start)
    }

    fn cancel(&self, id: TimerId) {
        let withdrawn = lock(&self.armed).due.cancel(id);
        drop(withdrawn);
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
            let now = self.clock.now();
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
                // Over too early when a runtime's clock is paused: then it looks for nothing.
                g = wait(&self.changed, &self.armed, g, next.map(|t| t.since(now)));
                g.thread = Thread::Awake;
            }
        }
    }
}
