//! The watchdog's task, and the pulses it looks at.

mod scene;

pub(super) use scene::FAILED_ROWS;

use super::{EdgeRun, Shared, views};
use crate::accumulate::Command;
use crate::error::{ErrorClass, ErrorKind, StageError};
use crate::host::Sleep;
use crate::run::{RunFailure, StopMode, TaskReport};
use crate::sync::{Arc, AtomicBool, AtomicU8, AtomicU64, Mutex, Ordering, lock};
use crate::time::Moment;
use crate::watchdog::{Doing, OnStuck, Silence, Stuck, Watchdog};
use scene::{Scene, Seen};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, Waker};
use std::time::Duration;

/// How a task is, written by the task alone.
#[derive(Default)]
struct Pulse {
    /// Parcels moved.
    beats: AtomicU64,
    /// Times it began to wait for something else than before.
    turns: AtomicU64,
    doing: AtomicU8,
    /// What it waited for last.
    waited: AtomicU8,
    /// The moment it waits for at the longest; 0 = none.
    until: AtomicU64,
    /// Which of its first 64 input edges hold its time back.
    held: Arc<AtomicU64>,
}

impl Pulse {
    fn set(&self, doing: Doing, until: Option<Moment>) {
        self.doing.store(doing as u8, Ordering::Relaxed);
        self.until.store(until.map_or(0, |t| t.0), Ordering::Relaxed);
    }

    /// It waits; whether for something else than when it waited last.
    fn waits(&self, doing: Doing, until: Option<Moment>) -> bool {
        self.set(doing, until);
        let turned = self.waited.load(Ordering::Relaxed) != doing as u8;
        if turned {
            self.waited.store(doing as u8, Ordering::Relaxed);
            self.turns.fetch_add(1, Ordering::SeqCst);
        }
        turned
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
        let of = |p: &&Patient| p.slot == slot;
        let pulse = lock(&self.patients).iter().find(of).map(|p| Arc::clone(&p.pulse));
        if pulse.is_some_and(|p| p.waits(doing, until)) {
            self.stir_if_dozing();
        }
    }

    fn stir(&self) {
        let w = lock(&self.waker).take();
        if let Some(w) = w {
            w.wake();
        }
    }

    /// What a task has counted before is seen by a watchdog that dozes later: it counts once more
    /// when it has said that it does.
    fn stir_if_dozing(&self) {
        if self.dozing.load(Ordering::SeqCst) {
            self.stir();
        }
    }

    /// Signs of life of all tasks (parcels moved, waits for something else than before), and tasks
    /// that have not ended.
    fn count(&self) -> (u64, usize) {
        let g = lock(&self.patients);
        let signs = |p: &Patient| {
            p.pulse.beats.load(Ordering::SeqCst) + p.pulse.turns.load(Ordering::SeqCst)
        };
        let live = g.iter().filter(|p| p.pulse.doing() != Doing::Done).count();
        (g.iter().map(signs).sum(), live)
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
        self.watched.stir_if_dozing();
    }

    /// The task goes on: what it waited for has come.
    pub(super) fn works(&self) {
        self.pulse.set(Doing::Works, None);
    }

    pub(super) fn waits(&self, doing: Doing, until: Option<Moment>) {
        if self.pulse.waits(doing, until) {
            self.watched.stir_if_dozing();
        }
    }

    pub(super) fn held(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.pulse.held)
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
    tasks: Vec<Remembered>,
    /// Looks in a row at which nothing had moved though something was to be done.
    quiet: u32,
    /// When it was last seen that something had moved, or that nothing was to be done.
    quiet_since: Moment,
    /// Looks in a row at which nothing had moved and nothing was to be done.
    idle: u32,
    /// The standstill was told.
    told: bool,
    /// The dead tasks that were told.
    buried: Vec<usize>,
    flushed: bool,
    /// When a look was last counted.
    counted: Moment,
    /// A task seems dead that has not been seen so often enough.
    brews: bool,
}

/// What the watchdog remembers of a task.
#[derive(Clone, Copy, Default)]
struct Remembered {
    beats: u64,
    turns: u64,
    /// The moment it waited for.
    until: Option<Moment>,
    /// Looks in a row without a parcel moved, and since when.
    still: u32,
    since: Moment,
    /// Looks in a row at which it also waited for the same.
    same: u32,
    /// Looks in a row of those at which nothing could wake it. One look says little: a task that
    /// has just been woken, and has not said so yet, looks the same.
    dead: u32,
    /// Its silence was told.
    told: bool,
    /// It was told that the time of a stage waits for it.
    holds: bool,
}

