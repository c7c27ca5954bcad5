//! Timers of a run: an ordered set, looked at by workers that find no ready task.

use crate::ready::Ready;
use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{Moment, TimerId};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

#[derive(Default)]
struct Armed {
    next: u64,
    due: BTreeMap<(Moment, u64), Waker>,
    at: BTreeMap<u64, Moment>,
}

pub(crate) struct Timers {
    armed: Mutex<Armed>,
    ready: Arc<Ready>,
}

impl Timers {
    pub(crate) fn new(ready: Arc<Ready>) -> Self {
        Self { armed: Mutex::default(), ready }
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let mut g = lock(&self.armed);
        g.next += 1;
        let id = g.next;
        let first = g.due.first_key_value().is_none_or(|((t, _), _)| at < *t);
        g.due.insert((at, id), waker.clone());
        g.at.insert(id, at);
        drop(g);
        if first {
            self.ready.nudge();
        }
        TimerId(id)
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        let mut g = lock(&self.armed);
        if let Some(at) = g.at.remove(&id.0) {
            g.due.remove(&(at, id.0));
        }
    }

    /// The time to the next timer; zero when one is due.
    pub(crate) fn next_in(&self, now: Moment) -> Option<Duration> {
        lock(&self.armed).due.first_key_value().map(|((t, _), _)| t.since(now))
    }

    /// Wakes what is due.
    pub(crate) fn fire(&self, now: Moment) {
        let mut due = Vec::new();
        let mut g = lock(&self.armed);
        while let Some(e) = g.due.first_entry().filter(|e| e.key().0 <= now) {
            let ((_, id), waker) = e.remove_entry();
            g.at.remove(&id);
            due.push(waker);
        }
        drop(g);
        due.into_iter().for_each(Waker::wake);
    }
}
