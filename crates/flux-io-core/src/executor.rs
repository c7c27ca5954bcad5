//! What polls tasks beside others of the same run: the contract that lets one engine join several
//! executors. Edges know no engine, so tasks of one plan may run on different ones; they share one
//! [`Host`].

use crate::drive::{Collector, Task};
use crate::error::StageError;
use crate::host::{BoxFuture, Host};
use crate::run::RunReport;
use crate::sync::{Arc, Mutex, lock};
use std::fmt;

/// Threads, or a runtime, that can poll some of the tasks of a run.
pub trait Executor: Send + Sync {
    /// Its name: what a stage's [`Hints::engine`](crate::Hints) says to prefer it.
    fn name(&self) -> &'static str;
    /// Whether what it polls may use sockets and other reactor-bound input.
    fn has_reactor(&self) -> bool {
        false
    }
    /// Opens a lane of `workers` threads (at least 1) for one run.
    ///
    /// # Errors
    /// When threads or a reactor cannot be had.
    fn open(&self, workers: u32) -> Result<Box<dyn Lane>, StageError>;
}

impl fmt::Debug for dyn Executor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Executor({})", self.name())
    }
}

/// An executor's share of one run.
///
/// # Laws
/// - A job whose waker was called, from whatever thread, is polled again, until it is ready.
/// - A job that panics or is given up is dropped; the others go on.
/// - The host's timers and blocking work are served at least as long as `poll_all` has not returned,
///   also for tasks that another lane polls.
pub trait Lane: Send + Sync {
    /// Time, timers and a place for blocking work.
    fn host(&self) -> Arc<dyn Host>;
    /// Polls every job until it is ready. Holds the calling thread meanwhile, which must not be a
    /// thread of the executor's own.
    fn poll_all(&self, jobs: Vec<BoxFuture<'static, ()>>);
}

/// A [`Collector`] that tasks report to from any thread.
#[derive(Clone)]
pub struct Tally(Arc<Mutex<Option<Collector>>>);

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tally")
    }
}

impl Tally {
    /// A tally over `collector`.
    #[must_use]
    pub fn new(collector: Collector) -> Self {
        Self(Arc::new(Mutex::new(Some(collector))))
    }

    /// The task as a future that hands its report in when it ends. Dropped before that, it is
    /// counted as lost, which fails the run.
    #[must_use]
    pub fn job<'env>(&self, task: Task<'env>) -> BoxFuture<'env, ()> {
        let mut hand_in = HandIn { tally: self.clone(), name: Some(task.name().to_owned()) };
        Box::pin(async move {
            let report = task.await;
            hand_in.name = None;
            if let Some(c) = &mut *lock(&hand_in.tally.0) {
                c.add(report);
            }
        })
    }

    /// The report of the run. Call it when every job has ended or was dropped.
    #[must_use]
    pub fn finish(self, engine: &'static str) -> RunReport {
        let collector = lock(&self.0).take();
        collector.map_or_else(RunReport::default, |c| c.finish(engine))
    }
}

struct HandIn {
    tally: Tally,
    /// Gone when the report is in.
    name: Option<String>,
}

impl Drop for HandIn {
    fn drop(&mut self) {
        if let (Some(name), Some(c)) = (self.name.take(), &mut *lock(&self.tally.0)) {
            c.lost(&name, "the task was given up before its end".into());
        }
    }
}
