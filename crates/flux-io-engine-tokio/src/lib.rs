//! The tokio engine: a task per segment instance.
//!
//! The engine polls the tasks that core cuts from a plan; edges, order, watermarks, retries and
//! drain are core's. What is here is an executor and a clock: timers kept in one set, blocking work
//! in at most two threads at a time, and tasks that are aborted when the run's future is dropped.
//!
//! Time is the runtime's, also when its clock is paused; a runtime without time is refused. Timers do
//! not wait for its ticks of a millisecond: from its first wait shorter than 100 ms on a run is served
//! by a thread that sleeps exactly as long as the operating system lets it. The process has one such
//! thread for all its runs, once one of them has needed it. The timers of a run without such a wait
//! may be two milliseconds late.

mod dataflow;
mod executor;
mod host;
mod inside;
#[cfg(all(test, flux_io_loom))]
mod loom_tests;
mod sync;
mod timers;

pub use dataflow::{Block, DataflowEngine};
pub use executor::TokioExecutor;

use flux_io_core::{
    Engine, ErrorClass, ErrorKind, ExecutionPlan, Graph, Host, PlanFault, RunHandle, RunOptions,
    RunReport, StageError, StopMode, tasks,
};
use host::TokioHost;
use std::sync::OnceLock;
use sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinSet};

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
    /// Refused ([`ErrorKind::Refused`]) when awaited outside a tokio runtime, or on one without time.
    pub async fn run(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        let ready = self.accepts(&plan.graph, &options).map_err(StageError::from);
        let ready = ready.and_then(|()| Ok((inside::runtime()?, options.begin()?)));
        let (runtime, options) = match ready {
            Ok(ready) => ready,
            Err(e) => return RunReport::refused("tokio", e),
        };
        let hash_seed = options.hash_seed.unwrap_or_else(process_seed);
        let options = RunOptions { hash_seed: Some(hash_seed), ..options };
        let host: Arc<TokioHost> = Arc::new(TokioHost::of_runtime(runtime));
        let dyn_host: Arc<dyn Host> = Arc::<TokioHost>::clone(&host);
        let (tasks, mut collector) = tasks(plan, &dyn_host, &options);
        let timers = tokio::spawn(host.drive()).abort_handle();
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
    /// Refused ([`ErrorKind::Refused`]) inside a task of a runtime, whose worker it would hold for as
    /// long as it takes: await [`run`](Self::run) there. A thread of `spawn_blocking` may call it.
    ///
    /// # Errors
    /// When the runtime cannot be made (no threads, no reactor).
    pub fn run_blocking(
        &self,
        plan: ExecutionPlan<'static>,
        options: RunOptions,
    ) -> std::io::Result<RunReport> {
        if inside::a_task() {
            return Ok(RunReport::refused("tokio", inside::blocks()));
        }
        Ok(runtime(options.workers)?.block_on(self.run(plan, options)))
    }
}

/// A runtime of its own: with one worker everything runs on the thread that blocks on it.
fn runtime(workers: u32) -> std::io::Result<Runtime> {
    let mut builder = match workers {
        0 | 1 => Builder::new_current_thread(),
        n => {
            let mut b = Builder::new_multi_thread();
            b.worker_threads(n as usize);
            b
        }
    };
    // Sockets too, where the program has that part of tokio.
    builder.enable_all().build()
}

fn no_runtime(e: std::io::Error) -> StageError {
    let what = "cannot start a tokio runtime; ask for fewer workers";
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what).because(e)
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

    fn accepts(&self, _graph: &Graph, options: &RunOptions) -> Result<(), PlanFault> {
        options.without_scheduler("tokio")
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        match self.run_blocking(plan, options.clone()) {
            Ok(r) => r,
            Err(e) => {
                options.handle.stop(StopMode::Abort);
                RunReport::refused("tokio", no_runtime(e))
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
