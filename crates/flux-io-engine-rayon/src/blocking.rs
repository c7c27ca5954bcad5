//! The I/O thread: blocking jobs of sources and sinks, one after the other, so that no worker of
//! the pool waits for a disk.

use crate::sync::{Arc, Builder, Condvar, Mutex, lock, wait};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Jobs {
    /// Bounded by the number of sources and sinks: each has at most one job under way.
    waiting: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

/// Ends, after the jobs it was given, when it is dropped.
pub(crate) struct IoThread {
    shared: Arc<Shared>,
    running: bool,
}

impl IoThread {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = Builder::new().name("flux-io-blocking".into()).spawn(move || serve(&theirs));
        Self { shared, running: thread.is_ok() }
    }

    pub(crate) fn run(&self, job: Job) {
        if !self.running {
            // No thread could be had: better slow than not at all.
            return job();
        }
        lock(&self.shared.jobs).waiting.push_back(job);
        self.shared.changed.notify_one();
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        lock(&self.shared.jobs).closed = true;
        self.shared.changed.notify_all();
    }
}

fn serve(shared: &Shared) {
    let mut g = lock(&shared.jobs);
    loop {
        if let Some(job) = g.waiting.pop_front() {
            drop(g);
            // A panic of the job is the waiting task's business: its result never comes.
            drop(catch_unwind(AssertUnwindSafe(job)));
            g = lock(&shared.jobs);
        } else if g.closed {
            return;
        } else {
            g = wait(&shared.changed, &shared.jobs, g, None);
        }
    }
}
