//! The world of one simulated run: two clocks, timers, blocking jobs, faults, and the one stream
//! that every choice comes from.

use crate::choice::{Choice, Kind, Recorder};
use crate::fault::{Effects, Fault};
use crate::trace::Trace;
use flux_io_core::{ChoiceKind, Choices, Host, Moment, TimerId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long a drawn delay is; the first is none.
const DELAYS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_micros(50),
    Duration::from_millis(1),
    Duration::from_millis(20),
    Duration::from_millis(300),
    Duration::from_secs(2),
    Duration::from_secs(60),
];

const HOUR: i64 = 3_600 * 1_000_000_000;
/// By how much the wall clock may jump, in nanoseconds.
const JUMPS: [i64; 6] = [1_000_000, -1_000_000, HOUR, -HOUR, 24 * HOUR, -24 * HOUR];
/// What the wall shows at the start: 2020-01-01T00:00:00Z, so that a jump back stays after 1970.
const WALL_START: i64 = 1_577_836_800 * 1_000_000_000;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Shared by the engine, the wrappers and the test of one run. The lock is never contended: a
/// simulated run is one thread.
pub(crate) struct World(Mutex<Inner>);

/// Readings of the clock in one poll that no task needs: a poll handles some thousand batches.
const MOST_READS: u64 = 1_000_000;

struct Inner {
    now: u64,
    /// Readings of the clock since the last poll began.
    reads: u64,
    wall: i64,
    choices: Recorder,
    next_timer: u64,
    /// By moment, then in order of arming.
    due: BTreeMap<(u64, u64), Waker>,
    at: BTreeMap<u64, u64>,
    most_timers: usize,
    jobs: VecDeque<Job>,
    rates: [u16; 32],
    effects: Effects,
    healed: bool,
    trace: Trace,
    /// The tasks of a dead process are being dropped: nobody is told.
    crashing: bool,
    heal_waits: Vec<Waker>,
    /// Sources that hold rows back until the faults have ended, and those of them that wait.
    fresh: (u32, u32),
    /// Sinks without transactions.
    plain_sinks: BTreeSet<String>,
}

impl World {
    /// Readings of the clock are counted from here on.
    pub(crate) fn count_reads(&self) {
        self.inner().reads = 0;
    }

