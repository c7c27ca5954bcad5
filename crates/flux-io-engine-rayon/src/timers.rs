//! Timers of a run: an ordered set, looked at by workers that find no ready task.

use crate::ready::Ready;
use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{Deadlines, Moment, TimerId};
use std::task::Waker;
use std::time::Duration;

pub(crate) struct Timers {
    armed: Mutex<Deadlines>,
    ready: Arc<Ready>,
}

impl Timers {
    pub(crate) fn new(ready: Arc<Ready>) -> Self {
        Self { armed: Mutex::default(), ready }
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let mut g = lock(&self.armed);
        let first = g.next().is_none_or(|t| at < t);
        let id = g.arm(at, waker);
        drop(g);
        if first {
            self.ready.nudge();
        }
        id
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        let withdrawn = lock(&self.armed).cancel(id);
        drop(withdrawn);
    }

    /// The time to the next timer; zero when one is due.
    pub(crate) fn next_in(&self, now: Moment) -> Option<Duration> {
        lock(&self.armed).next().map(|t| t.since(now))
    }

    /// Wakes what is due.
    pub(crate) fn fire(&self, now: Moment) {
        let due = lock(&self.armed).take_due(now);
        due.into_iter().for_each(Waker::wake);
    }
}
