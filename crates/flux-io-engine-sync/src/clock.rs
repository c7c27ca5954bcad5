//! The virtual clock and its timers, and when it goes at the pace of the wall's.

use crate::choices::{Choice, Recorder};
use crate::sync::{AtomicU64, AtomicUsize, Builder, Mutex, Ordering, Stopwatch, lock, park_for};
use flux_io_core::{
    ChoiceKind, Choices, Deadlines, Host, Job, Moment, Outside, TimerId, Timestamp, VirtualTime,
};
use std::task::Waker;

pub(crate) struct Virtual {
    /// Nothing is drawn or recorded: no lock is taken for a choice.
    plain: bool,
    now: AtomicU64,
    timers: Mutex<Deadlines>,
    choices: Mutex<Recorder>,
    outside: Outside,
    /// Waits for something outside the run that are under way.
    awaited: AtomicUsize,
}

impl Virtual {
    pub(crate) fn new(choices: Recorder) -> Self {
        Self {
            plain: choices.is_plain(),
            now: AtomicU64::new(0),
            timers: Mutex::default(),
            choices: Mutex::new(choices),
            outside: Outside::new(),
            awaited: AtomicUsize::new(0),
        }
    }

    /// Nothing can run: time goes on, or the engine waits for somebody to wake a task.
    pub(crate) fn pass(&self) {
        if self.awaited.load(Ordering::Acquire) > 0 || !self.advance() {
            self.wait();
        }
    }

    /// Waits until a task is woken or the next deadline is there, at the pace of the wall's clock. A
    /// wake that came before makes it return at once.
    fn wait(&self) {
        let (now, next) = (self.now(), lock(&self.timers).next());
        let longest = next.map(|at| at.since(now));
        let waited = Stopwatch::start();
        park_for(longest);
        let passed = longest.map_or_else(|| waited.elapsed(), |l| waited.elapsed().min(l));
        self.now.fetch_max(now.plus(passed).0, Ordering::AcqRel);
        if longest.is_some_and(|l| passed >= l) {
            self.advance();
        }
    }

    /// Jumps to the next deadline and wakes one timer of it; `false` when there is none.
    pub(crate) fn advance(&self) -> bool {
        let mut t = lock(&self.timers);
        let Some(at) = t.next() else { return false };
        let tied: Vec<TimerId> = t.first().collect();
        let pick = match tied.len() {
            1 => 0,
            n => lock(&self.choices).choose(ChoiceKind::TimerTie, n as u32) as usize,
        };
        let waker = t.cancel(tied[pick.min(tied.len() - 1)]);
        drop(t);
        self.now.fetch_max(at.0, Ordering::AcqRel);
        if let Some(w) = waker {
            w.wake();
        }
        true
    }

    pub(crate) fn take_choices(&self) -> Vec<Choice> {
        std::mem::replace(&mut *lock(&self.choices), Recorder::plain()).into_choices()
    }
}

impl VirtualTime for Virtual {
    fn armed_with(&self, waker: &Waker) -> usize {
        lock(&self.timers).armed_with(waker)
    }

    fn outside_awaited(&self, begins: bool) {
        if begins {
            self.awaited.fetch_add(1, Ordering::AcqRel);
        } else {
            self.awaited.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Host for Virtual {
    fn now(&self) -> Moment {
        Moment(self.now.load(Ordering::Acquire))
    }

    /// Wall time is the virtual time since 1970: the same in every run.
    fn wall(&self) -> Timestamp {
        Timestamp(i64::try_from(self.now().0).unwrap_or(i64::MAX))
    }

    fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        lock(&self.timers).arm(at, waker)
    }

    fn cancel(&self, id: TimerId) {
        let withdrawn = lock(&self.timers).cancel(id);
        drop(withdrawn);
    }

    fn blocking(&self, job: Job) {
        job();
    }

    fn outside(&self, job: Job) {
        self.outside.run(job, |body| {
            // Without a thread the job is dropped, which is what its connector is told.
            drop(Builder::new().name("flux-io-outside".into()).spawn(body));
        });
    }

    fn virtual_time(&self) -> Option<&dyn VirtualTime> {
        Some(self)
    }

    fn choose(&self, kind: ChoiceKind, n: u32) -> u32 {
        if self.plain {
            return 0;
        }
        lock(&self.choices).choose(kind, n)
    }
}
