//! The driver: cuts a plan into tasks and is the body of each. An engine only polls the tasks.
//!
//! A task is a head (a source, or input edges), a chain of links (stages that hand batches over by
//! pointer) and a tail (output edges, or a sink). Everything moves as parcels, most downstream
//! first; controls are parcels too, so they keep their place in the row order. The life of a batch
//! stands in ARCHITECTURE.md with these types by name.

mod chain;
mod cut;
mod head;
mod link;
mod tail;
mod task;
mod watch;

use crate::edge::{Edge, EdgeStats, QueueView};
use crate::error::{ErrorClass, ErrorKind, StageError};
use crate::host::{BoxFuture, Host};
use crate::id::Epoch;
use crate::observe::Observer;
use crate::run::{
    EdgeReport, RunFailure, RunHandle, RunOptions, RunReport, SnapshotStore, TaskReport, Whole,
    ending,
};
use crate::sync::Arc;
use crate::time::Moment;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

pub use cut::tasks;

/// One task of a run: a future that an engine polls until it is ready.
pub struct Task<'env> {
    name: String,
    stages: Vec<String>,
    /// Gone when it has panicked.
    future: Option<BoxFuture<'env, TaskReport>>,
    handle: RunHandle,
}

impl Task<'_> {
    /// The names of its first stage and instance, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the stages it drives, from its head to its tail.
    #[must_use]
    pub fn stages(&self) -> &[String] {
        &self.stages
    }
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.name)
    }
}

impl Future for Task<'_> {
    type Output = TaskReport;

    /// A panic that no stage, source or sink answers for (what they are asked in passing: a
    /// watermark, a position, counters) fails the run; it never reaches the engine.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TaskReport> {
        let Some(future) = &mut self.future else { return Poll::Ready(TaskReport::default()) };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(p) => {
                let what = format!("panicked: {}", panic_text(&*p));
                let error = StageError::new(ErrorClass::Permanent, ErrorKind::Panicked, what);
                let stage = self.name.split('#').next().unwrap_or_default().to_owned();
                self.handle.fail(RunFailure { stage, shard: 0, error });
                let gone = self.future.take();
                drop(catch_unwind(AssertUnwindSafe(|| drop(gone))));
                Poll::Ready(TaskReport::default())
            }
        }
    }
}

/// An edge of the plan as it stands in a run: one queue for each pair of instances.
struct EdgeRun {
    from: String,
    to: String,
    capacity: usize,
    /// Sending and receiving instance of each queue.
    pairs: Vec<(u32, u32)>,
    queues: Vec<Edge>,
}

/// How each queue of these edges stands.
fn views(edges: &[EdgeRun]) -> Vec<QueueView> {
    let view = |e: &EdgeRun| -> Vec<QueueView> {
        let each = e.queues.iter().zip(&e.pairs);
        each.map(|(q, (a, b))| q.view(format!("{}#{a}", e.from), format!("{}#{b}", e.to))).collect()
    };
    edges.iter().flat_map(view).collect()
}

/// Adds up what the tasks of one run report.
pub struct Collector {
    handle: RunHandle,
    host: Arc<dyn Host>,
    started: Moment,
    edges: Arc<Vec<EdgeRun>>,
    samples: usize,
    /// Stages and fused operators, in plan order.
    order: Vec<String>,
    report: RunReport,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collector({} edges)", self.edges.len())
    }
}

impl Collector {
    /// Takes a task's report.
    pub fn add(&mut self, task: TaskReport) {
        let r = &mut self.report;
        r.stages.extend(task.stages);
        for (cause, n) in task.dead {
            let dead = r.dead_letters.entry(cause).or_default();
            *dead = dead.saturating_add(n);
        }
        let room = self.samples.saturating_sub(r.samples.len());
        r.samples.extend(task.samples.into_iter().take(room));
        r.batches.made += task.batches.made;
        r.batches.reused += task.batches.reused;
        r.imbalances.extend(task.imbalances);
        r.stuck = task.stuck.or(r.stuck.take());
        r.silence = task.silence.or(r.silence.take());
    }

    /// How every queue between two tasks stands now: who waits for whom, for a dump of a run that
    /// makes no progress. Each queue is locked for a moment, one after the other.
    #[must_use]
    pub fn queues_now(&self) -> Vec<QueueView> {
        views(&self.edges)
    }

    /// A task ended without a report (it panicked outside user code, or was dropped): the run
    /// failed.
    pub fn lost(&mut self, task: &str, what: String) {
        let error = StageError::catastrophic(what);
        self.handle.fail(RunFailure { stage: task.to_owned(), shard: 0, error });
    }

