//! A run: its options, the handle that stops and inspects it, and what it reports.

#[cfg(all(test, flux_io_loom))]
mod loom_tests;
#[cfg(all(test, not(flux_io_loom)))]
mod tests;

use crate::accumulate::{Command, Gauge, Ledger};
use crate::edge::EdgeStats;
use crate::error::{DeadCause, ErrorClass, ErrorKind, ErrorRecord, StageError};
use crate::graph::{Graph, PlanFault};
use crate::id::Epoch;
use crate::memory::MemoryPool;
use crate::mutant;
use crate::observe::Observer;
use crate::plan::ExecutionPlan;
use crate::scheduler::{MakeScheduler, Scheduler};
use crate::stage::Counts;
use crate::sync::{Arc, AtomicBool, AtomicU8, AtomicU64, Mutex, MutexGuard, Ordering, lock};
use crate::time::Moment;
use crate::watchdog::{Silence, Stuck, Watchdog};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Where snapshots of stages are kept, by epoch, stage name and shard.
///
/// # Laws
/// - `get` gives what `put` took for that place under the newest complete epoch, whole or not at
///   all; parts of other epochs are never mixed in.
/// - `complete` comes at most once an epoch, after every `put` of it and before anything is
///   committed because of it. Epochs that were given up are never completed.
pub trait SnapshotStore: Send + Sync {
    /// Keeps a part.
    ///
    /// # Errors
    /// The checkpoint is given up; the run goes on.
    fn put(&self, epoch: Epoch, stage: &str, shard: u32, bytes: Vec<u8>) -> Result<(), StageError>;
    /// Every part has arrived: from here on `epoch` is what a run is restored from, also after a
    /// crash. Nothing is committed before this has said so.
    ///
    /// # Errors
    /// Nobody is told that the epoch is complete, so sinks do not commit it; the run goes on. A
    /// store may find out after a crash that the epoch was kept after all, and give it as
    /// [`SnapshotStore::newest`]: what was prepared is committed then.
    fn complete(&self, epoch: Epoch) -> Result<(), StageError>;
    /// The part to restore from, if there is one.
    fn get(&self, stage: &str, shard: u32) -> Option<Vec<u8>>;
    /// The newest complete epoch: a restored run numbers its epochs behind it, so that they are
    /// new to the store and to transactional sinks. A store that outlives a run must know it.
    fn newest(&self) -> Option<Epoch> {
        None
    }
}

/// How a run is to go. Options serve any number of runs, a handle that somebody else holds only one:
/// see [`RunHandle`].
pub struct RunOptions {
    /// Rows of a full batch; `None` = the plan's.
    pub max_rows: Option<usize>,
    /// Workers that parallel hints resolve to.
    pub workers: u32,
    /// Seed of everything random in stages (jitter).
    pub seed: u64,
    /// Seed of key hashes; `None` = the engine draws one (real engines: per process).
    pub hash_seed: Option<u64>,
    /// Whether stages joined by a plain edge share a task. Results do not depend on it.
    pub chain: bool,
    /// Stops and inspects the run.
    pub handle: RunHandle,
    /// Sees what happens.
    pub observer: Option<Arc<dyn Observer>>,
    /// The memory budget.
    pub memory: Option<Arc<dyn MemoryPool>>,
    /// Where snapshots go and come from.
    pub snapshots: Option<Arc<dyn SnapshotStore>>,
    /// Whether to restore every stage and source from `snapshots` at the start.
    pub restore: bool,
    /// Dead letters kept in the report when the plan has no sink for them; all are counted.
    pub error_samples: usize,
    /// Whether the time spent in each stage is measured ([`StageState::busy`]): two readings of the
    /// engine's clock for each call of a stage.
    pub measure: bool,
    /// Who chooses among ready tasks, on engines that let somebody choose.
    pub scheduler: Option<MakeScheduler>,
    /// Who looks whether the run makes progress, if anybody does.
    pub watchdog: Option<Watchdog>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            max_rows: None,
            workers: 1,
            seed: 0,
            hash_seed: None,
            chain: true,
            handle: RunHandle::unasked(),
            observer: None,
            memory: None,
            snapshots: None,
            restore: false,
            error_samples: 64,
            measure: false,
            scheduler: None,
            watchdog: None,
        }
    }
}

