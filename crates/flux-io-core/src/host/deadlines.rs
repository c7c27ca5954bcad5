//! The data behind the timers of a host.

use super::TimerId;
use crate::time::Moment;
use std::collections::BTreeMap;
use std::task::Waker;

/// Armed timers in the order in which they are due; those due at one moment in the order of arming.
///
/// Data alone: whoever owns it knows the time and holds the lock. A waker that is handed out is
/// woken or dropped after that lock is released, since the task behind it may arm or cancel the
/// next timer.
#[derive(Debug, Default)]
pub struct Deadlines {
    armed: u64,
    due: BTreeMap<(Moment, TimerId), Waker>,
    at: BTreeMap<TimerId, Moment>,
}

impl Deadlines {
    /// Adds a timer. Its id was never given before.
    pub fn arm(&mut self, at: Moment, waker: &Waker) -> TimerId {
        self.armed += 1;
        let id = TimerId(self.armed);
        self.due.insert((at, id), waker.clone());
        self.at.insert(id, at);
        id
    }

    /// Takes a timer out, and nothing when it has fired or is unknown.
    #[must_use = "dropped while the lock is held, it may run a destructor that takes the lock"]
    pub fn cancel(&mut self, id: TimerId) -> Option<Waker> {
        let at = self.at.remove(&id)?;
        self.due.remove(&(at, id))
    }

    /// The moment at which the earliest timer is due.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The timers that are due first, all at one moment.
    pub fn first(&self) -> impl Iterator<Item = TimerId> {
        let at = self.next();
        self.due.keys().take_while(move |k| Some(k.0) == at).map(|k| k.1)
    }

    /// Takes out what is due at `now`, the earliest first.
    #[must_use = "a timer taken out is to be woken"]
    pub fn take_due(&mut self, now: Moment) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.due.first_entry().filter(|e| e.key().0 <= now) {
            let ((_, id), waker) = first.remove_entry();
            self.at.remove(&id);
            due.push(waker);
        }
        due
    }

    /// Timers armed with this very waker; looks at all of them.
    #[must_use]
    pub fn armed_with(&self, waker: &Waker) -> usize {
        self.due.values().filter(|w| w.will_wake(waker)).count()
    }

    /// Timers armed now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether no timer is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Timers armed in all.
    #[must_use]
    pub const fn armed(&self) -> u64 {
        self.armed
    }
}
