//! The clock of a stage's calls: time as the driver says it, timers behind the stage's one
//! deadline.

use crate::sync::{Mutex, MutexGuard, PoisonError};
use flux_io_core::{Host, Moment, TimerId, Timestamp};
use std::collections::BTreeMap;
use std::task::Waker;

/// A host for futures that run inside a stage. It knows the time of the stage's calls alone.
#[derive(Default)]
pub(super) struct StageClock(Mutex<Timers>);

#[derive(Default)]
struct Timers {
    now: Moment,
    next: u64,
    armed: BTreeMap<(Moment, u64), Waker>,
    at: BTreeMap<u64, Moment>,
}

impl StageClock {
    fn lock(&self) -> MutexGuard<'_, Timers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is `now`: wakes whom that concerns.
    pub(super) fn advance(&self, now: Moment) {
        let mut t = self.lock();
        t.now = t.now.max(now);
        let mut due = Vec::new();
        while let Some(first) = t.armed.first_entry().filter(|e| e.key().0 <= now) {
            let ((_, id), waker) = first.remove_entry();
            t.at.remove(&id);
            due.push(waker);
        }
        drop(t);
        due.into_iter().for_each(Waker::wake);
    }

    /// The earliest armed timer.
    pub(super) fn next(&self) -> Option<Moment> {
        self.lock().armed.first_key_value().map(|t| t.0.0)
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
        let mut t = self.lock();
        let id = t.next;
        t.next += 1;
        t.armed.insert((at, id), waker.clone());
        t.at.insert(id, at);
        TimerId(id)
    }

    fn cancel(&self, id: TimerId) {
        let mut t = self.lock();
        let waker = t.at.remove(&id.0).and_then(|at| t.armed.remove(&(at, id.0)));
        drop(t);
        drop(waker);
    }

    /// In place: a stage has no place for blocking work, and `Env` offers none.
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}
