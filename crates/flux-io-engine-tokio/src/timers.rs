//! Timers of a run: one ordered set, served by one task.
//!
//! A timer task per armed deadline would cost a spawn each; deadlines of a run change often and
//! fire rarely, so they are kept in order here and only the earliest is slept for.

use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{Moment, TimerId};
use std::collections::BTreeMap;
use std::future::pending;
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

#[derive(Default)]
struct Armed {
    next: u64,
    due: BTreeMap<(Moment, u64), Waker>,
    at: BTreeMap<u64, Moment>,
}

pub(crate) struct Timers {
    start: Instant,
    armed: Mutex<Armed>,
    /// A timer earlier than all others was armed.
    earlier: Notify,
}

impl Timers {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, armed: Mutex::default(), earlier: Notify::new() }
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
            self.earlier.notify_one();
        }
        TimerId(id)
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        let mut g = lock(&self.armed);
        if let Some(at) = g.at.remove(&id.0) {
            g.due.remove(&(at, id.0));
        }
    }

    /// Wakes what is due, for ever. Ended by aborting the task.
    pub(crate) async fn drive(self: Arc<Self>) {
        loop {
            let next = lock(&self.armed).due.first_key_value().map(|((t, _), _)| *t);
            let wait = async {
                match next {
                    Some(t) => sleep_until(self.start + Duration::from_nanos(t.0)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = wait => self.fire(),
                () = self.earlier.notified() => {}
            }
        }
    }

    fn fire(&self) {
        let now = crate::host::now().duration_since(self.start);
        let now = Moment(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        let mut due = Vec::new();
        let mut g = lock(&self.armed);
        while let Some(entry) = g.due.first_entry().filter(|e| e.key().0 <= now) {
            let ((_, id), waker) = entry.remove_entry();
            g.at.remove(&id);
            due.push(waker);
        }
        drop(g);
        due.into_iter().for_each(Waker::wake);
    }
}
