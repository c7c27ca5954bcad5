//! Which of a stage's calls were woken: a turn polls those alone, not all that are in flight.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The wakes of all slots.
#[derive(Default)]
pub(super) struct Wakes(Mutex<State>);

#[derive(Default)]
struct State {
    task: Option<Waker>,
    woken: Vec<bool>,
    ready: Vec<usize>,
}

struct SlotWaker {
    slot: usize,
    wakes: Arc<Wakes>,
}

/// The waker of a slot, which knows how often it was cloned.
pub(super) struct Lender {
    counted: Arc<SlotWaker>,
    pub(super) waker: Waker,
}

impl Lender {
    /// Clones of the waker that others hold.
    pub(super) fn lent(&self) -> usize {
        // One is the waker's own, one is here.
        Arc::strong_count(&self.counted) - 2
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.wake(self.slot);
    }
}

impl Wakes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A waker for the next slot.
    pub(super) fn slot(self: &Arc<Self>) -> Lender {
        let mut s = self.lock();
        let slot = s.woken.len();
        s.woken.push(false);
        drop(s);
        let counted = Arc::new(SlotWaker { slot, wakes: Arc::clone(self) });
        Lender { waker: Waker::from(Arc::clone(&counted)), counted }
    }

    /// Marks a slot, and wakes the task unless it was marked already.
    pub(super) fn wake(&self, slot: usize) {
        let mut s = self.lock();
        if std::mem::replace(&mut s.woken[slot], true) {
            return;
        }
        s.ready.push(slot);
        let task = s.task.take();
        drop(s);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Moves the slots that were woken into `ready`, in the order of their wakes; later ones wake
    /// `task`.
    pub(super) fn take(&self, ready: &mut Vec<usize>, task: &Waker) {
        let mut s = self.lock();
        match &mut s.task {
            Some(t) => t.clone_from(task),
            None => s.task = Some(task.clone()),
        }
        ready.clear();
        std::mem::swap(&mut s.ready, ready);
        for slot in &*ready {
            s.woken[*slot] = false;
        }
    }
}
