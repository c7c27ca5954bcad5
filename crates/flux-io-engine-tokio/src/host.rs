//! What the engine gives to tasks: tokio's clock, timers, and a few threads for blocking work.

use crate::sync::{Arc, Builder};
use crate::timers::{OfRuntime, Server, Timers, Worker};
use flux_io_core::{Host, Job, Moment, Outside, TimerId, Timestamp};
use std::task::Waker;
use std::time::{self, Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Blocking jobs (file reads and writes) that run at the same time.
const BLOCKING_JOBS: usize = 2;

/// A task that yields wakes itself, for which tokio calls another worker, and the task goes there.
/// That costs some five microseconds (`w7` at batch 256: 0.3 ns an item when a task yielded every
/// 20 us), here two parts in a hundred.
const SLICE: Duration = Duration::from_micros(250);

pub(crate) struct TokioHost {
    handle: Handle,
    pub(crate) timers: Timers,
    blocking: Arc<Semaphore>,
    outside: Outside,
}

impl TokioHost {
    /// A host on the clock of the runtime behind `handle`, which serves it.
    pub(crate) fn of_runtime(handle: Handle) -> Self {
        let timers = Timers::Runtime(OfRuntime::new(handle.clone(), Server::shared()));
        Self::new(handle, timers)
    }

    /// A host whose timers the thread serves that polls the tasks, and whose blocking work the
    /// runtime behind `handle`.
    pub(crate) fn of_caller(handle: Handle) -> Self {
        let timers = Timers::Worker(Worker::new());
        Self::new(handle, timers)
    }

    /// The task that serves the timers on the runtime, to be spawned there.
    pub(crate) fn drive(&self) -> impl Future<Output = ()> + Send + use<> {
        let driven = match &self.timers {
            Timers::Runtime(timers) => Some(timers.drive()),
            Timers::Worker(_) => None,
        };
        async move {
            if let Some(driven) = driven {
                driven.await;
            }
        }
    }

    fn new(handle: Handle, timers: Timers) -> Self {
        let blocking = Arc::new(Semaphore::new(BLOCKING_JOBS));
        Self { handle, timers, blocking, outside: Outside::new() }
    }
}

/// The one place where this engine reads the monotonic clock (tokio's, so that its paused clock
/// works in tests).
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// And the one where it reads the wall's, for the thread that serves runs of every runtime.
#[expect(clippy::disallowed_methods, reason = "the engine is where time comes from")]
pub(crate) fn wall() -> time::Instant {
    time::Instant::now()
}

/// A clock, as of when it was made.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// Tokio's, which is read inside a runtime.
    Tokio(Instant),
    /// The wall's.
    Wall(time::Instant),
}

impl Clock {
    pub(crate) fn now(self) -> Moment {
        let ns = match self {
            Self::Tokio(start) => now().duration_since(start),
            Self::Wall(start) => wall().duration_since(start),
        };
        Moment(u64::try_from(ns.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Host for TokioHost {
    fn now(&self) -> Moment {
        self.timers.now()
    }

    #[expect(clippy::disallowed_methods, reason = "the engine is where wall time comes from")]
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(flux_io_core::nanos_i64(since))
    }

    fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        self.timers.arm(at, waker)
    }

    fn cancel(&self, id: TimerId) {
        self.timers.cancel(id);
    }

    fn blocking(&self, job: Job) {
        let gate = Arc::clone(&self.blocking);
        let handle = self.handle.clone();
        self.handle.spawn(async move {
            // The gate is never closed; without a permit the job runs all the same.
            let permit = gate.acquire_owned().await;
            let job = handle.spawn_blocking(job);
            drop(job.await);
            drop(permit);
        });
    }

    /// Not one of the runtime's blocking threads: a runtime waits for those when it is dropped.
    fn outside(&self, job: Job) {
        self.outside.run(job, |body| {
            // Without a thread the job is dropped, which is what its connector is told.
            drop(Builder::new().name("flux-io-outside".into()).spawn(body));
        });
    }

    fn slice(&self) -> Duration {
        SLICE
    }

    fn has_reactor(&self) -> bool {
        true
    }
}