impl Clone for RunOptions {
    fn clone(&self) -> Self {
        Self {
            max_rows: self.max_rows,
            workers: self.workers,
            seed: self.seed,
            hash_seed: self.hash_seed,
            chain: self.chain,
            handle: self.handle.along(),
            observer: self.observer.clone(),
            memory: self.memory.clone(),
            snapshots: self.snapshots.clone(),
            restore: self.restore,
            error_samples: self.error_samples,
            measure: self.measure,
            scheduler: self.scheduler.clone(),
            watchdog: self.watchdog,
        }
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RunOptions(max_rows {:?}, workers {}, seed {}, chain {})",
            self.max_rows, self.workers, self.seed, self.chain
        )
    }
}

impl RunOptions {
    /// Sets the rows of a full batch.
    #[must_use]
    pub const fn batch(mut self, rows: usize) -> Self {
        self.max_rows = Some(rows);
        self
    }

    /// Sets the workers.
    #[must_use]
    pub const fn workers(mut self, n: u32) -> Self {
        self.workers = n;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets whether stages share tasks.
    #[must_use]
    pub const fn chain(mut self, chain: bool) -> Self {
        self.chain = chain;
        self
    }

    /// Uses this handle.
    #[must_use]
    pub fn handle(mut self, handle: &RunHandle) -> Self {
        self.handle = handle.clone();
        self
    }

    /// Shows the run to an observer.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Keeps snapshots in `store`.
    #[must_use]
    pub fn snapshots(mut self, store: Arc<dyn SnapshotStore>) -> Self {
        self.snapshots = Some(store);
        self
    }

    /// Has the run watched.
    #[must_use]
    pub const fn watchdog(mut self, watchdog: Watchdog) -> Self {
        self.watchdog = Some(watchdog);
        self
    }

    /// Lets a scheduler choose among ready tasks; it is made anew for each run.
    #[must_use]
    pub fn scheduler<S: Scheduler + 'static>(
        mut self,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        self.scheduler = Some(Arc::new(move || Box::new(make())));
        self
    }

    /// The options of a run that begins now, with its handle: what an engine does first of all. A
    /// handle that nobody asked for, and that has served a run, makes room for a new one.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] when somebody holds the handle and it has served a run, or serves one.
    pub fn begin(&self) -> Result<Self, StageError> {
        let handle = self.handle.begin().ok_or_else(|| {
            let what = "this `RunHandle` has served another run; a handle stops and inspects one \
                        run, so give each its own";
            StageError::new(ErrorClass::Catastrophic, ErrorKind::Refused, what)
        })?;
        Ok(Self { handle, ..self.clone() })
    }

    /// Refuses these options for `engine`, which schedules for itself, when they bring a scheduler.
    ///
    /// # Errors
    /// Fault P030, when there is one.
    pub fn without_scheduler(&self, engine: &str) -> Result<(), PlanFault> {
        if self.scheduler.is_none() {
            return Ok(());
        }
        Err(PlanFault {
            code: "P030",
            path: vec!["run options".into()],
            what: format!("`{engine}` has a scheduler of its own and takes no other"),
            fix: "run the plan on the sync or rayon engine, or without a scheduler".into(),
        })
    }

    /// Measures the time spent in each stage.
    #[must_use]
    pub const fn measure(mut self, yes: bool) -> Self {
        self.measure = yes;
        self
    }

    /// Restores from the snapshots at the start.
    #[must_use]
    pub const fn restore(mut self, yes: bool) -> Self {
        self.restore = yes;
        self
    }
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Sources end now; everything accepted flows through. What is not through after `deadline`
    /// is left behind, named and counted.
    Graceful {
        /// Longest time for the drain; `None` = as long as it takes.
        deadline: Option<Duration>,
    },
    /// Tasks end at once; sinks give up what they have not committed.
    Abort,
}

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const ABORTED: u8 = 2;

