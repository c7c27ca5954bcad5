//! The reference engine: one thread, a virtual clock, and every choice from one stream.
//!
//! Nothing here knows a stage. The engine polls the tasks that core cuts from a plan; when none is
//! ready the virtual clock jumps to the next deadline, so timeouts are exact and cost nothing
//! (B29).
//!
//! **Time does not jump while something outside the run is awaited**: a thread that feeds a channel
//! or takes from an outlet, a pipe, the answer to a call. Then it goes on at the pace of the wall's
//! clock, so a deadline fires when it is really over, also while the input is quiet. What is outside
//! follows from who holds the waker that a source, a sink or a call was polled with: the engine's
//! timers alone, or somebody else too. (A future with wakers of its own inside, such as a set of
//! futures, counts as somebody else: its timers come at the wall's pace.) While a task can run no
//! time passes at all. A run that waits only for its own clock is the same each time, to the
//! nanosecond.
//!
//! Queues between tasks are bounded as on any other engine, so limits and backpressure are
//! really exercised (B30).
//!
//! ```
//! use flux_io_engine_sync::SyncEngine;
//! let engine = SyncEngine::seeded(7); // same seed and input: same bytes
//! # let _ = engine;
//! ```

mod choices;
mod clock;
#[cfg(all(test, flux_io_loom))]
mod loom_tests;
mod sync;

pub use choices::{Choice, Recorder};

use clock::Virtual;
use flux_io_core::{
    ChoiceKind, Engine, ExecutionPlan, Graph, Host, Picker, PlanFault, RunOptions, RunReport,
    StageError, Task, tasks,
};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use sync::{Arc, AtomicBool, Ordering, Thread};

/// Runs plans on the calling thread, with time of its own.
///
/// By default the most downstream ready task runs first and nothing is random. With a seed, the
/// next task, the rows a source gives at once and the order of timers due at one moment are drawn;
/// the draws are recorded and can be replayed. A scheduler in the run's options chooses the next
/// task instead.
#[derive(Clone, Debug, Default)]
pub struct SyncEngine {
    script: Script,
}

#[derive(Clone, Debug, Default)]
enum Script {
    #[default]
    Plain,
    Seed(u64),
    Replay(Vec<u32>),
}

impl SyncEngine {
    /// Most downstream first, whole batches, timers in order of arming.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every choice drawn from `seed`.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { script: Script::Seed(seed) }
    }

    /// The choices of a recorded run; beyond its end every choice is 0.
    #[must_use]
    pub const fn replay(choices: Vec<u32>) -> Self {
        Self { script: Script::Replay(choices) }
    }

    /// Runs a plan to its end.
    ///
    /// When nothing can run it waits for the outside, if something there is awaited or no deadline is
    /// pending: another thread that feeds a channel, or somebody who uses the handle.
    pub fn run(&self, plan: ExecutionPlan<'_>, options: &RunOptions) -> RunReport {
        self.run_recorded(plan, options).0
    }

    /// Like [`SyncEngine::run`]; also gives the choices that were made, for a replay.
    pub fn run_recorded(
        &self,
        plan: ExecutionPlan<'_>,
        options: &RunOptions,
    ) -> (RunReport, Vec<Choice>) {
        let ready = self.accepts(&plan.graph, options).map_err(StageError::from);
        let options = match ready.and_then(|()| options.begin()) {
            Ok(options) => options,
            Err(e) => return (RunReport::refused("sync", e), Vec::new()),
        };
        let recorder = match &self.script {
            Script::Plain => Recorder::plain(),
            Script::Seed(s) => Recorder::seeded(*s),
            Script::Replay(c) => Recorder::replay(c.clone()),
        };
        let host = Arc::new(Virtual::new(recorder));
        let dyn_host: Arc<dyn Host> = Arc::<Virtual>::clone(&host);
        let (tasks, mut collector) = tasks(plan, &dyn_host, &options);
        let picker = Picker::new(options.scheduler.as_ref(), &tasks);
        let mut pool = Pool::new(tasks, picker);
        while pool.live > 0 {
            if let Some(report) = pool.step(&host) {
                collector.add(report);
            }
        }
        let report = collector.finish("sync");
        (report, host.take_choices())
    }
}

impl Engine for SyncEngine {
    fn name(&self) -> &'static str {
        "sync"
    }

    fn accepts(&self, graph: &Graph, _options: &RunOptions) -> Result<(), PlanFault> {
        graph.without_reactor("sync")
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        self.run(plan, &options)
    }
}

/// Whether a task was woken since it was polled last.
struct Flag {
    ready: AtomicBool,
    thread: Thread,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

struct Cell<'env> {
    task: Option<Task<'env>>,
    flag: Arc<Flag>,
    waker: Waker,
}

struct Pool<'env> {
    cells: Vec<Cell<'env>>,
    ready: Vec<usize>,
    live: usize,
    picker: Picker,
}

impl<'env> Pool<'env> {
    fn new(tasks: Vec<Task<'env>>, picker: Picker) -> Self {
        let thread = sync::current();
        let cell = |task| {
            let flag = Arc::new(Flag { ready: AtomicBool::new(true), thread: thread.clone() });
            Cell { task: Some(task), waker: Waker::from(Arc::clone(&flag)), flag }
        };
        let cells: Vec<_> = tasks.into_iter().map(cell).collect();
        Self { live: cells.len(), ready: Vec::with_capacity(cells.len()), cells, picker }
    }

    /// Polls one ready task, or moves time, or waits for the outside.
    fn step(&mut self, host: &Virtual) -> Option<flux_io_core::TaskReport> {
        self.ready.clear();
        // Most downstream first: stages are described from the sources on.
        for (i, c) in self.cells.iter().enumerate().rev() {
            if c.task.is_some() && c.flag.ready.load(Ordering::Acquire) {
                self.ready.push(i);
            }
        }
        if self.ready.is_empty() {
            host.pass();
            return None;
        }
        let pick = if self.picker.asks() {
            self.picker.pick(&self.ready)
        } else {
            host.choose(ChoiceKind::NextTask, self.ready.len() as u32) as usize
        };
        let cell = &mut self.cells[self.ready[pick.min(self.ready.len() - 1)]];
        cell.flag.ready.store(false, Ordering::Release);
        let task = cell.task.as_mut()?;
        match Pin::new(task).poll(&mut Context::from_waker(&cell.waker)) {
            Poll::Pending => None,
            Poll::Ready(report) => {
                cell.task = None;
                self.live -= 1;
                Some(report)
            }
        }
    }
}
