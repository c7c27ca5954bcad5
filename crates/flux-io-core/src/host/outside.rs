//! Threads for work that may wait for ever.

use super::Job;
use crate::sync::{Arc, Condvar, Mutex, PoisonError, lock};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Default)]
struct Desk {
    /// Jobs that an idle thread was called for and has not taken yet.
    waiting: VecDeque<Job>,
    /// Threads that wait for a job.
    idle: usize,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    desk: Mutex<Desk>,
    called: Condvar,
}

/// The threads behind [`Host::outside`](super::Host::outside): one that has done its job waits for
/// the next, so that a connector with one job after the other keeps its thread. It starts none
/// itself; whoever owns it does.
///
/// When it is dropped idle threads end at once, the others behind their job. Nobody waits for them.
#[derive(Default)]
pub struct Outside(Arc<Shared>);

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let g = lock(&self.0.desk);
        write!(f, "Outside({} idle, {} waiting)", g.idle, g.waiting.len())
    }
}

impl Outside {
    /// No thread yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `job` to an idle thread, or to a new one: `start` is given the body of that thread, and
    /// drops it where none can be had. A job that panics ends alone.
    pub fn run(&self, job: Job, start: impl FnOnce(Job)) {
        let mut g = lock(&self.0.desk);
        if g.idle > g.waiting.len() {
            g.waiting.push_back(job);
            drop(g);
            self.0.called.notify_one();
            return;
        }
        drop(g);
        let shared = Arc::clone(&self.0);
        start(Box::new(move || serve(&shared, job)));
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        lock(&self.0.desk).closed = true;
        self.0.called.notify_all();
    }
}

/// The life of a thread: its first job, and those it is called for.
fn serve(shared: &Shared, first: Job) {
    let mut job = first;
    loop {
        // What panicked is known to whoever waits for it: its result never comes.
        drop(catch_unwind(AssertUnwindSafe(job)));
        let mut g = lock(&shared.desk);
        g.idle += 1;
        while g.waiting.is_empty() && !g.closed {
            g = shared.called.wait(g).unwrap_or_else(PoisonError::into_inner);
        }
        g.idle -= 1;
        // Those who are called when the desk is closed still do what they were called for.
        match g.waiting.pop_front() {
            Some(next) => job = next,
            None => return,
        }
    }
}
