//! The engines by name.

use crate::config::Engine;
use flux_io::RunError;
use flux_io::core::{ExecutionPlan, RunFailure, RunOptions, RunReport, StageError};
use flux_io::engine::{Rayon, Sync, Tokio};
use tokio::runtime::Builder;

/// Runs a plan to its end on an engine.
pub(super) fn run(
    engine: Engine,
    plan: ExecutionPlan<'static>,
    options: RunOptions,
) -> Result<RunReport, RunError> {
    match engine {
        Engine::Sync => Sync::new().with(options).run(plan),
        Engine::Rayon => Rayon::new().with(options).run(plan),
        Engine::Tokio => on_tokio(plan, options),
    }
}

/// On a runtime of its own, which is not waited for: a read that blocks for ever on a pipe shall
/// not hold up a run that was stopped.
fn on_tokio(plan: ExecutionPlan<'static>, options: RunOptions) -> Result<RunReport, RunError> {
    let workers = options.workers.max(1) as usize;
    let mut builder =
        if workers == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime = builder.worker_threads(workers).enable_time().build().map_err(|e| {
        let error = StageError::io("a tokio runtime cannot be started", e);
        let failure = Box::new(RunFailure { stage: "engine".to_owned(), shard: 0, error });
        RunError::Failed { failure, report: Box::default() }
    })?;
    let ended = runtime.block_on(Tokio::new().with(options).run(plan));
    runtime.shutdown_background();
    ended
}
