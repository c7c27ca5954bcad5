//! The virtual clock and its timers.

use crate::choices::{Choice, Recorder};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use flux_io_core::{ChoiceKind, Choices, Host, Moment, TimerId, Timestamp};
use std::collections::BTreeMap;
use std::task::Waker;

pub(crate) struct Virtual {
    /// Nothing is drawn or recorded: no lock is taken for a choice.
    plain: bool,
    now: AtomicU64,
    timers: Mutex<Timers>,
    choices: Mutex<Recorder>,
}

#[derive(Default)]
struct Timers {
    next: u64,
    /// By moment, then in order of arming.
    due: BTreeMap<(Moment, u64), Waker>,
    at: BTreeMap<u64, Moment>,
}

impl Virtual {
    pub(crate) fn new(choices: Recorder) -> Self {
        Self {
            plain: choices.is_plain(),
            now: AtomicU64::new(0),
            timers: Mutex::default(),
            choices: Mutex::new(choices),
        }
    }

    /// Jumps to the next deadline and wakes one timer of it; `false` when there is none.
    pub(crate) fn advance(&self) -> bool {
        let mut t = lock(&self.timers);
        let Some((&(at, _), _)) = t.due.first_key_value() else { return false };
        let tied: Vec<u64> =
            t.due.range((at, 0)..=(at, u64::MAX)).map(|((_, id), _)| *id).collect();
        let pick = match tied.len() {
            1 => 0,
            n => lock(&self.choices).choose(ChoiceKind::TimerTie, n as u32) as usize,
        };
        let id = tied[pick.min(tied.len() - 1)];
        let waker = t.due.remove(&(at, id));
        t.at.remove(&id);
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
        let mut t = lock(&self.timers);
        t.next += 1;
        let id = t.next;
        t.due.insert((at, id), waker.clone());
        t.at.insert(id, at);
        TimerId(id)
    }

    fn cancel(&self, id: TimerId) {
        let mut t = lock(&self.timers);
        if let Some(at) = t.at.remove(&id.0) {
            t.due.remove(&(at, id.0));
        }
    }

    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }

    fn choose(&self, kind: ChoiceKind, n: u32) -> u32 {
        if self.plain {
            return 0;
        }
        lock(&self.choices).choose(kind, n)
    }
}
