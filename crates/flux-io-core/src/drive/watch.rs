//! The watchdog's task, and the pulses it looks at.

use super::{EdgeRun, Shared, views};
use crate::accumulate::Command;
use crate::error::{ErrorClass, ErrorKind, StageError};
use crate::host::Sleep;
use crate::run::{RunFailure, StopMode, TaskReport};
use crate::sync::{Arc, AtomicBool, AtomicU8, AtomicU64, Mutex, Ordering, lock};
use crate::time::Moment;
use crate::wait_for::WaitFor;
use crate::watchdog::{Doing, OnStuck, Stuck, StuckTask, Watchdog};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, Waker};
use std::time::Duration;

/// How a task is, written by the task alone.
#[derive(Default)]
struct Pulse {
    /// Parcels moved.
    beats: AtomicU64,
    doing: AtomicU8,
    /// The moment it waits for at the longest; 0 = none.
    until: AtomicU64,
}

impl Pulse {
    fn set(&self, doing: Doing, until: Option<Moment>) {
        self.doing.store(doing as u8, Ordering::Relaxed);
        self.until.store(until.map_or(0, |t| t.0), Ordering::Relaxed);
    }

    fn doing(&self) -> Doing {
        let at = usize::from(self.doing.load(Ordering::Relaxed));
        Doing::ALL.get(at).copied().unwrap_or_default()
    }

    fn until(&self) -> Option<Moment> {
        Some(Moment(self.until.load(Ordering::Relaxed))).filter(|t| t.0 > 0)
    }
}

struct Patient {
    slot: usize,
    name: String,
    stages: Vec<String>,
    pulse: Arc<Pulse>,
}

/// What all tasks of a watched run share with its watchdog.
pub(super) struct Watched {
    policy: Watchdog,
    patients: Mutex<Vec<Patient>>,
    /// The watchdog sleeps until something moves.
    dozing: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Watched {
    pub(super) fn new(policy: Watchdog) -> Self {
        Self {
            policy,
            patients: Mutex::default(),
            dozing: AtomicBool::new(false),
            waker: Mutex::default(),
        }
    }

    /// A task joins. It has a name as soon as it is [`Watched::name`]d.
    pub(super) fn enter(self: &Arc<Self>, slot: usize) -> Heart {
        let pulse = Arc::new(Pulse::default());
        let (name, stages) = (String::new(), Vec::new());
        lock(&self.patients).push(Patient { slot, name, stages, pulse: Arc::clone(&pulse) });
        Heart { watched: Arc::clone(self), pulse }
    }

    pub(super) fn name(&self, slot: usize, name: &str, stages: &[String]) {
        if let Some(p) = lock(&self.patients).iter_mut().find(|p| p.slot == slot) {
            name.clone_into(&mut p.name);
            stages.clone_into(&mut p.stages);
        }
    }

    /// The task of `slot` waits.
    pub(super) fn waits(&self, slot: usize, doing: Doing, until: Option<Moment>) {
        if let Some(p) = lock(&self.patients).iter().find(|p| p.slot == slot) {
            p.pulse.set(doing, until);
        }
    }

    fn stir(&self) {
        let w = lock(&self.waker).take();
        if let Some(w) = w {
            w.wake();
        }
    }

    /// Parcels moved by all tasks, and tasks that have not ended.
    fn count(&self) -> (u64, usize) {
        let g = lock(&self.patients);
        let beats = g.iter().map(|p| p.pulse.beats.load(Ordering::SeqCst)).sum();
        (beats, g.iter().filter(|p| p.pulse.doing() != Doing::Done).count())
    }
}

/// A task's hold on its pulse; dropped with the task.
pub(super) struct Heart {
    watched: Arc<Watched>,
    pulse: Arc<Pulse>,
}

impl Heart {
    /// A parcel has moved.
    pub(super) fn beat(&self) {
        self.pulse.set(Doing::Works, None);
        // Sequentially consistent with the watchdog's "dozing, then count": one sees the other.
        self.pulse.beats.fetch_add(1, Ordering::SeqCst);
        if self.watched.dozing.load(Ordering::SeqCst) {
            self.watched.stir();
        }
    }

