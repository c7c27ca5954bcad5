//! The clock of a stage's calls: time as the driver says it, timers behind the stage's one
//! deadline.

use crate::sync::{Mutex, MutexGuard, PoisonError};
use flux_io_core::{Deadlines, Host, Moment, TimerId, Timestamp};
use std::task::Waker;

/// A host for futures that run inside a stage. It knows the time of the stage's calls alone.
#[derive(Default)]
pub(super) struct StageClock(Mutex<Timers>);

#[derive(Default)]
struct Timers {
    now: Moment,
    armed: Deadlines,
}

impl StageClock {
    fn lock(&self) -> MutexGuard<'_, Timers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is `now`: wakes whom that concerns.
    pub(super) fn advance(&self, now: Moment) {
        let mut t = self.lock();
        t.now = t.now.max(now);
        let due = t.armed.take_due(now);
        drop(t);
        due.into_iter().for_each(Waker::wake);
    }

    /// Armed timers.
    pub(super) fn armed(&self) -> usize {
        self.lock().armed.len()
    }

    /// The earliest armed timer.
    pub(super) fn next(&self) -> Option<Moment> {
        self.lock().armed.next()
    }
}

impl Host for StageClock {
    fn now(&self) -> Moment {
        self.lock().now
    }

    /// A stage has no wall clock, and [`Env`](crate::effect::Env) offers none.
    fn wall(&self) -> Timestamp {
        Timestamp(0)
    }

    fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        self.lock().armed.arm(at, waker)
    }

    fn cancel(&self, id: TimerId) {
        let withdrawn = self.lock().armed.cancel(id);
        drop(withdrawn);
    }

    /// In place: a stage has no place for blocking work, and `Env` offers none.
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }

    /// As `blocking`.
    fn outside(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}