#[derive(Default)]
struct HandleInner {
    level: AtomicU8,
    by_deadline: AtomicBool,
    version: AtomicU64,
    watched: AtomicBool,
    /// It serves a run, or has.
    begun: AtomicBool,
    /// Somebody holds it beside the options it came with.
    held: AtomicBool,
    barrier: AtomicU64,
    policy: AtomicU64,
    done_epoch: AtomicU64,
    drain: Mutex<Drain>,
    wakers: Mutex<Vec<Option<Waker>>>,
    commands: Mutex<Commands>,
    states: Mutex<BTreeMap<(String, u32), StageState>>,
    failure: Mutex<Option<RunFailure>>,
    acks: Mutex<Acks>,
}

/// How long a drain may take, and until when: fixed by the first task that looks.
#[derive(Default)]
struct Drain {
    longest: Option<Duration>,
    by: Option<Moment>,
}

/// Who has acknowledged which epoch.
#[derive(Default)]
struct Acks {
    /// Tasks that have not ended.
    live: BTreeSet<usize>,
    by_epoch: BTreeMap<u64, BTreeSet<usize>>,
    /// A cut is under way: sources emit its barrier, and not every live task has seen it.
    under_way: bool,
    /// The tasks that have seen it.
    seen: BTreeSet<usize>,
    /// Another one was asked for meanwhile.
    next_asked: bool,
    given_up: BTreeSet<u64>,
    /// A task ended before its input did: no epoch will be complete any more.
    broken: bool,
    /// Sources that have ended: name, last epoch they took part in, their last place.
    ended: Vec<(String, Epoch, Vec<u8>)>,
    /// The last epoch that every source took part in that was told to stop. A later one would keep
    /// what stages did at an end that a restored run does not have.
    stopped: Option<u64>,
}

/// An epoch that every task has acknowledged, and what is still to be kept under it.
pub(crate) struct Whole {
    pub(crate) epoch: Epoch,
    /// Places of sources that had ended before.
    pub(crate) places: Vec<(String, Vec<u8>)>,
}

/// Stops, inspects and talks to one run, from any thread; also its cancellation token. Cheap to
/// clone.
///
/// A handle serves one run: an engine refuses a second one, since what was asked of the first would
/// be asked of both. Options that were made without a handle may be used again, as long as nobody
/// took theirs.
#[derive(Default)]
pub struct RunHandle {
    inner: Arc<HandleInner>,
    /// It came with options, and nobody has asked for it.
    unasked: bool,
}

impl Clone for RunHandle {
    fn clone(&self) -> Self {
        if self.unasked {
            self.inner.held.store(true, Ordering::Release);
        }
        Self { inner: Arc::clone(&self.inner), unasked: false }
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle(level {})", self.inner.level.load(Ordering::Relaxed))
    }
}

impl RunHandle {
    /// A handle for a run to come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle of options that came without one.
    fn unasked() -> Self {
        Self { unasked: true, ..Self::default() }
    }

