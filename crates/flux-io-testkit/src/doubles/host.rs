//! A host whose time is moved by hand, and the smallest engine on it.
//!
//! The engine polls tasks in turn and checks after every poll that timers do not pile up (law H1:
//! a task arms at most one timer, a sleep one).

use super::lock;
use flux_io_core::{
    Deadlines, Engine, ExecutionPlan, Host, IoCx, Moment, RunOptions, RunReport, TimerId,
    Timestamp, tasks,
};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
struct State {
    now: Moment,
    timers: Deadlines,
    most: usize,
}

/// Time moved by hand; blocking work runs in place.
#[derive(Default)]
pub struct ManualHost {
    state: Mutex<State>,
}

impl std::fmt::Debug for ManualHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = lock(&self.state);
        write!(f, "ManualHost({:?}, {} timers)", s.now, s.timers.len())
    }
}

impl ManualHost {
    /// A host at the start of time.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// What a source or sink driven by hand is given.
    #[must_use]
    pub fn io(self: &Arc<Self>, max_rows: usize) -> IoCx {
        let host: Arc<Self> = Arc::clone(self);
        IoCx::new(host, max_rows)
    }

    /// Timers armed now.
    #[must_use]
    pub fn timers(&self) -> usize {
        lock(&self.state).timers.len()
    }

    /// Most timers armed at once.
    #[must_use]
    pub fn most_timers(&self) -> usize {
        lock(&self.state).most
    }

    /// Timers armed in all.
    #[must_use]
    pub fn armed(&self) -> u64 {
        lock(&self.state).timers.armed()
    }

    /// Moves time to the next deadline and fires it; `false` when there is none.
    pub fn advance(&self) -> bool {
        let mut s = lock(&self.state);
        let Some(at) = s.timers.next() else { return false };
        let first = s.timers.first().next();
        let waker = first.and_then(|id| s.timers.cancel(id));
        s.now = s.now.max(at);
        drop(s);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Moves time to `at` and fires what is due.
    pub fn advance_to(&self, at: Moment) {
        while lock(&self.state).timers.next().is_some_and(|t| t <= at) {
            self.advance();
        }
        let mut s = lock(&self.state);
        s.now = s.now.max(at);
    }

    /// Polls `future` to its end; time moves when nothing else does.
    ///
    /// # Errors
    /// [`Stuck`] when the future waits for something that will not come from this host.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Stuck> {
        let mut future = pin!(future);
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        loop {
            if let Poll::Ready(x) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ok(x);
            }
            while !flag.0.swap(false, Ordering::AcqRel) {
                if !self.advance() {
                    return Err(Stuck);
                }
            }
        }
    }
}

/// A future waits for something that will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

impl Host for ManualHost {
    fn now(&self) -> Moment {
        lock(&self.state).now
    }
    fn wall(&self) -> Timestamp {
        Timestamp(i64::try_from(self.now().0).unwrap_or(i64::MAX))
    }
    fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let mut s = lock(&self.state);
        let id = s.timers.arm(at, waker);
        s.most = s.most.max(s.timers.len());
        id
    }
    fn cancel(&self, id: TimerId) {
        let withdrawn = lock(&self.state).timers.cancel(id);
        drop(withdrawn);
    }
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
    fn outside(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// What a [`ManualEngine`] saw of one run beside its report.
#[derive(Debug)]
pub struct Run {
    /// The report.
    pub report: RunReport,
    /// Tasks the plan was cut into.
    pub tasks: usize,
    /// Most timers armed at once.
    pub most_timers: usize,
    /// Timers armed in all.
    pub armed: u64,
    /// Timers still armed at the end.
    pub left: usize,
}

/// Polls the tasks of a plan in turn on a [`ManualHost`]; a run that cannot go on is aborted, so
/// that a defect ends a test instead of hanging it.
#[derive(Debug, Default)]
pub struct ManualEngine {
    stuck: AtomicUsize,
}

impl ManualEngine {
    /// The engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs that could not go on and were aborted.
    #[must_use]
    pub fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Acquire)
    }

    /// Runs a plan and says what its timers did.
    pub fn watch(&self, plan: ExecutionPlan<'static>, options: &RunOptions) -> Run {
        let host = ManualHost::new();
        let dyn_host: Arc<dyn Host> = Arc::<ManualHost>::clone(&host);
        let (list, mut collector) = tasks(plan, &dyn_host, options);
        let count = list.len();
        let mut cells: Vec<_> =
            list.into_iter().map(|t| (Some(t), Arc::new(Flag(AtomicBool::new(true))))).collect();
        while cells.iter().any(|c| c.0.is_some()) {
            let mut moved = false;
            for (task, flag) in &mut cells {
                let Some(t) = task.as_mut() else { continue };
                if !flag.0.swap(false, Ordering::AcqRel) {
                    continue;
                }
                moved = true;
                let waker = Waker::from(Arc::clone(flag));
                if let Poll::Ready(r) = Pin::new(t).poll(&mut Context::from_waker(&waker)) {
                    *task = None;
                    collector.add(r);
                }
            }
            if !moved && !host.advance() {
                self.stuck.fetch_add(1, Ordering::AcqRel);
                options.handle.stop(flux_io_core::StopMode::Abort);
            }
        }
        drop(cells);
        Run {
            report: collector.finish("manual"),
            tasks: count,
            most_timers: host.most_timers(),
            armed: host.armed(),
            left: host.timers(),
        }
    }
}

impl Engine for ManualEngine {
    fn name(&self) -> &'static str {
        "manual"
    }
    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        self.watch(plan, &options).report
    }
}