    pub(super) fn waits(&self, doing: Doing, until: Option<Moment>) {
        self.pulse.set(doing, until);
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.pulse.set(Doing::Done, None);
        self.watched.stir();
    }
}

/// The watchdog of a run.
pub(super) struct Dog {
    pub(super) run: Arc<Shared>,
    pub(super) watched: Arc<Watched>,
    pub(super) edges: Arc<Vec<EdgeRun>>,
    /// What a flush is asked of.
    pub(super) accumulators: Vec<String>,
}

/// What the watchdog remembers of its last looks.
struct Memory {
    beats: u64,
    quiet: u32,
    /// When something was last seen to have moved.
    moved_at: Moment,
    /// By task, the moment it waited for.
    until: Vec<Option<Moment>>,
    flushed: bool,
}

/// What a look found.
enum Found {
    Over,
    /// Something moved, or not for long enough.
    Goes,
    /// Nothing is to be done.
    Idle,
    Stuck(Box<Stuck>),
}

impl Dog {
    /// Looks until every task has ended.
    pub(super) async fn watch(self) -> TaskReport {
        let mut report = TaskReport::default();
        let now = self.run.host.now();
        // No count is this one: the first look finds that something has moved.
        let mut memory =
            Memory { beats: u64::MAX, quiet: 0, moved_at: now, until: Vec::new(), flushed: false };
        loop {
            let every = self.watched.policy.every.max(Duration::from_millis(1));
            let next = match self.look(&mut memory) {
                Found::Over => return report,
                Found::Goes => Some(self.run.host.now().plus(every)),
                Found::Idle => None,
                Found::Stuck(s) => {
                    if let Some(o) = &self.run.observer {
                        o.on_stuck(&s);
                    }
                    let again = self.act(&s, &mut memory);
                    report.stuck = Some(s);
                    again.then(|| self.run.host.now().plus(every))
                }
            };
            self.nap(next, memory.beats).await;
        }
    }

    /// One look at every task and queue.
    fn look(&self, memory: &mut Memory) -> Found {
        let now = self.run.host.now();
        let (beats, live) = self.watched.count();
        if live == 0 {
            return Found::Over;
        }
        let g = lock(&self.watched.patients);
        let waiting = |p: &Patient| p.pulse.until().filter(|_| p.pulse.doing() == Doing::Time);
        let until: Vec<_> = g.iter().map(waiting).collect();
        let alive = g.iter().filter(|p| p.pulse.doing() != Doing::Done).map(|p| StuckTask {
            name: p.name.clone(),
            stages: p.stages.clone(),
            doing: p.pulse.doing(),
            until: p.pulse.until(),
        });
        let tasks: Vec<StuckTask> = alive.collect();
        drop(g);
        let before = std::mem::replace(&mut memory.until, until);
        if std::mem::replace(&mut memory.beats, beats) != beats {
            (memory.quiet, memory.moved_at, memory.flushed) = (0, now, false);
            return Found::Goes;
        }
        let queues = views(&self.edges);
        let empty = queues.iter().all(|q| q.depth == 0 && q.controls == 0);
        if empty && tasks.iter().all(|t| matches!(t.doing, Doing::Rows | Doing::Outside)) {
            (memory.quiet, memory.moved_at) = (0, now);
            return Found::Idle;
        }
        let waits = WaitFor::of(tasks.iter().map(|t| (&*t.name, &*t.stages)), &queues);
        // A pause whose end is known and does not move is not a standstill.
        let paused = memory.until.iter().enumerate().any(|(i, at)| {
            let was = before.get(i).copied().flatten();
            at.is_some_and(|at| at > now && was.is_none_or(|was| was == at))
        });
        if paused && waits.cycle().is_none() {
            (memory.quiet, memory.moved_at) = (0, now);
            return Found::Goes;
        }
        memory.quiet += 1;
        if memory.quiet < self.watched.policy.intervals.max(1) {
            return Found::Goes;
        }
        memory.quiet = 0;
        Found::Stuck(Box::new(Stuck { quiet: now.since(memory.moved_at), tasks, queues, waits }))
    }

    /// Does what the policy says; whether to go on counting.
    fn act(&self, stuck: &Stuck, memory: &mut Memory) -> bool {
        let handle = &self.run.handle;
        match self.watched.policy.then {
            OnStuck::Report => false,
            OnStuck::Abort => {
                handle.stop(StopMode::Abort);
                false
            }
            OnStuck::Flush if !memory.flushed && !self.accumulators.is_empty() => {
                memory.flushed = true;
                self.accumulators.iter().for_each(|a| handle.command(a, Command::FlushAll));
                true
            }
            OnStuck::Flush | OnStuck::Fail => {
                let (class, kind) = (ErrorClass::Catastrophic, ErrorKind::Stuck);
                let error = StageError::new(class, kind, stuck.to_string());
                handle.fail(RunFailure { stage: "watchdog".into(), shard: 0, error });
                false
            }
        }
    }

    /// Sleeps until a moment; without one, until something has moved since `beats`. The end of the
    /// run ends both.
    async fn nap(&self, until: Option<Moment>, beats: u64) {
        let watched = &self.watched;
        let mut sleep = until.map(|at| Sleep::until(&self.run.host, at));
        watched.dozing.store(sleep.is_none(), Ordering::SeqCst);
        poll_fn(|cx| {
            *lock(&watched.waker) = Some(cx.waker().clone());
            let (now, live) = watched.count();
            if live == 0 || (sleep.is_none() && now != beats) {
                return Poll::Ready(());
            }
            sleep.as_mut().map_or(Poll::Pending, |s| Future::poll(Pin::new(s), cx))
        })
        .await;
        watched.dozing.store(false, Ordering::SeqCst);
    }
}