impl Remembered {
    /// A look at it; whether it has moved a parcel since the one before. `tick`: an interval is
    /// over, and the look is counted.
    fn look(&mut self, p: &Pulse, tick: bool, now: Moment) -> bool {
        let (beats, turns) = (p.beats.load(Ordering::SeqCst), p.turns.load(Ordering::SeqCst));
        let moved = self.beats != beats;
        if moved {
            *self = Self { since: now, ..Self::default() };
        } else {
            let again = u32::from(tick);
            self.still = self.still.saturating_add(again);
            self.same = if self.turns == turns { self.same.saturating_add(again) } else { 0 };
        }
        (self.beats, self.turns, self.until) = (beats, turns, p.until());
        moved
    }
}

/// What a look found.
enum Found {
    Over,
    /// Something moved, or not for long enough.
    Goes,
    /// Nothing is to be done, and that was told.
    Idle,
    Silent(Box<Silence>),
    Stuck(Box<Stuck>),
}

impl Dog {
    /// Looks until every task has ended.
    pub(super) async fn watch(self) -> TaskReport {
        let mut report = TaskReport::default();
        let now = self.run.host.now();
        let mut memory = Memory {
            tasks: Vec::new(),
            quiet: 0,
            quiet_since: now,
            idle: 0,
            told: false,
            buried: Vec::new(),
            flushed: false,
            counted: now,
            brews: false,
        };
        loop {
            let every = self.watched.policy.every.max(Duration::from_millis(1));
            let signs = self.watched.count().0;
            let mut next = Some(self.run.host.now().plus(every));
            match self.look(&mut memory) {
                Found::Over => return report,
                Found::Goes => {}
                Found::Idle => next = next.filter(|_| memory.brews),
                Found::Silent(s) => {
                    if let Some(o) = &self.run.observer {
                        o.on_silence(&s);
                    }
                    next = next.filter(|_| !s.holds.is_empty());
                    report.silence = Some(s);
                }
                Found::Stuck(s) => {
                    if let Some(o) = &self.run.observer {
                        o.on_stuck(&s);
                    }
                    let again = self.act(&s, &mut memory);
                    report.stuck = Some(s);
                    next = next.filter(|_| again || memory.brews);
                }
            }
            self.nap(next, signs).await;
        }
    }

    /// One look at every task and queue.
    fn look(&self, memory: &mut Memory) -> Found {
        let now = self.run.host.now();
        let tick = now.since(memory.counted) >= self.watched.policy.every;
        if tick {
            memory.counted = now;
        }
        let g = lock(&self.watched.patients);
        memory.tasks.resize(g.len(), Remembered { since: now, ..Remembered::default() });
        let before: Vec<_> = memory.tasks.iter().map(|t| t.until).collect();
        let mut moved = false;
        for (task, p) in memory.tasks.iter_mut().zip(g.iter()) {
            moved |= task.look(&p.pulse, tick, now);
        }
        let seen = |(p, was): (&Patient, &Option<Moment>)| {
            let (doing, until) = (p.pulse.doing(), p.pulse.until());
            // A pause whose end is known and does not move is not a standstill.
            let paused = doing == Doing::Time
                && until.is_some_and(|at| at > now && was.is_none_or(|was| was == at));
            let held = p.pulse.held.load(Ordering::Relaxed);
            Seen { name: p.name.clone(), stages: p.stages.clone(), doing, until, paused, held }
        };
        let tasks: Vec<Seen> = g.iter().zip(&before).map(seen).collect();
        drop(g);
        if tasks.iter().all(|t| t.doing == Doing::Done) {
            return Found::Over;
        }
        let scene = Scene::new(tasks, views(&self.edges));
        if moved {
            (memory.quiet, memory.idle, memory.quiet_since) = (0, 0, now);
            (memory.told, memory.flushed) = (false, false);
        }
        self.judge(&scene, (moved, tick), memory, now)
    }

