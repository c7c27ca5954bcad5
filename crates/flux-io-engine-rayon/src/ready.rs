//! The queue of ready tasks, and the state of each task in it.
//!
//! A ticket is idle, queued, running, or running and woken again. Only the step from idle to queued
//! puts it into the queue, so a task stands there at most once; the step from running to idle
//! notices a wake that came meanwhile.
//!
//! A stage that uses rayon puts work into the pool that no ticket tells of. While a task is polled
//! one sleeper therefore looks there from time to time, and all of them do once it found some.

use crate::sync::{
    Arc, AtomicU8, Condvar, LOOK, Mutex, MutexGuard, Ordering, ROUNDS, give_way, lock, wait,
};
use flux_io_core::Picker;
use std::collections::VecDeque;
use std::task::Wake;
use std::time::Duration;

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const WOKEN: u8 = 3;

#[derive(Default)]
struct Queue {
    ids: VecDeque<usize>,
    live: usize,
    sleepers: usize,
    picker: Picker,
    /// Tasks that are being polled.
    busy: usize,
    /// Sleepers that look for a stage's own work.
    lookers: usize,
    /// There was some, and the task it may be of is still polled.
    found: bool,
}

impl Queue {
    /// The next task, first in first out unless a scheduler chooses.
    fn take(&mut self) -> Option<usize> {
        if !self.picker.asks() || self.ids.is_empty() {
            return self.ids.pop_front();
        }
        let at = self.picker.pick(self.ids.make_contiguous());
        self.ids.remove(at)
    }
}

#[derive(Default)]
pub(crate) struct Ready {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// What a worker does next.
pub(crate) enum Next {
    Task(usize),
    /// A timer is due.
    Timer,
    /// No task is left.
    Done,
}

impl Ready {
    /// Lets `picker` choose from now on.
    pub(crate) fn schedule(&self, picker: Picker) {
        lock(&self.queue).picker = picker;
    }

    /// All tasks are ready at first.
    pub(crate) fn begin(&self, tasks: usize) {
        let mut q = lock(&self.queue);
        q.live = tasks;
        q.ids = (0..tasks).rev().collect();
    }

    pub(crate) fn push(&self, id: usize) {
        let mut q = lock(&self.queue);
        q.ids.push_back(id);
        let wake = q.sleepers > 0;
        drop(q);
        if wake {
            self.changed.notify_one();
        }
    }

    pub(crate) fn one_done(&self) {
        let mut q = lock(&self.queue);
        q.live -= 1;
        let last = q.live == 0;
        drop(q);
        if last {
            self.changed.notify_all();
        }
    }

    /// A timer earlier than the others was armed: one sleeper reckons anew.
    pub(crate) fn nudge(&self) {
        // Under the lock a sleeper has either reckoned with the new timer or not yet begun to wait.
        drop(lock(&self.queue));
        self.changed.notify_one();
    }

    /// A task of [`Next::Task`] was polled.
    pub(crate) fn polled(&self) {
        let mut q = lock(&self.queue);
        q.busy -= 1;
        q.found &= q.busy > 0;
    }

    /// A task is about to be polled: somebody looks out for what it may ask of the pool.
    fn begin_poll(&self, mut q: MutexGuard<'_, Queue>, id: usize) -> Next {
        q.busy += 1;
        let look = LOOK.is_some() && q.lookers == 0 && q.sleepers > 0;
        drop(q);
        if look {
            self.changed.notify_one();
        }
        Next::Task(id)
    }

    /// Waits for a task or a timer. `due_in` is asked for the time to the next timer.
    pub(crate) fn next(&self, due_in: impl Fn() -> Option<Duration>) -> Next {
        for _ in 0..ROUNDS {
            let mut q = lock(&self.queue);
            if let Some(id) = q.take() {
                return self.begin_poll(q, id);
            }
            if q.live == 0 {
                return Next::Done;
            }
            drop(q);
            give_way();
        }
        let mut q = lock(&self.queue);
        loop {
            if let Some(id) = q.take() {
                return self.begin_poll(q, id);
            }
            if q.live == 0 {
                return Next::Done;
            }
            let longest = due_in();
            if longest.is_some_and(|d| d.is_zero()) {
                return Next::Timer;
            }
            let looks = LOOK.filter(|_| q.busy > 0 && (q.lookers == 0 || q.found));
            q.sleepers += 1;
            q.lookers += usize::from(looks.is_some());
            q = wait(&self.changed, &self.queue, q, longest.into_iter().chain(looks).min());
            q.sleepers -= 1;
            q.lookers -= usize::from(looks.is_some());
            if looks.is_some() && q.ids.is_empty() {
                q = self.look(q);
            }
        }
    }

    /// Does what a stage asks of the pool, as long as there is any.
    fn look<'a>(&'a self, q: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        drop(q);
        let found = give_way();
        let mut q = lock(&self.queue);
        if found && q.busy > 0 && !std::mem::replace(&mut q.found, true) {
            self.changed.notify_all();
        }
        q
    }
}

/// A task's place in the queue; its waker.
pub(crate) struct Ticket {
    state: AtomicU8,
    id: usize,
    ready: Arc<Ready>,
}

impl Ticket {
    pub(crate) fn new(id: usize, ready: Arc<Ready>) -> Self {
        Self { state: AtomicU8::new(QUEUED), id, ready }
    }

    /// A worker has taken it from the queue.
    pub(crate) fn running(&self) {
        // AcqRel: sees everything the waker published before it queued the task.
        self.state.swap(RUNNING, Ordering::AcqRel);
    }

    /// The poll is over; a wake that came during it queues the task again.
    pub(crate) fn idle(&self) {
        let done = self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
        if done.is_err() {
            self.state.store(QUEUED, Ordering::Release);
            self.ready.push(self.id);
        }
    }
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut now = self.state.load(Ordering::Acquire);
        loop {
            let (next, queue) = match now {
                IDLE => (QUEUED, true),
                RUNNING => (WOKEN, false),
                // Queued or woken already: that poll will see what was published. The exchange
                // below is still made, so that the publication is ordered before it.
                other => (other, false),
            };
            match self.state.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) if queue => return self.ready.push(self.id),
                Ok(_) => return,
                Err(seen) => now = seen,
            }
        }
    }
}
