//! The queue of ready tasks, and the state of each task in it.
//!
//! A ticket is idle, queued, running, or running and woken again. Only the step from idle to queued
//! puts it into the queue, so a task stands there at most once; the step from running to idle
//! notices a wake that came meanwhile.

use crate::sync::{Arc, AtomicU8, Condvar, Mutex, Ordering, ROUNDS, give_way, lock, wait};
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

    /// Waits for a task or a timer. `due_in` is asked for the time to the next timer.
    pub(crate) fn next(&self, due_in: impl Fn() -> Option<Duration>) -> Next {
        for _ in 0..ROUNDS {
            let mut q = lock(&self.queue);
            if let Some(id) = q.take() {
                return Next::Task(id);
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
                return Next::Task(id);
            }
            if q.live == 0 {
                return Next::Done;
            }
            let longest = due_in();
            if longest.is_some_and(|d| d.is_zero()) {
                return Next::Timer;
            }
            q.sleepers += 1;
            q = wait(&self.changed, &self.queue, q, longest);
            q.sleepers -= 1;
        }
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
