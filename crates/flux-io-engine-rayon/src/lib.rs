//! The rayon engine: the tasks of a plan, polled batch by batch on a work-stealing pool.
//!
//! Workers take ready tasks from one queue of the engine's own, so a wake is a push and not a
//! spawn. A task that waits (for room, rows, time, a file) holds no worker. Blocking work runs on
//! an I/O thread of its own. Closures may borrow: the run is a scope.
//!
//! A stage that uses rayon itself finds the pool's other workers there: a worker without a ready
//! task first offers itself to the pool (`rayon::yield_now`) and only then sleeps.

mod blocking;
#[cfg(all(test, flux_io_loom))]
mod loom_tests;
mod ready;
#[cfg(all(test, flux_io_shuttle))]
mod shuttle_tests;
mod sync;
mod timers;

use blocking::IoThread;
use flux_io_core::{
    ChoiceKind, Collector, Ended, Engine, ErrorClass, ErrorKind, ExecutionPlan, Host, Moment,
    RunFailure, RunOptions, RunReport, StageError, Task, TimerId, Timestamp, tasks,
};
use ready::{Next, Ready, Ticket};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;
use sync::{Arc, Mutex, PoisonError, Stopwatch, Workers, lock};
use timers::Timers;

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
    /// When no pool can be made the report says so: [`Ended::Failed`], stage `engine`.
    pub fn run(&self, plan: ExecutionPlan<'_>, options: &RunOptions) -> RunReport {
        let workers = options.workers.max(1) as usize;
        match Workers::new(workers) {
            Ok(pool) => run_in(&pool, plan, options),
            Err(e) => {
                let what = "cannot make a thread pool; ask for fewer workers";
                let error = StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what);
                let failure =
                    RunFailure { stage: "engine".into(), shard: 0, error: error.because(e) };
                let ended = Ended::Failed;
                RunReport { ended, failure: Some(failure), engine: "rayon", ..RunReport::default() }
            }
        }
    }
}

impl Engine for RayonEngine {
    fn name(&self) -> &'static str {
        "rayon"
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        self.run(plan, &options)
    }
}

/// A task and its place in the queue.
struct Cell<'env> {
    task: Mutex<Option<Task<'env>>>,
    ticket: Arc<Ticket>,
    waker: Waker,
}

fn run_in(pool: &Workers, plan: ExecutionPlan<'_>, options: &RunOptions) -> RunReport {
    let ready = Arc::new(Ready::default());
    let host = Arc::new(RayonHost {
        since: Stopwatch::start(),
        timers: Timers::new(Arc::clone(&ready)),
        io: IoThread::start(),
    });
    let dyn_host: Arc<dyn Host> = Arc::<RayonHost>::clone(&host);
    let hash_seed = options.hash_seed.unwrap_or_else(process_seed);
    let options = RunOptions { hash_seed: Some(hash_seed), ..options.clone() };
    let (tasks, collector) = tasks(plan, &dyn_host, &options);
    let cells: Vec<Cell<'_>> = tasks
        .into_iter()
        .enumerate()
        .map(|(id, task)| {
            let ticket = Arc::new(Ticket::new(id, Arc::clone(&ready)));
            let waker = Waker::from(Arc::clone(&ticket));
            Cell { task: Mutex::new(Some(task)), ticket, waker }
        })
        .collect();
    ready.begin(cells.len());
    let collector = Mutex::new(collector);
    pool.run(|| work(&cells, &ready, &host, &collector));
    collector.into_inner().unwrap_or_else(PoisonError::into_inner).finish("rayon")
}

/// A worker: polls ready tasks until none is left.
fn work(cells: &[Cell<'_>], ready: &Ready, host: &RayonHost, collector: &Mutex<Collector>) {
    loop {
        match ready.next(|| host.timers.next_in(host.now())) {
            Next::Task(id) => poll(&cells[id], ready, collector),
            Next::Timer => host.timers.fire(host.now()),
            Next::Done => return,
        }
    }
}

fn poll(cell: &Cell<'_>, ready: &Ready, collector: &Mutex<Collector>) {
    cell.ticket.running();
    let mut slot = lock(&cell.task);
    let Some(task) = slot.as_mut() else { return };
    let mut cx = Context::from_waker(&cell.waker);
    let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *task).poll(&mut cx)));
    match polled {
        Ok(Poll::Pending) => {
            drop(slot);
            cell.ticket.idle();
        }
        Ok(Poll::Ready(report)) => {
            *slot = None;
            drop(slot);
            lock(collector).add(report);
            ready.one_done();
        }
        Err(_) => {
            let name = task.name().to_owned();
            *slot = None;
            drop(slot);
            lock(collector).lost(&name, "the task panicked outside user code".into());
            ready.one_done();
        }
    }
}

/// The seed of key hashes: from the operating system's randomness, so that nobody outside can
/// prepare keys that collide.
fn process_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u64)
}

struct RayonHost {
    since: Stopwatch,
    timers: Timers,
    io: IoThread,
}

impl Host for RayonHost {
    fn now(&self) -> Moment {
        Moment(u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX))
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
        self.io.run(job);
    }

    fn choose(&self, _kind: ChoiceKind, _n: u32) -> u32 {
        0
    }
}
