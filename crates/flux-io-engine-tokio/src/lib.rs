//! The tokio engine: a task per segment instance.
//!
//! The engine polls the tasks that core cuts from a plan; edges, order, watermarks, retries and
//! drain are core's. What is here is an executor and a clock: timers kept by one timer task,
//! blocking work in at most two threads at a time, and tasks that are aborted when the run's future
//! is dropped.

mod sync;
mod timers;

use flux_io_core::{
    Engine, ExecutionPlan, Host, Moment, RunHandle, RunOptions, RunReport, StopMode, TimerId,
    Timestamp, tasks,
};
use std::sync::OnceLock;
use std::task::Waker;
use std::time::SystemTime;
use sync::Arc;
use timers::Timers;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// Blocking jobs (file reads and writes) that run at the same time.
const BLOCKING_JOBS: usize = 2;

/// Runs plans on tokio.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioEngine;

impl TokioEngine {
    /// The engine; it has no settings of its own, the run's options say it all.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Runs a plan to its end on the runtime this is awaited on.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the run: tasks end at their next await, sinks give up what they
    /// have not committed, nothing is reported. To stop in order, use the handle in the options.
    ///
    /// # Panics
    /// When awaited outside a tokio runtime with time enabled.
    pub async fn run(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        let hash_seed = options.hash_seed.unwrap_or_else(process_seed);
        let options = RunOptions { hash_seed: Some(hash_seed), ..options };
        let host: Arc<TokioHost> = Arc::new(TokioHost::new());
        let dyn_host: Arc<dyn Host> = Arc::<TokioHost>::clone(&host);
        let (tasks, mut collector) = tasks(plan, &dyn_host, &options);
        let timers = tokio::spawn(Arc::clone(&host.timers).drive()).abort_handle();
        let mut guard = AbortOnDrop { handle: options.handle.clone(), timers, armed: true };
        let mut set = JoinSet::new();
        for t in tasks {
            set.spawn(t);
        }
        while let Some(done) = set.join_next().await {
            match done {
                Ok(report) => collector.add(report),
                Err(e) => collector.lost("a task of the run", e.to_string()),
            }
        }
        guard.armed = false;
        collector.finish("tokio")
    }

    /// Runs a plan to its end on a runtime made for it, with as many workers as the options say.
    ///
    /// # Errors
    /// When the runtime cannot be made (no threads, no reactor).
    pub fn run_blocking(
        &self,
        plan: ExecutionPlan<'static>,
        options: RunOptions,
    ) -> std::io::Result<RunReport> {
        let workers = options.workers.max(1) as usize;
        let runtime = if workers == 1 {
            Builder::new_current_thread().enable_time().build()?
        } else {
            Builder::new_multi_thread().worker_threads(workers).enable_time().build()?
        };
        Ok(runtime.block_on(self.run(plan, options)))
    }
}

/// Ends the timer task with the run, and aborts the run when its future is dropped half-way.
struct AbortOnDrop {
    handle: RunHandle,
    timers: AbortHandle,
    armed: bool,
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.timers.abort();
        if self.armed {
            self.handle.stop(StopMode::Abort);
        }
    }
}

impl Engine for TokioEngine {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        let handle = options.handle.clone();
        match self.run_blocking(plan, options) {
            Ok(r) => r,
            Err(e) => {
                handle.stop(StopMode::Abort);
                let what = format!("cannot start a tokio runtime: {e}");
                let error = flux_io_core::StageError::catastrophic(what);
                let failure = flux_io_core::RunFailure { stage: "engine".into(), shard: 0, error };
                let ended = flux_io_core::Ended::Failed;
                RunReport { ended, failure: Some(failure), engine: "tokio", ..RunReport::default() }
            }
        }
    }
}

/// The seed of key hashes, drawn once per process from the operating system's randomness, so that
/// nobody outside can prepare keys that collide.
fn process_seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(0_u64)
    })
}

struct TokioHost {
    start: Instant,
    handle: Handle,
    timers: Arc<Timers>,
    blocking: Arc<Semaphore>,
}

impl TokioHost {
    fn new() -> Self {
        let start = now();
        Self {
            start,
            handle: Handle::current(),
            timers: Arc::new(Timers::new(start)),
            blocking: Arc::new(Semaphore::new(BLOCKING_JOBS)),
        }
    }
}

/// The one place where this engine reads the monotonic clock (tokio's, so that its paused clock
/// works in tests).
fn now() -> Instant {
    Instant::now()
}

impl Host for TokioHost {
    fn now(&self) -> Moment {
        let ns = now().duration_since(self.start).as_nanos();
        Moment(u64::try_from(ns).unwrap_or(u64::MAX))
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

    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        let gate = Arc::clone(&self.blocking);
        let handle = self.handle.clone();
        self.handle.spawn(async move {
            // The gate is never closed; without a permit the job runs all the same.
            let permit = gate.acquire_owned().await;
            let job = handle.spawn_blocking(job);
            drop(job.await);
            drop(permit);
        });
    }

    fn has_reactor(&self) -> bool {
        true
    }
}
