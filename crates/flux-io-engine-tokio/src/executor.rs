//! Tokio as one of several executors of a run.

use crate::host::TokioHost;
use crate::sync::Arc;
use crate::{no_runtime, runtime};
use flux_io_core::{BoxFuture, Executor, Host, Lane, StageError};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Polls tasks on a runtime of its own: the place for those that mostly wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioExecutor;

impl TokioExecutor {
    /// The executor; a lane of it has a runtime with as many workers as it was opened with.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Executor for TokioExecutor {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn has_reactor(&self) -> bool {
        true
    }

    fn open(&self, workers: u32) -> Result<Box<dyn Lane>, StageError> {
        let runtime = runtime(workers).map_err(no_runtime)?;
        // The clock is tokio's, which is read inside its runtime.
        let entered = runtime.enter();
        let host = Arc::new(TokioHost::new(runtime.handle().clone()));
        drop(entered);
        Ok(Box::new(TokioLane { runtime, host }))
    }
}

struct TokioLane {
    runtime: Runtime,
    host: Arc<TokioHost>,
}

impl Lane for TokioLane {
    fn host(&self) -> Arc<dyn Host> {
        Arc::<TokioHost>::clone(&self.host)
    }

    fn poll_all(&self, jobs: Vec<BoxFuture<'static, ()>>) {
        self.runtime.block_on(async {
            let timers = tokio::spawn(self.host.timers.drive());
            let mut set = JoinSet::new();
            for job in jobs {
                set.spawn(job);
            }
            // A job that panicked has told its run by being dropped.
            while set.join_next().await.is_some() {}
            timers.abort();
        });
    }
}