    /// The report of the run. Call it when all tasks are done.
    #[must_use]
    pub fn finish(self, engine: &'static str) -> RunReport {
        let mut r = self.report;
        let (ended, failure) = ending(&self.handle);
        r.ended = ended;
        r.failure = failure;
        r.engine = engine;
        r.elapsed = self.host.now().since(self.started);
        let place: BTreeMap<&str, usize> =
            self.order.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
        r.stages.sort_by_key(|s| (place.get(s.name.as_str()).copied(), s.shard));
        for e in self.edges.iter() {
            let stats = e.queues.iter().map(Edge::stats).fold(EdgeStats::default(), add_stats);
            let there = stats.taken + stats.dropped + stats.shed + stats.undeliverable;
            if stats.sent != there + stats.waiting {
                r.imbalances.push(format!("edge {} -> {}: {stats:?}", e.from, e.to));
            }
            let (from, to) = (e.from.clone(), e.to.clone());
            r.edges.push(EdgeReport { from, to, capacity: e.capacity, stats });
        }
        let mut depth: BTreeMap<&str, usize> = BTreeMap::new();
        for e in &r.edges {
            let d = depth.entry(&e.to).or_default();
            *d = (*d).max(e.stats.high);
        }
        for s in &mut r.stages {
            s.in_depth_max = depth.get(s.name.as_str()).copied().unwrap_or(s.in_depth_max);
        }
        r
    }
}

fn add_stats(a: EdgeStats, b: EdgeStats) -> EdgeStats {
    EdgeStats {
        sent: a.sent + b.sent,
        taken: a.taken + b.taken,
        dropped: a.dropped + b.dropped,
        shed: a.shed + b.shed,
        undeliverable: a.undeliverable + b.undeliverable,
        high: a.high.max(b.high),
        blocked: a.blocked + b.blocked,
        waiting: a.waiting + b.waiting,
        balance: a.balance.zip(b.balance).map(|(x, y)| x + y).or(a.balance).or(b.balance),
    }
}

/// What all tasks of a run share.
struct Shared {
    host: Arc<dyn Host>,
    handle: RunHandle,
    observer: Option<Arc<dyn Observer>>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
    restore: bool,
    /// The epoch this run was restored from.
    restored: Epoch,
    samples: usize,
    max_rows: usize,
    measure: bool,
    watched: Option<Arc<watch::Watched>>,
    hash_seed: u64,
}

/// Under which name a checkpoint keeps the seed of the key hashes, which say who owns a key.
const ROUTING: &str = "(routing)";

impl Shared {
    fn new(host: &Arc<dyn Host>, options: &RunOptions, max_rows: usize, hash_seed: u64) -> Self {
        let store = options.snapshots.as_ref().filter(|_| options.restore);
        let restored = store.and_then(|s| s.newest()).unwrap_or_default();
        options.handle.epochs_behind(restored);
        Self {
            restored,
            host: Arc::clone(host),
            handle: options.handle.clone(),
            observer: options.observer.as_ref().map(Arc::clone),
            snapshots: options.snapshots.as_ref().map(Arc::clone),
            restore: options.restore,
            samples: options.error_samples,
            max_rows,
            measure: options.measure,
            watched: options.watchdog.map(|w| Arc::new(watch::Watched::new(w))),
            hash_seed,
        }
    }

    /// Tells the store that an epoch is complete, and only then everybody else.
    fn complete(&self, whole: Option<Whole>) {
        let Some(Whole { epoch, places }) = whole else { return };
        if let Some(store) = &self.snapshots {
            for (source, place) in places {
                if store.put(epoch, &source, 0, place).is_err() {
                    return;
                }
            }
            let seed = self.hash_seed.to_le_bytes().to_vec();
            let kept = store.put(epoch, ROUTING, 0, seed).and_then(|()| store.complete(epoch));
            if kept.is_err() {
                return;
            }
        }
        self.handle.completed(epoch);
    }
}

/// Why a task stops before its input ends.
enum Halt {
    /// The run was aborted.
    Aborted,
    /// This task failed.
    Failed(Box<RunFailure>),
}

impl From<RunFailure> for Halt {
    fn from(f: RunFailure) -> Self {
        Self::Failed(Box::new(f))
    }
}

/// Drops what is user code of a stage, source or sink; a panic of its destructor fails the run.
fn let_go<T>(run: &Shared, stage: &str, shard: u32, what: T) {
    if let Err(p) = catch_unwind(AssertUnwindSafe(|| drop(what))) {
        let what = format!("panicked while it was dropped: {}", panic_text(&*p));
        let error = StageError::new(ErrorClass::Permanent, ErrorKind::Panicked, what);
        run.handle.fail(RunFailure { stage: stage.to_owned(), shard, error });
    }
}

/// Lets the other tasks of the executor run.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The text of a caught panic.
fn panic_text(p: &(dyn std::any::Any + Send)) -> String {
    let text = p.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| p.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".into())
}