    /// The same, in a copy of its options.
    fn along(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), unasked: self.unasked }
    }

    /// The handle of a run that begins: this one, or a new one in its place.
    fn begin(&self) -> Option<Self> {
        let first = !self.inner.begun.swap(true, Ordering::AcqRel);
        if first {
            return Some(Self { inner: Arc::clone(&self.inner), unasked: false });
        }
        let free = self.unasked && !self.inner.held.load(Ordering::Acquire);
        free.then(|| Self::default().begin()).flatten()
    }

    /// Stops the run. An abort overrides a drain; a second call of the same mode changes nothing.
    pub fn stop(&self, mode: StopMode) {
        match mode {
            StopMode::Graceful { deadline } => {
                let mut d = lock(&self.inner.drain);
                if d.longest.is_none() {
                    d.longest = deadline;
                }
                drop(d);
                self.inner.level.fetch_max(DRAINING, Ordering::AcqRel);
            }
            StopMode::Abort => {
                self.inner.level.fetch_max(ABORTED, Ordering::AcqRel);
            }
        }
        self.notify();
    }

    /// Whether the run was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.level.load(Ordering::Acquire) != RUNNING
    }

    /// Sends a request to every instance of a stage. Served between batches.
    pub fn command(&self, stage: &str, command: Command) {
        lock(&self.inner.commands).waiting.push_back((stage.to_owned(), command));
        self.notify();
    }

    /// Asks for a checkpoint; gives its epoch. Sources emit the barrier between batches. In a
    /// restored run, ask when the run has begun: its epochs go on behind those of the store.
    ///
    /// One cut is under way at a time. What is asked for meanwhile is the next one, which begins
    /// when every task has seen the barrier of this one; all who ask until then get the same epoch.
    ///
    /// When the run is told to stop before every source that goes on has emitted the barrier, the epoch
    /// does not complete: stages take the stop for the end of their input, which it would not be for a
    /// run that goes on from there.
    #[must_use]
    pub fn checkpoint(&self) -> Epoch {
        let mut g = lock(&self.inner.acks);
        let next = self.inner.barrier.load(Ordering::Acquire) + 1;
        if g.under_way && !mutant!(CutsOverlap) {
            g.next_asked = true;
            return Epoch(next);
        }
        g.begin();
        self.inner.barrier.store(next, Ordering::Release);
        drop(g);
        self.notify();
        Epoch(next)
    }

    /// Announces a new version of the policies; gives its number. Sources emit it between batches.
    #[must_use]
    pub fn policy(&self) -> Epoch {
        let e = self.inner.policy.fetch_add(1, Ordering::AcqRel) + 1;
        self.notify();
        Epoch(e)
    }

    /// The newest checkpoint whose every part has arrived.
    #[must_use]
    pub fn completed_epoch(&self) -> Option<Epoch> {
        let e = self.inner.done_epoch.load(Ordering::Acquire);
        (e > 0).then_some(Epoch(e))
    }

    /// How a stage, source or sink stands, summed over its instances; `None` when none has this
    /// name or none of its instances has started.
    ///
    /// The first call begins the watching: it may show a stage as it was when it started. Later
    /// ones are at most 64 batches old.
    #[must_use]
    pub fn inspect(&self, stage: &str) -> Option<StageState> {
        if !self.inner.watched.swap(true, Ordering::AcqRel) {
            // Whoever waits says how it stands, too.
            self.notify();
        }
        let g = lock(&self.inner.states);
        let mut all = g.range((stage.to_owned(), 0)..=(stage.to_owned(), u32::MAX)).map(|(_, s)| s);
        let first = all.next()?.clone();
        Some(all.fold(first, |sum, s| sum.plus(s)))
    }

    pub(crate) fn notify(&self) {
        // State first, then wake (L-5).
        self.inner.version.fetch_add(1, Ordering::AcqRel);
        let wakers: Vec<Waker> =
            lock(&self.inner.wakers).iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn join(&self) -> usize {
        let mut g = lock(&self.inner.wakers);
        g.push(None);
        let slot = g.len() - 1;
        drop(g);
        lock(&self.inner.acks).live.insert(slot);
        lock(&self.inner.commands).read.insert(slot, 0);
        slot
    }

    /// A task has ended, with its whole input or not. Gives the epoch it was the last to miss in.
    pub(crate) fn leave(&self, slot: usize, clean: bool) -> Option<Whole> {
        lock(&self.inner.commands).leave(slot);
        let mut g = lock(&self.inner.acks);
        g.live.remove(&slot);
        g.broken |= !clean;
        let whole = g.finished();
        self.go_on(g);
        whole
    }

    /// Begins the cut that was asked for meanwhile, if every task has seen the one under way.
    fn go_on(&self, mut g: MutexGuard<'_, Acks>) {
        if !g.under_way || g.live.is_empty() || !g.live.is_subset(&g.seen) {
            return;
        }
        g.under_way = false;
        if std::mem::take(&mut g.next_asked) {
            g.begin();
            self.inner.barrier.fetch_add(1, Ordering::AcqRel);
            drop(g);
            self.notify();
        }
    }

    /// A task has done its part of an epoch. Gives the epoch to whoever was the last, once.
    pub(crate) fn ack(&self, slot: usize, epoch: Epoch) -> Option<Whole> {
        let mut g = lock(&self.inner.acks);
        g.by_epoch.entry(epoch.0).or_default().insert(slot);
        if epoch == self.wanted_barrier() {
            g.seen.insert(slot);
        }
        let whole = g.finished();
        self.go_on(g);
        whole
    }

    /// Epochs of this run begin behind `epoch`.
    pub(crate) fn epochs_behind(&self, epoch: Epoch) {
        let mut g = lock(&self.inner.acks);
        if self.wanted_barrier() < epoch {
            // What was asked for before has a number of the run before: nobody will emit it.
            (g.under_way, g.next_asked) = (false, false);
            self.inner.barrier.store(epoch.0, Ordering::Release);
        }
    }

    /// A part of this epoch could not be kept: it will not be complete.
    pub(crate) fn give_up(&self, epoch: Epoch) {
        lock(&self.inner.acks).given_up.insert(epoch.0);
    }

    /// A source has ended; epochs behind `last` find its place here.
    pub(crate) fn source_ended(&self, name: &str, last: Epoch, place: Vec<u8>) {
        lock(&self.inner.acks).ended.push((name.to_owned(), last, place));
    }

    /// A source was told to stop and has more to give; `last` is the last epoch it took part in.
    pub(crate) fn source_stopped(&self, last: Epoch) {
        let mut g = lock(&self.inner.acks);
        g.stopped = Some(g.stopped.map_or(last.0, |before| before.min(last.0)));
    }

    /// Every part of `epoch` is kept and the store knows it.
    pub(crate) fn completed(&self, epoch: Epoch) {
        self.inner.done_epoch.fetch_max(epoch.0, Ordering::AcqRel);
        self.notify();
    }

    pub(crate) fn register(&self, slot: usize, cx: &Context<'_>) {
        let mut g = lock(&self.inner.wakers);
        if let Some(w) = g.get_mut(slot)
            && !w.as_ref().is_some_and(|w| w.will_wake(cx.waker()))
        {
            *w = Some(cx.waker().clone());
        }
    }

    /// Ready when something was asked for, or has happened, since the version `seen`; else the
    /// task is woken when it does.
    pub(crate) fn poll_news(&self, slot: usize, seen: u64, cx: &Context<'_>) -> Poll<()> {
        self.register(slot, cx);
        // Looked at again, since it may have come before the waker was there (L-5).
        if self.version() == seen { Poll::Pending } else { Poll::Ready(()) }
    }

    pub(crate) fn version(&self) -> u64 {
        self.inner.version.load(Ordering::Acquire)
    }

    pub(crate) fn draining(&self) -> bool {
        self.is_stopping()
    }

    pub(crate) fn aborted(&self) -> bool {
        self.inner.level.load(Ordering::Acquire) == ABORTED
    }

    /// When the drain under way is to be cut; the same moment for every task.
    pub(crate) fn drain_by(&self, now: impl Fn() -> Moment) -> Option<Moment> {
        if !self.is_stopping() {
            return None;
        }
        let mut d = lock(&self.inner.drain);
        if d.by.is_none() {
            d.by = d.longest.map(|longest| now().plus(longest));
        }
        d.by
    }

    pub(crate) fn drain_expired(&self) {
        self.inner.by_deadline.store(true, Ordering::Release);
        self.stop(StopMode::Abort);
    }

    pub(crate) fn fail(&self, failure: RunFailure) {
        let mut g = lock(&self.inner.failure);
        if g.is_none() {
            *g = Some(failure);
        }
        drop(g);
        self.stop(StopMode::Abort);
    }

    pub(crate) fn wanted_barrier(&self) -> Epoch {
        Epoch(self.inner.barrier.load(Ordering::Acquire))
    }

    pub(crate) fn wanted_policy(&self) -> Epoch {
        Epoch(self.inner.policy.load(Ordering::Acquire))
    }

    pub(crate) fn commands_for(&self, slot: usize) -> Vec<(String, Command)> {
        lock(&self.inner.commands).take(slot)
    }

    pub(crate) fn watched(&self) -> bool {
        self.inner.watched.load(Ordering::Acquire)
    }

    pub(crate) fn publish(&self, state: &StageState) {
        lock(&self.inner.states).insert((state.name.clone(), state.shard), state.clone());
    }
}

