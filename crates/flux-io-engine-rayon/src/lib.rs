//! The rayon engine: the tasks of a plan, polled batch by batch on a work-stealing pool.
//!
//! Workers take ready tasks from one queue of the engine's own, so a wake is a push and not a
//! spawn. A task that waits (for room, rows, time, a file) holds no worker. Blocking work runs on
//! an I/O thread of its own. Closures may borrow: the run is a scope.
//!
//! A stage that uses rayon itself finds the pool's other workers there: `par_iter`, `join`, `scope`
//! and `broadcast` run on all that have no task at hand. A worker without a ready task first offers
//! itself to the pool (`rayon::yield_now`) and then sleeps; while a task is polled, sleepers look
//! into the pool every millisecond, so work of that length and more is spread. A worker that is busy
//! takes its part of a `broadcast` when it has polled its task.

mod blocking;
mod executor;
mod host;
#[cfg(all(test, flux_io_loom))]
mod loom_tests;
mod ready;
#[cfg(all(test, flux_io_shuttle))]
mod shuttle_tests;
mod sync;
mod timers;

pub use executor::RayonExecutor;

use executor::poll_all;
use flux_io_core::{
    Engine, ErrorClass, ErrorKind, ExecutionPlan, Graph, Host, Picker, PlanFault, RunOptions,
    RunReport, StageError, Tally, tasks,
};
use host::RayonHost;
use sync::{Arc, Workers};

/// Runs plans on a pool made for the run, with as many workers as the options say.
#[derive(Clone, Copy, Debug, Default)]
pub struct RayonEngine;

impl RayonEngine {
    /// The engine; it has no settings of its own, the run's options say it all.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Runs a plan to its end. Closures of the plan may borrow from the caller.
    ///
    /// When no pool can be made, or a connector needs a reactor, the report says so:
    /// [`Ended::Failed`](flux_io_core::Ended), stage `engine`.
    pub fn run(&self, plan: ExecutionPlan<'_>, options: &RunOptions) -> RunReport {
        let ready = self.accepts(&plan.graph, options).map_err(StageError::from);
        match ready.and_then(|()| Ok((options.begin()?, pool(options.workers)?))) {
            Ok((options, pool)) => run_in(&pool, plan, options),
            Err(e) => RunReport::refused("rayon", e),
        }
    }
}

impl Engine for RayonEngine {
    fn name(&self) -> &'static str {
        "rayon"
    }

    fn accepts(&self, graph: &Graph, _options: &RunOptions) -> Result<(), PlanFault> {
        graph.without_reactor("rayon")
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        self.run(plan, &options)
    }
}

fn pool(workers: u32) -> Result<Workers, StageError> {
    Workers::new(workers.max(1) as usize).map_err(|e| {
        let what = "cannot make a thread pool; ask for fewer workers";
        StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what).because(e)
    })
}

fn run_in(pool: &Workers, plan: ExecutionPlan<'_>, options: RunOptions) -> RunReport {
    let host = Arc::new(RayonHost::new());
    let dyn_host: Arc<dyn Host> = Arc::<RayonHost>::clone(&host);
    let hash_seed = options.hash_seed.unwrap_or_else(process_seed);
    let options = RunOptions { hash_seed: Some(hash_seed), ..options };
    let (tasks, collector) = tasks(plan, &dyn_host, &options);
    host.ready.schedule(Picker::new(options.scheduler.as_ref(), &tasks));
    let tally = Tally::new(collector);
    poll_all(pool, &host, tasks.into_iter().map(|t| tally.job(t)).collect());
    tally.finish("rayon")
}

/// The seed of key hashes: from the operating system's randomness, so that nobody outside can
/// prepare keys that collide.
fn process_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u64)
}
