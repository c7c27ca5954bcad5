//! Tokio as one of several executors of a run.

use crate::host::TokioHost;
use crate::sync::Arc;
use crate::timers::Timers;
use crate::{no_runtime, runtime};
use flux_io_core::{BoxFuture, Executor, Host, Lane, StageError};
use std::pin::pin;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet};

/// Polls tasks on a runtime of its own: the place for those that mostly wait.
///
/// A lane of one worker polls on the calling thread, which also serves the timers: between a timer
/// and its task stands no other thread. Its runtime has a thread for sockets beside it.
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
        let here = workers <= 1;
        let runtime = if here { beside() } else { runtime(workers) }.map_err(no_runtime)?;
        // The clock is tokio's, which is read inside its runtime.
        let entered = runtime.enter();
        let handle = runtime.handle().clone();
        let host = if here { TokioHost::of_caller(handle) } else { TokioHost::of_runtime(handle) };
        drop(entered);
        Ok(Box::new(TokioLane { here, runtime, host: Arc::new(host) }))
    }
}

/// A runtime with a thread of its own, for sockets and blocking work of tasks that are polled
/// elsewhere.
fn beside() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

struct TokioLane {
    /// The thread that calls is the only worker.
    here: bool,
    runtime: Runtime,
    host: Arc<TokioHost>,
}

impl Lane for TokioLane {
    fn host(&self) -> Arc<dyn Host> {
        Arc::<TokioHost>::clone(&self.host)
    }

    fn poll_all(&self, jobs: Vec<BoxFuture<'static, ()>>) {
        // A job that panicked has told its run by being dropped.
        let mut set = JoinSet::new();
        if self.here {
            let _inside = self.runtime.enter();
            let local = LocalSet::new();
            for job in jobs {
                set.spawn_local_on(job, &local);
            }
            let all = local.run_until(async { while set.join_next().await.is_some() {} });
            if let Timers::Worker(worker) = &self.host.timers {
                worker.block_on(pin!(all));
            }
            return;
        }
        self.runtime.block_on(async {
            let timers = tokio::spawn(self.host.drive());
            for job in jobs {
                set.spawn(job);
            }
            while set.join_next().await.is_some() {}
            timers.abort();
        });
    }
}