impl Acks {
    fn begin(&mut self) {
        self.under_way = true;
        self.seen.clear();
    }

    /// The newest epoch that every live task has acknowledged, if nobody has taken it yet.
    fn finished(&mut self) -> Option<Whole> {
        if self.broken || self.live.is_empty() {
            return None;
        }
        let whole = |(e, by): &(&u64, &BTreeSet<usize>)| {
            let all = self.live.is_subset(by) || mutant!(AckTooEarly);
            let stopped = self.stopped.is_some_and(|last| **e > last);
            !self.given_up.contains(e) && !stopped && all
        };
        let done = self.by_epoch.iter().rev().find(whole).map(|(e, _)| *e)?;
        self.by_epoch.retain(|e, _| *e > done);
        self.given_up.retain(|e| *e > done);
        let before = self.ended.iter().filter(|(_, last, _)| last.0 < done);
        let places = before.map(|(name, _, place)| (name.clone(), place.clone())).collect();
        Some(Whole { epoch: Epoch(done), places })
    }
}

/// The cause under which rows skipped by an error policy are counted.
pub(crate) const SKIP: &str = crate::accumulate::DropCause::Skip.as_str();

/// Requests that some task has not looked at yet. What every task has read is forgotten, so a
/// long run with many requests holds few.
#[derive(Default)]
struct Commands {
    waiting: VecDeque<(String, Command)>,
    /// Requests forgotten so far: the number of the first one that waits.
    first: usize,
    /// By task, how many requests it has read.
    read: BTreeMap<usize, usize>,
}