    pub(crate) fn new(choices: Recorder, trace: Trace) -> Self {
        Self(Mutex::new(Inner {
            now: 0,
            reads: 0,
            wall: WALL_START,
            choices,
            next_timer: 0,
            due: BTreeMap::new(),
            at: BTreeMap::new(),
            most_timers: 0,
            jobs: VecDeque::new(),
            rates: [0; 32],
            effects: Effects::default(),
            healed: false,
            trace,
            crashing: false,
            heal_waits: Vec::new(),
            fresh: (0, 0),
            plain_sinks: BTreeSet::new(),
        }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn choose(&self, kind: Kind, n: u32) -> u32 {
        let mut g = self.inner();
        let x = g.choices.choose(kind, n);
        g.trace.choice(n, x);
        x
    }

    pub(crate) fn choose_by(&self, kind: Kind, n: u32, pick: impl FnOnce() -> u32) -> u32 {
        let mut g = self.inner();
        let x = g.choices.choose_by(kind, n, |_| pick());
        g.trace.choice(n, x);
        x
    }

    pub(crate) fn set_rate(&self, f: Fault, permille: u16) {
        self.inner().rates[f as usize] = permille;
    }

    pub(crate) fn rate(&self, f: Fault) -> u16 {
        let g = self.inner();
        if g.healed { 0 } else { g.rates[f as usize] }
    }

    /// Whether `f` strikes now. The caller says with [`World::took`] when it took effect.
    pub(crate) fn strikes(&self, f: Fault) -> bool {
        let mut g = self.inner();
        let rate = g.rates[f as usize];
        if g.healed || rate == 0 {
            return false;
        }
        let yes = g.choices.happens(Kind::Fault, u32::from(rate));
        g.trace.choice(2, u32::from(yes));
        yes
    }

    /// `f` took effect.
    pub(crate) fn took(&self, f: Fault, place: &str) {
        let mut g = self.inner();
        g.effects.add(f);
        let now = g.now;
        g.trace.line(now, || format!("fault: {} at {place}", f.as_str()));
    }

    pub(crate) fn delay(&self) -> Duration {
        DELAYS[self.choose(Kind::Delay, DELAYS.len() as u32) as usize]
    }

    pub(crate) fn heal(&self) {
        let mut g = self.inner();
        g.healed = true;
        let now = g.now;
        g.trace.line(now, || "faults end".to_owned());
        let waits = std::mem::take(&mut g.heal_waits);
        drop(g);
        waits.into_iter().for_each(Waker::wake);
    }

    /// One more source holds rows back until the faults have ended.
    pub(crate) fn hold_fresh(&self) {
        self.inner().fresh.0 += 1;
    }

    /// Ready when the faults have ended; `first` at the first poll of a wait.
    pub(crate) fn poll_healed(&self, cx: &Context<'_>, first: &mut bool) -> Poll<()> {
        let mut g = self.inner();
        if g.healed {
            return Poll::Ready(());
        }
        if std::mem::take(first) {
            g.fresh.1 += 1;
        }
        g.heal_waits.push(cx.waker().clone());
        Poll::Pending
    }

    /// Every row is read but those that wait for the end of the faults.
    pub(crate) fn only_fresh_left(&self) -> bool {
        let g = self.inner();
        !g.healed && g.fresh.0 > 0 && g.fresh.0 == g.fresh.1
    }

    /// A source holds rows back until the faults have ended.
    pub(crate) fn fresh_waits(&self) -> bool {
        let g = self.inner();
        !g.healed && g.fresh.1 > 0
    }

    pub(crate) fn plain_sink(&self, name: &str) {
        self.inner().plain_sinks.insert(name.to_owned());
    }

    pub(crate) fn plain_sinks(&self) -> Vec<String> {
        self.inner().plain_sinks.iter().cloned().collect()
    }

    /// From here to [`World::crash`] tasks are dropped, and sinks are not told.
    pub(crate) fn dying(&self) {
        self.inner().crashing = true;
    }

    pub(crate) fn is_dying(&self) -> bool {
        self.inner().crashing
    }

    /// The process is gone; the next one starts with a clock of its own.
    pub(crate) fn crash(&self) {
        let mut g = self.inner();
        g.wall = g.wall.saturating_add(i64::try_from(g.now).unwrap_or(i64::MAX));
        g.now = 0;
        g.crashing = false;
        g.fresh = (0, 0);
        g.trace.line(0, || "the process died; the next one starts".to_owned());
        let gone = (
            std::mem::take(&mut g.due),
            std::mem::take(&mut g.at),
            std::mem::take(&mut g.jobs),
            std::mem::take(&mut g.heal_waits),
        );
        drop(g);
        // Jobs wake whom they leave without a result, and wakers may lead back here.
        drop(gone);
    }

    pub(crate) fn healed(&self) -> bool {
        self.inner().healed
    }

    /// The wall clock jumps.
    pub(crate) fn jump_wall(&self) {
        let by = JUMPS[self.choose(Kind::Delay, JUMPS.len() as u32) as usize];
        let mut g = self.inner();
        g.wall = g.wall.saturating_add(by);
    }

    /// Time passes.
    pub(crate) fn pass(&self, d: Duration) {
        let mut g = self.inner();
        g.now = Moment(g.now).plus(d).0;
    }

    /// The next deadline.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.inner().due.first_key_value().map(|(k, _)| Moment(k.0))
    }

    /// Goes to the next deadline, if time is not there yet, and fires one timer of it.
    pub(crate) fn fire(&self) {
        let mut g = self.inner();
        let Some((&(at, first), _)) = g.due.first_key_value() else { return };
        let tied: Vec<u64> =
            g.due.range((at, 0)..=(at, u64::MAX)).map(|((_, id), _)| *id).collect();
        let pick = match (tied.len(), g.healed) {
            (1, _) | (_, true) => 0,
            (n, _) => {
                let x = g.choices.choose(Kind::TimerTie, n as u32);
                g.trace.choice(n as u32, x);
                x as usize
            }
        };
        let id = tied.get(pick).copied().unwrap_or(first);
        let waker = g.due.remove(&(at, id));
        g.at.remove(&id);
        g.now = g.now.max(at);
        let now = g.now;
        g.trace.step(usize::MAX, now);
        g.trace.line(now, || format!("timer of {at}ns fires"));
        drop(g);
        if let Some(w) = waker {
            w.wake();
        }
    }

    pub(crate) fn has_jobs(&self) -> bool {
        !self.inner().jobs.is_empty()
    }

    /// Takes one of the blocking jobs that wait, drawn.
    pub(crate) fn take_job(&self) -> Option<Job> {
        let n = self.inner().jobs.len() as u32;
        let pick = if self.healed() { 0 } else { self.choose(Kind::Next, n) as usize };
        self.inner().jobs.remove(pick)
    }

    pub(crate) fn trace<T>(&self, f: impl FnOnce(&mut Trace, u64) -> T) -> T {
        let mut g = self.inner();
        let now = g.now;
        f(&mut g.trace, now)
    }

    /// Timers armed now, and the most that ever were.
    pub(crate) fn timers(&self) -> (usize, usize) {
        let g = self.inner();
        (g.due.len(), g.most_timers)
    }

    /// Choices so far.
    pub(crate) fn made(&self) -> usize {
        self.inner().choices.made().len()
    }

    /// The choices from number `from` on.
    pub(crate) fn made_since<T>(&self, from: usize, f: impl FnOnce(&[Choice]) -> T) -> T {
        f(self.inner().choices.made().get(from..).unwrap_or_default())
    }

    /// Everything recorded; the world draws zeros from here on.
    pub(crate) fn finish(&self) -> (Vec<Choice>, Effects, Trace) {
        let mut g = self.inner();
        let choices = std::mem::replace(&mut g.choices, Recorder::replay(Vec::new()));
        (choices.into_made(), g.effects, std::mem::take(&mut g.trace))
    }
}

impl Host for World {
    /// # Panics
    /// When a task reads the clock again and again within one poll: it would spin for ever on any
    /// engine of one thread, and here nobody could stop it.
    fn now(&self) -> Moment {
        let mut g = self.inner();
        g.reads += 1;
        let (reads, now) = (g.reads, g.now);
        drop(g);
        assert!(reads < MOST_READS, "the task spins: {reads} readings of the clock in one poll");
        Moment(now)
    }

    fn wall(&self) -> Timestamp {
        let g = self.inner();
        Timestamp(g.wall.saturating_add(i64::try_from(g.now).unwrap_or(i64::MAX)))
    }

    fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        let mut g = self.inner();
        g.next_timer += 1;
        let id = g.next_timer;
        g.due.insert((at.0, id), waker.clone());
        g.at.insert(id, at.0);
        g.most_timers = g.most_timers.max(g.due.len());
        TimerId(id)
    }

    fn cancel(&self, id: TimerId) {
        let mut g = self.inner();
        if let Some(at) = g.at.remove(&id.0) {
            g.due.remove(&(at, id.0));
        }
    }

    /// The job becomes a step of its own, which runs when it is chosen.
    fn blocking(&self, job: Job) {
        self.inner().jobs.push_back(job);
    }

    /// As `blocking`: there is no outside that a step could wait for.
    fn outside(&self, job: Job) {
        self.inner().jobs.push_back(job);
    }

    fn choose(&self, kind: ChoiceKind, n: u32) -> u32 {
        if self.healed() { 0 } else { Self::choose(self, kind.into(), n) }
    }
}

/// The world's stream as what a [`crate::disk::SimDisk`] draws from.
pub(crate) struct WorldChoices(pub(crate) std::sync::Arc<World>);

impl Choices for WorldChoices {
    fn choose(&mut self, kind: ChoiceKind, n: u32) -> u32 {
        // Disk models ask "no fault, or which one": the rate of this run decides about the first.
        match kind {
            ChoiceKind::Fault if !self.0.strikes(Fault::Disk) => 0,
            ChoiceKind::Fault if n > 1 => {
                self.0.took(Fault::Disk, "disk");
                1 + self.0.choose(Kind::Fault, n - 1)
            }
            _ => self.0.choose(kind.into(), n),
        }
    }
}
