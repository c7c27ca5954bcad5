//! The work-stealing pool as an executor: how jobs are polled, and a lane for engines that join
//! several executors.

use crate::host::RayonHost;
use crate::ready::{Next, Ready, Ticket};
use crate::sync::{Arc, Mutex, Workers, give_way, lock};
use flux_io_core::{BoxFuture, Executor, Host, Lane, StageError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

/// Polls tasks on a work-stealing pool of its own: the place for those that compute.
#[derive(Clone, Copy, Debug, Default)]
pub struct RayonExecutor;

impl RayonExecutor {
    /// The executor; a lane of it has a pool with as many workers as it was opened with.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Executor for RayonExecutor {
    fn name(&self) -> &'static str {
        "rayon"
    }

    fn open(&self, workers: u32) -> Result<Box<dyn Lane>, StageError> {
        Ok(Box::new(RayonLane { pool: crate::pool(workers)?, host: Arc::new(RayonHost::new()) }))
    }
}

struct RayonLane {
    pool: Workers,
    host: Arc<RayonHost>,
}

impl Lane for RayonLane {
    fn host(&self) -> Arc<dyn Host> {
        Arc::<RayonHost>::clone(&self.host)
    }

    fn poll_all(&self, jobs: Vec<BoxFuture<'static, ()>>) {
        poll_all(&self.pool, &self.host, jobs);
    }
}

/// A job and its place in the queue.
struct Cell<'env> {
    job: Mutex<Option<BoxFuture<'env, ()>>>,
    ticket: Arc<Ticket>,
    waker: Waker,
}

/// Polls every job to its end on all workers of `pool`; the calling thread waits.
pub(crate) fn poll_all(pool: &Workers, host: &RayonHost, jobs: Vec<BoxFuture<'_, ()>>) {
    let ready = &host.ready;
    let cell = |(id, job)| {
        let ticket = Arc::new(Ticket::new(id, Arc::clone(ready)));
        let waker = Waker::from(Arc::clone(&ticket));
        Cell { job: Mutex::new(Some(job)), ticket, waker }
    };
    let cells: Vec<Cell<'_>> = jobs.into_iter().enumerate().map(cell).collect();
    ready.begin(cells.len());
    pool.run(|| work(&cells, ready, host));
}

/// Polls between two looks at the timers, and at what stages ask of the pool, while there is always a ready job.
const POLLS_PER_TIMER: u32 = 32;

/// A worker: polls ready jobs until none is left.
fn work(cells: &[Cell<'_>], ready: &Ready, host: &RayonHost) {
    let mut polls = 0_u32;
    loop {
        match ready.next(|| host.timers.next_in(host.now())) {
            Next::Task(id) => {
                poll(&cells[id], ready);
                ready.polled();
                polls = polls.wrapping_add(1);
                if polls.is_multiple_of(POLLS_PER_TIMER) {
                    // Also where there is always a ready job: others may wait for this worker.
                    give_way();
                    host.timers.fire(host.now());
                }
            }
            Next::Timer => host.timers.fire(host.now()),
            Next::Done => return,
        }
    }
}

fn poll(cell: &Cell<'_>, ready: &Ready) {
    cell.ticket.running();
    let mut slot = lock(&cell.job);
    let Some(job) = slot.as_mut() else { return };
    let mut cx = Context::from_waker(&cell.waker);
    match catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(&mut cx))) {
        Ok(Poll::Pending) => {
            drop(slot);
            cell.ticket.idle();
        }
        // A job that panicked tells its run by being dropped.
        Ok(Poll::Ready(())) | Err(_) => {
            let over = slot.take();
            drop(slot);
            drop(catch_unwind(AssertUnwindSafe(|| drop(over))));
            ready.one_done();
        }
    }
}