impl Commands {
    fn take(&mut self, slot: usize) -> Vec<(String, Command)> {
        let seen = self.read.get(&slot).copied().unwrap_or(0).max(self.first);
        let new = self.waiting.iter().skip(seen - self.first).cloned().collect();
        self.read.insert(slot, self.first + self.waiting.len());
        self.forget();
        new
    }

    fn leave(&mut self, slot: usize) {
        self.read.remove(&slot);
        self.forget();
    }

    fn forget(&mut self) {
        let Some(&done) = self.read.values().min() else { return };
        let n = done.saturating_sub(self.first);
        self.waiting.drain(..n);
        self.first += n;
    }
}

/// How a stage instance stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Waits for input, room or time.
    #[default]
    Waiting,
    /// Handles something.
    Running,
    /// Waits before trying again.
    Retrying,
    /// Was set aside.
    Quarantined,
    /// Has ended.
    Done,
    /// Failed.
    Failed,
}

/// A stage instance: where it stands and what it counted. Rows are exact.
#[derive(Clone, Debug, Default)]
pub struct StageState {
    /// The stage's name.
    pub name: String,
    /// Which instance; for a sum, the first one's.
    pub shard: u32,
    /// How it stands.
    pub phase: Phase,
    /// Rows in and out, and rows that failed.
    pub counts: Counts,
    /// Dead letters of it.
    pub dead_letters: u64,
    /// Rows it dropped, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Time spent in calls of the stage by the engine's clock; measured only when the run was asked
    /// to ([`RunOptions::measure`]). Of a sum: of all instances together.
    pub busy: Duration,
    /// Errors answered by its policy, retries included.
    pub errors: u64,
    /// Retries made.
    pub retries: u64,
    /// The last error's text.
    pub last_error: Option<String>,
    /// Most batches that waited in front of it.
    pub in_depth_max: usize,
    /// What it holds, for stages with state.
    pub gauge: Option<Gauge>,
    /// Its ledger, for accumulators.
    pub ledger: Option<Ledger>,
}