    fn judge(
        &self,
        scene: &Scene,
        (moved, tick): (bool, bool),
        memory: &mut Memory,
        now: Moment,
    ) -> Found {
        let enough = self.watched.policy.intervals.max(1);
        let mut dead = scene.dead();
        for (i, task) in memory.tasks.iter_mut().enumerate() {
            let again = task.dead.saturating_add(u32::from(tick)).min(task.same);
            task.dead = if dead.contains(&i) { again } else { 0 };
        }
        let seen = |i: &usize| memory.tasks[*i].dead;
        memory.brews = dead.iter().any(|i| seen(i) < enough);
        // One that is about to be seen often enough is told with the others; one that was seen so
        // just now may be gone at the next look, and is not waited for.
        let ripe = !dead.iter().any(|i| (1..enough).contains(&seen(i)));
        dead.retain(|i| seen(i) >= enough);
        if ripe && !dead.is_empty() && dead != memory.buried {
            let since = dead.iter().map(|i| memory.tasks[*i].since).max().unwrap_or(now);
            let stuck = scene.stuck(&dead, now.since(since));
            (memory.buried, memory.told, memory.quiet) = (dead, true, 0);
            return Found::Stuck(Box::new(stuck));
        }
        if dead.is_empty() {
            memory.buried = dead;
        }
        let idle = !moved && memory.buried.is_empty() && scene.is_idle();
        memory.idle = if idle { memory.idle.saturating_add(u32::from(tick)) } else { 0 };
        if let Some(silence) = Self::silence(scene, memory, enough, now) {
            return Found::Silent(Box::new(silence));
        }
        if idle {
            (memory.quiet, memory.quiet_since) = (0, now);
            return if memory.idle >= enough { Found::Idle } else { Found::Goes };
        }
        if moved {
            return Found::Goes;
        }
        if scene.is_paused() && memory.buried.is_empty() {
            (memory.quiet, memory.quiet_since) = (0, now);
            return Found::Goes;
        }
        memory.quiet = memory.quiet.saturating_add(u32::from(tick));
        // What seems dead is seen often enough soon, or goes on: then more is known to tell.
        if memory.quiet < enough || memory.brews && memory.quiet < enough.saturating_mul(2) {
            return Found::Goes;
        }
        memory.quiet = 0;
        let asks_again = matches!(self.watched.policy.then, OnStuck::Flush);
        if std::mem::replace(&mut memory.told, true) && !asks_again {
            return Found::Idle;
        }
        Found::Stuck(Box::new(scene.stuck(&memory.buried, now.since(memory.quiet_since))))
    }

    /// Sources whose silence is to be told: the time of a stage waits for them, or everybody does.
    fn silence(scene: &Scene, memory: &mut Memory, enough: u32, now: Moment) -> Option<Silence> {
        let silent = |memory: &Memory, i: usize| memory.tasks[i].still >= enough;
        let (mut sources, mut holds) = (Vec::new(), Vec::new());
        for (stage, by) in scene.held_back() {
            let by: Vec<usize> = by.into_iter().filter(|i| silent(memory, *i)).collect();
            if !by.is_empty() {
                holds.push(stage);
                sources.extend(by);
            }
        }
        let known = sources.iter().all(|i: &usize| memory.tasks[*i].holds);
        if known && memory.idle >= enough {
            (sources, holds) = (scene.outside(), Vec::new());
        }
        sources.sort_unstable();
        sources.dedup();
        let new = |t: &Remembered| if holds.is_empty() { !t.told } else { !t.holds };
        if !sources.iter().any(|i| new(&memory.tasks[*i])) {
            return None;
        }
        for i in &sources {
            let task = &mut memory.tasks[*i];
            (task.told, task.holds) = (true, task.holds || !holds.is_empty());
        }
        let since = sources.iter().map(|i| memory.tasks[*i].since).max()?;
        let sources = sources.into_iter().map(|i| scene.source(i)).collect();
        Some(Silence { sources, quiet: now.since(since), holds })
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
            OnStuck::FailWhenOver if !stuck.is_over() => false,
            OnStuck::Flush | OnStuck::Fail | OnStuck::FailWhenOver => {
                let (class, kind) = (ErrorClass::Catastrophic, ErrorKind::Stuck);
                let error = StageError::new(class, kind, stuck.to_string());
                handle.fail(RunFailure { stage: "watchdog".into(), shard: 0, error });
                false
            }
        }
    }

    /// Sleeps until a moment; without one, until a task gives a sign of life that is not in
    /// `signs`. The end of the run ends both.
    async fn nap(&self, until: Option<Moment>, signs: u64) {
        let watched = &self.watched;
        let mut sleep = until.map(|at| Sleep::until(&self.run.host, at));
        watched.dozing.store(sleep.is_none(), Ordering::SeqCst);
        poll_fn(|cx| {
            *lock(&watched.waker) = Some(cx.waker().clone());
            let (now, live) = watched.count();
            if live == 0 || (sleep.is_none() && now != signs) {
                return Poll::Ready(());
            }
            sleep.as_mut().map_or(Poll::Pending, |s| Future::poll(Pin::new(s), cx))
        })
        .await;
        watched.dozing.store(false, Ordering::SeqCst);
    }
}
