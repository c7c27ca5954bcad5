//! The virtual clock and its timers.

use crate::choices::{Choice, Recorder};
use crate::sync::{AtomicU64, Builder, Mutex, Ordering, lock};
use flux_io_core::{
    ChoiceKind, Choices, Deadlines, Host, Job, Moment, Outside, TimerId, Timestamp,
};
use std::task::Waker;

pub(crate) struct Virtual {
    /// Nothing is drawn or recorded: no lock is taken for a choice.
    plain: bool,
    now: AtomicU64,
    timers: Mutex<Deadlines>,
    choices: Mutex<Recorder>,
    outside: Outside,
}

impl Virtual {
    pub(crate) fn new(choices: Recorder) -> Self {
        Self {
            plain: choices.is_plain(),
            now: AtomicU64::new(0),
            timers: Mutex::default(),
            choices: Mutex::new(choices),
            outside: Outside::new(),
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

    fn choose(&self, kind: ChoiceKind, n: u32) -> u32 {
        if self.plain {
            return 0;
        }
        lock(&self.choices).choose(kind, n)
    }
}