impl StageState {
    pub(crate) fn note_removed(&mut self, removed: &crate::stage::Removed) {
        // Gaps between numbers are items, too: there may be more of them than can be counted.
        let dead = removed.dead.iter().map(|d| d.items).fold(0, u64::saturating_add);
        self.dead_letters = self.dead_letters.saturating_add(dead);
        self.counts.failed = self.counts.failed.saturating_add(dead);
        for (cause, n) in &removed.dropped {
            let dropped = self.dropped.entry(cause).or_default();
            *dropped = dropped.saturating_add(*n);
            // What an error policy skipped has failed; other drops are what was asked for.
            let failed = if *cause == SKIP { *n } else { 0 };
            self.counts.failed = self.counts.failed.saturating_add(failed);
        }
    }

    /// The sum with another instance of the stage.
    #[must_use]
    pub fn plus(mut self, o: &Self) -> Self {
        self.counts = self.counts.plus(o.counts);
        self.dead_letters = self.dead_letters.saturating_add(o.dead_letters);
        self.busy += o.busy;
        self.errors += o.errors;
        self.retries += o.retries;
        self.in_depth_max = self.in_depth_max.max(o.in_depth_max);
        self.last_error = self.last_error.or_else(|| o.last_error.clone());
        for (c, n) in &o.dropped {
            let dropped = self.dropped.entry(c).or_default();
            *dropped = dropped.saturating_add(*n);
        }
        if let Some(l) = &o.ledger {
            self.ledger.get_or_insert_with(Ledger::default).merge(l);
        }
        if let Some(g) = o.gauge {
            let s = self.gauge.get_or_insert_with(Gauge::default);
            s.keys += g.keys;
            s.items += g.items;
            s.bytes += g.bytes;
            s.tombstones += g.tombstones;
            s.spilled_keys += g.spilled_keys;
        }
        self
    }
}

/// Why a run failed: the stage and the first error nobody could answer.
#[derive(Debug, thiserror::Error)]
#[error("stage `{stage}` failed")]
pub struct RunFailure {
    /// The stage's name.
    pub stage: String,
    /// Its instance.
    pub shard: u32,
    /// The error.
    #[source]
    pub error: StageError,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// All input was read and everything flowed through.
    #[default]
    Completed,
    /// Stopped gracefully; everything accepted flowed through.
    Drained,
    /// The drain's deadline passed; what was left is counted as open or undelivered.
    DrainTimedOut,
    /// Aborted.
    Aborted,
    /// A stage failed.
    Failed,
}

/// An edge, by the names of its stages, and what it counted over all instances.
#[derive(Clone, Debug)]
pub struct EdgeReport {
    /// The sending stage.
    pub from: String,
    /// The receiving stage.
    pub to: String,
    /// Batches it holds, per instance pair.
    pub capacity: usize,
    /// What it counted.
    pub stats: EdgeStats,
}

/// Batches made, filled again and given back, over all tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchBalance {
    /// Batches allocated.
    pub made: u64,
    /// Batches filled again.
    pub reused: u64,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct RunReport {
    /// How it ended.
    pub ended: Ended,
    /// Why it failed, when it did.
    pub failure: Option<RunFailure>,
    /// Every instance of every stage, fused operators included, in plan order.
    pub stages: Vec<StageState>,
    /// Every edge that was not fused away.
    pub edges: Vec<EdgeReport>,
    /// Dead letters by cause.
    pub dead_letters: BTreeMap<DeadCause, u64>,
    /// The first dead letters, when the plan has no sink for them.
    pub samples: Vec<ErrorRecord>,
    /// Batches made and reused.
    pub batches: BatchBalance,
    /// How long it took by the engine's clock.
    pub elapsed: Duration,
    /// Which engine ran it.
    pub engine: &'static str,
    /// What the watchdog saw when it last found the run stuck.
    pub stuck: Option<Box<Stuck>>,
    /// The last long silence of sources that the watchdog told.
    pub silence: Option<Box<Silence>>,
    /// What does not add up; empty unless there is a defect. See [`RunReport::check`].
    pub imbalances: Vec<String>,
}

