//! What the engine gives to tasks: a clock, timers that its workers serve, and an I/O thread.

use crate::blocking::IoThread;
use crate::ready::Ready;
use crate::sync::{Arc, Builder, Stopwatch};
use crate::timers::Timers;
use flux_io_core::{Host, Job, Moment, Outside, TimerId, Timestamp};
use std::task::Waker;
use std::time::SystemTime;

pub(crate) struct RayonHost {
    since: Stopwatch,
    pub(crate) ready: Arc<Ready>,
    pub(crate) timers: Timers,
    io: IoThread,
    outside: Outside,
}

impl RayonHost {
    pub(crate) fn new() -> Self {
        let ready = Arc::new(Ready::default());
        let timers = Timers::new(Arc::clone(&ready));
        Self {
            since: Stopwatch::start(),
            ready,
            timers,
            io: IoThread::start(),
            outside: Outside::new(),
        }
    }
}

impl Host for RayonHost {
    fn now(&self) -> Moment {
        Moment(u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX))
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
        self.io.run(job);
    }

    fn outside(&self, job: Job) {
        self.outside.run(job, |body| {
            // Without a thread the job is dropped, which is what its connector is told.
            drop(Builder::new().name("flux-io-outside".into()).spawn(body));
        });
    }
}