impl RunReport {
    /// The report of a run that did not begin: its engine could not do what the plan needs.
    #[must_use]
    pub fn refused(engine: &'static str, why: StageError) -> Self {
        let failure = RunFailure { stage: "engine".into(), shard: 0, error: why };
        Self { ended: Ended::Failed, failure: Some(failure), engine, ..Self::default() }
    }

    /// A stage, summed over its instances.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<StageState> {
        let mut all = self.stages.iter().filter(|s| s.name == name);
        let first = all.next()?.clone();
        Some(all.fold(first, |sum, s| sum.plus(s)))
    }

    /// The ledger of an accumulator, summed over its shards.
    #[must_use]
    pub fn ledger(&self, stage: &str) -> Option<Ledger> {
        self.stage(stage)?.ledger
    }

    /// Whether the run did all it was asked to.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.ended, Ended::Completed | Ended::Drained)
    }

    /// Whether everything adds up: ledgers against rows counted by the driver on every shard, and
    /// edges against their own sums.
    ///
    /// # Errors
    /// What does not add up: a defect in flux-io or in a stage that reports its own counts.
    pub fn check(&self) -> Result<(), String> {
        if self.imbalances.is_empty() { Ok(()) } else { Err(self.imbalances.join("; ")) }
    }

    /// The report as a result: the failure of a run that failed, the report of any other.
    ///
    /// # Errors
    /// The failure.
    pub fn into_result(mut self) -> Result<Self, Box<RunFailure>> {
        match self.failure.take() {
            Some(f) => Err(Box::new(f)),
            None => Ok(self),
        }
    }
}

/// What runs plans.
///
/// # Laws
/// - Exact order on ordered edges, equal multisets elsewhere, whatever the engine, the batch size,
///   the number of workers and the seed, as far as the plan's policies are functions of the data.
/// - Every task that the plan gives is polled until it ends, and dropped on abort.
pub trait Engine: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Whether it can run a plan of this graph with these options. A plan that is not accepted and
    /// run all the same ends as failed, with the same reason, before any stage starts.
    ///
    /// # Errors
    /// What it cannot do, and for which stage.
    fn accepts(&self, graph: &Graph, options: &RunOptions) -> Result<(), PlanFault> {
        let _ = (graph, options);
        Ok(())
    }
    /// Runs a plan to its end on the calling thread or on threads of the engine's own.
    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport;
}

/// What one task did; engines hand these to the [`crate::Collector`].
#[derive(Debug, Default)]
pub struct TaskReport {
    pub(crate) stages: Vec<StageState>,
    pub(crate) dead: BTreeMap<DeadCause, u64>,
    pub(crate) samples: Vec<ErrorRecord>,
    pub(crate) batches: BatchBalance,
    pub(crate) imbalances: Vec<String>,
    pub(crate) stuck: Option<Box<Stuck>>,
    pub(crate) silence: Option<Box<Silence>>,
}

pub(crate) fn ending(handle: &RunHandle) -> (Ended, Option<RunFailure>) {
    let failure = lock(&handle.inner.failure).take();
    let level = handle.inner.level.load(Ordering::Acquire);
    let ended = match (&failure, level) {
        (Some(_), _) => Ended::Failed,
        (None, ABORTED) if handle.inner.by_deadline.load(Ordering::Acquire) => Ended::DrainTimedOut,
        (None, ABORTED) => Ended::Aborted,
        (None, DRAINING) => Ended::Drained,
        _ => Ended::Completed,
    };
    (ended, failure)
}

impl From<PlanFault> for StageError {
    fn from(fault: PlanFault) -> Self {
        Self::new(ErrorClass::Catastrophic, ErrorKind::Plan, fault.to_string())
    }
}

impl RunFailure {
    /// Whether another run may succeed where this one failed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.error.class == ErrorClass::Transient
    }
}
