//! The edge between two tasks: a pure state machine ([`EdgeQueue`]) and its waiting shell
//! ([`Edge`]: one lock, two wakers).
//!
//! 1. Data takes one of `capacity` slots, and a credit of the edge's policy where it has one.
//! 2. A control rides on the last slot; with an empty queue, or behind a slot that a barrier or a
//!    turn closed, it takes a reserved slot. It is never refused, never dropped, never overtakes.
//! 3. In one slot: batch, then idle, quarantine, watermark and passed number, then policy, turn, barrier, end.
//! 4. A used batch goes back with the next receive, in the same lock; a spare one comes with the
//!    next send: in a steady state nothing is allocated. The slot is free at receive (B43).
//! 5. State is published first, then the other side is woken, outside the lock (L-5). The sender
//!    is woken at half empty or empty, not per slot.
//! 6. A closed receiver makes sends succeed and discard, counted as undeliverable.

#[cfg(all(test, flux_io_loom))]
mod loom_tests;

use crate::batch::AnyBatch;
use crate::context::Cost;
use crate::flow_control::{Admission, FlowControl, WhenFull};
use crate::id::Epoch;
use crate::mutant;
use crate::stage::Control;
use crate::sync::{Arc, Mutex, lock};
use crate::time::{Moment, Timestamp};
use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll, Waker};

/// Controls that stand behind the batch of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// The sender has nothing now; cleared by the next batch.
    pub idle: bool,
    /// The sender was set aside (`true`) or came back (`false`).
    pub quarantined: Option<bool>,
    /// The greatest watermark.
    pub watermark: Option<Timestamp>,
    /// The number that no row behind is below.
    pub passed: Option<u64>,
    /// The newest policy version.
    pub policy: Option<Epoch>,
    /// A round-robin turn ends here.
    pub turn: bool,
    /// A checkpoint's cut.
    pub barrier: Option<Epoch>,
    /// Nothing follows.
    pub end: bool,
}

impl Controls {
    /// Whether nothing may join behind these, the end behind a turn aside.
    const fn closed(&self) -> bool {
        self.turn || self.barrier.is_some() || self.end
    }
}

/// One place of an edge: rows, then controls.
#[derive(Debug, Default)]
pub struct Slot {
    /// Rows, if any.
    pub batch: Option<AnyBatch>,
    /// Controls behind them.
    pub controls: Controls,
}

/// What an edge counted. Law: `sent == taken + dropped + shed + undeliverable + waiting` in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeStats {
    /// Rows that senders gave.
    pub sent: u64,
    /// Rows that the receiver took.
    pub taken: u64,
    /// Rows dropped by the full-queue policy.
    pub dropped: u64,
    /// Rows shed by flow control.
    pub shed: u64,
    /// Rows discarded since the receiver was gone.
    pub undeliverable: u64,
    /// Most batches waiting at once.
    pub high: usize,
    /// Times a sender found no room (backpressure events).
    pub blocked: u64,
    /// Rows waiting now.
    pub waiting: u64,
    /// Balance of the flow-control policy at the end, where it has one.
    pub balance: Option<i64>,
}

/// One queue between two tasks at one moment, for people who look for what holds a run up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// The sending stage and its instance: `parse#0`.
    pub from: String,
    /// The receiving stage and its instance.
    pub to: String,
    /// Batches waiting.
    pub depth: usize,
    /// Slots waiting that hold controls only.
    pub controls: usize,
    /// Batches that fit.
    pub capacity: usize,
    /// A task waits for room here.
    pub sender_waits: bool,
    /// A task waits for something to take here.
    pub receiver_waits: bool,
    /// The receiver waits for something else: it takes nothing from here now.
    pub refused: bool,
    /// The receiver is gone.
    pub closed: bool,
}

/// The answer to a push.
#[derive(Debug)]
pub enum Pushed {
    /// Taken, dropped by policy, or undeliverable; counted in each case.
    Done,
    /// No room: the batch comes back; try again when woken, or at the moment given.
    Full(AnyBatch, Option<Moment>),
}

/// An edge's protocol without locks or wakers.
pub struct EdgeQueue {
    slots: VecDeque<Slot>,
    data: usize,
    capacity: usize,
    when_full: WhenFull,
    policy: Option<Box<dyn FlowControl>>,
    spare: Vec<AnyBatch>,
    closed: bool,
    stats: EdgeStats,
}

impl fmt::Debug for EdgeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EdgeQueue({} of {} slots, {:?})", self.data, self.capacity, self.stats)
    }
}

fn cost_of(b: &AnyBatch) -> Cost {
    Cost { bytes: b.bytes() as u64, cpu_hint: b.len() as u32 }
}

impl EdgeQueue {
    /// An edge of `capacity` batches (at least 1).
    #[must_use]
    pub fn new(capacity: usize, when_full: WhenFull, policy: Option<Box<dyn FlowControl>>) -> Self {
        let capacity = capacity.max(1);
        Self {
            slots: VecDeque::with_capacity(capacity + 1),
            data: 0,
            capacity,
            when_full,
            policy,
            spare: Vec::with_capacity(capacity + 2),
            closed: false,
            stats: EdgeStats::default(),
        }
    }

    /// Sends a batch, or gives it back.
    pub fn push(&mut self, b: AnyBatch, now: Moment) -> Pushed {
        let rows = b.len() as u64;
        if self.closed {
            self.stats.sent += rows;
            self.stats.undeliverable += rows;
            self.give_back(b);
            return Pushed::Done;
        }
        if self.data >= self.capacity {
            match self.when_full {
                WhenFull::Block => return Pushed::Full(b, None),
                WhenFull::DropNewest => {
                    self.stats.sent += rows;
                    self.drop_batch(b);
                    return Pushed::Done;
                }
                WhenFull::DropOldest => self.drop_oldest(now),
            }
        }
        let cost = cost_of(&b);
        match self.policy.as_mut().map_or(Admission::Admit, |p| p.admit(cost, now)) {
            Admission::Admit => {}
            Admission::Wait => return Pushed::Full(b, None),
            Admission::WaitUntil(at) => return Pushed::Full(b, Some(at)),
            Admission::Shed => {
                self.stats.sent += rows;
                self.stats.shed += rows;
                self.keep_marks(&b);
                self.give_back(b);
                return Pushed::Done;
            }
        }
        self.stats.sent += rows;
        self.stats.waiting += rows;
        self.slots.push_back(Slot { batch: Some(b), controls: Controls::default() });
        self.data += 1;
        self.stats.high = self.stats.high.max(self.data);
        Pushed::Done
    }

    /// Sends a control; always succeeds. Nobody is there to take it once the receiver is gone.
    pub fn control(&mut self, c: Control) {
        if self.closed {
            return;
        }
        let fresh = match self.slots.back() {
            None => true,
            // The end joins a turn, but no barrier: an input that waits at one has not ended yet.
            Some(s) => s.controls.barrier.is_some() || s.controls.closed() && c != Control::End,
        };
        if fresh {
            self.slots.push_back(Slot::default());
        }
        if mutant!(ControlOvertakes) && matches!(c, Control::Watermark(_)) && self.data > 0 {
            self.slots.push_front(Slot::default());
        }
        let early = self.slots.front().is_some_and(|s| s.batch.is_none());
        let last = if mutant!(ControlOvertakes) && matches!(c, Control::Watermark(_)) && early {
            self.slots.front_mut()
        } else {
            self.slots.back_mut()
        };
        let Some(last) = last else { return };
        let k = &mut last.controls;
        match c {
            Control::Watermark(w) => k.watermark = Some(k.watermark.map_or(w, |o| o.max(w))),
            Control::Passed(n) => k.passed = k.passed.max(Some(n)),
            Control::Idle => k.idle = true,
            Control::Barrier(e) => k.barrier = Some(e),
            Control::Policy(e) => k.policy = Some(e),
            Control::Quarantined => k.quarantined = Some(true),
            Control::Resumed => k.quarantined = Some(false),
            Control::Turn => k.turn = true,
            Control::End => k.end = true,
        }
    }

    /// Takes the next slot.
    pub fn pop(&mut self, now: Moment) -> Option<Slot> {
        let s = self.slots.pop_front()?;
        if let Some(b) = &s.batch {
            if !(mutant!(CreditLeak) && s.controls.watermark.is_some()) {
                self.data -= 1;
            }
            self.stats.taken += b.len() as u64;
            self.stats.waiting -= b.len() as u64;
            if let Some(p) = &mut self.policy {
                p.release(cost_of(b), now);
            }
        }
        Some(s)
    }

    /// Takes a used batch back for the sender.
    pub fn give_back(&mut self, mut b: AnyBatch) {
        if self.spare.len() <= self.capacity {
            if !mutant!(SpareKeepsRows) {
                b.clear();
            }
            self.spare.push(b);
        }
    }

    /// A used batch to fill again.
    pub fn spare(&mut self) -> Option<AnyBatch> {
        self.spare.pop()
    }

    /// Batches waiting.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.data
    }

    /// Batches that fit.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> EdgeStats {
        EdgeStats { balance: self.policy.as_ref().and_then(|p| p.balance()), ..self.stats }
    }

    /// The receiver is gone: what waits and what will come is undeliverable.
    pub fn close(&mut self, now: Moment) {
        self.closed = true;
        while let Some(s) = self.slots.pop_front() {
            let Some(b) = s.batch else { continue };
            self.data -= 1;
            self.stats.waiting -= b.len() as u64;
            self.stats.undeliverable += b.len() as u64;
            if let Some(p) = &mut self.policy {
                p.release(cost_of(&b), now);
            }
        }
    }

    /// Slot `at` has lost its rows. Its controls join those of the slot before, where nothing
    /// stands between: however many batches are dropped, their controls stay bounded.
    fn fold(&mut self, at: usize) {
        let own = self.slots[at].controls;
        if own == Controls::default() {
            self.slots.remove(at);
            return;
        }
        let Some(before) = at.checked_sub(1).and_then(|i| self.slots.get_mut(i)) else { return };
        let k = &mut before.controls;
        if before.batch.is_some() || k.closed() {
            return;
        }
        *k = Controls {
            idle: own.idle,
            quarantined: own.quarantined.or(k.quarantined),
            watermark: own.watermark.max(k.watermark),
            passed: own.passed.max(k.passed),
            policy: own.policy.or(k.policy),
            turn: own.turn,
            barrier: own.barrier,
            end: own.end,
        };
        self.slots.remove(at);
    }

    fn drop_batch(&mut self, b: AnyBatch) {
        self.stats.dropped += b.len() as u64;
        self.keep_marks(&b);
        self.give_back(b);
    }

    /// The promise of a dropped batch outlives its rows.
    fn keep_marks(&mut self, b: &AnyBatch) {
        if let Some(m) = b.meta().marks.last() {
            self.control(Control::Watermark(m.watermark));
        }
    }

    fn drop_oldest(&mut self, now: Moment) {
        let Some(at) = self.slots.iter().position(|s| s.batch.is_some()) else { return };
        let slot = &mut self.slots[at];
        let Some(b) = slot.batch.take() else { return };
        // Its controls stay where they stand in the order; its marks join them.
        if let Some(m) = b.meta().marks.last() {
            let w = slot.controls.watermark;
            slot.controls.watermark = Some(w.map_or(m.watermark, |o| o.max(m.watermark)));
        }
        // The rows that were dropped ended an idleness before them.
        for s in self.slots.iter_mut().take(at).rev() {
            s.controls.idle = false;
            if s.batch.is_some() {
                break;
            }
        }
        self.fold(at);
        self.slots.retain(|s| s.batch.is_some() || s.controls != Controls::default());
        self.data -= 1;
        if mutant!(DropNotCounted) {
            self.stats.sent -= b.len() as u64;
        } else {
            self.stats.dropped += b.len() as u64;
        }
        self.stats.waiting -= b.len() as u64;
        if let Some(p) = &mut self.policy {
            p.release(cost_of(&b), now);
        }
        self.give_back(b);
    }
}

struct Shared {
    queue: EdgeQueue,
    receiver: Option<Waker>,
    /// The receiver waits, and not here.
    refused: bool,
    sender: Option<Waker>,
}

/// An [`EdgeQueue`] that can be waited for, between one sending and one receiving task.
#[derive(Clone)]
pub(crate) struct Edge(Arc<Mutex<Shared>>);

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", lock(&self.0).queue)
    }
}

fn store(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(w) if w.will_wake(cx.waker()) => {}
        _ => *place = Some(cx.waker().clone()),
    }
}

fn wake(w: Option<Waker>) {
    if let Some(w) = w {
        w.wake();
    }
}

impl Edge {
    pub(crate) fn new(queue: EdgeQueue) -> Self {
        let shared = Shared { queue, receiver: None, refused: false, sender: None };
        Self(Arc::new(Mutex::new(shared)))
    }

    /// Sends what is in `batch` and hands out a spare one. While there is no room the batch stays
    /// in `batch`; `retry`, if set, says when to try again without being woken.
    pub(crate) fn poll_send(
        &self,
        cx: &Context<'_>,
        batch: &mut Option<AnyBatch>,
        retry: &mut Option<Moment>,
        now: Moment,
    ) -> Poll<Option<AnyBatch>> {
        let mut g = lock(&self.0);
        if let Some(b) = batch.take()
            && let Pushed::Full(b, again) = g.queue.push(b, now)
        {
            *batch = Some(b);
            *retry = again;
            g.queue.stats.blocked += 1;
            store(&mut g.sender, cx);
            return Poll::Pending;
        }
        let spare = g.queue.spare();
        let w = g.receiver.take();
        let waited = g.sender.take();
        drop(g);
        drop(waited);
        wake(w);
        Poll::Ready(spare)
    }

    pub(crate) fn control(&self, c: Control) {
        let mut g = lock(&self.0);
        g.queue.control(c);
        let quiet = mutant!(LostWakeUp) && c != Control::End;
        let w = if quiet { None } else { g.receiver.take() };
        drop(g);
        wake(w);
    }

    /// Takes the next slot; `used` goes back to the sender in the same lock.
    pub(crate) fn poll_receive(
        &self,
        cx: &Context<'_>,
        used: &mut Option<AnyBatch>,
        now: Moment,
    ) -> Poll<Slot> {
        let mut g = lock(&self.0);
        if let Some(b) = used.take() {
            g.queue.give_back(b);
        }
        g.refused = false;
        let slot = g.queue.pop(now);
        let low = slot.is_none() || g.queue.depth() * 2 <= g.queue.capacity();
        let w = if low { g.sender.take() } else { None };
        if slot.is_none() {
            store(&mut g.receiver, cx);
        }
        drop(g);
        wake(w);
        slot.map_or(Poll::Pending, Poll::Ready)
    }

    /// Wakes a sender that found no room, if there is room. The receiver calls it before it waits
    /// for something else: it will not take enough to reach the usual mark. `wanted`: whether it
    /// waits here as well; where it does not, nobody wakes it, and it is not seen waiting.
    pub(crate) fn nudge(&self, wanted: bool) {
        let mut g = lock(&self.0);
        let w = if g.queue.depth() < g.queue.capacity() { g.sender.take() } else { None };
        g.refused = !wanted;
        let unwanted = if wanted { None } else { g.receiver.take() };
        drop(g);
        drop(unwanted);
        wake(w);
    }

    pub(crate) fn close(&self, now: Moment) {
        let mut g = lock(&self.0);
        g.queue.close(now);
        let w = g.sender.take();
        drop(g);
        wake(w);
    }

    pub(crate) fn stats(&self) -> EdgeStats {
        lock(&self.0).queue.stats()
    }

    pub(crate) fn view(&self, from: String, to: String) -> QueueView {
        let g = lock(&self.0);
        let q = &g.queue;
        QueueView {
            from,
            to,
            depth: q.depth(),
            controls: q.slots.iter().filter(|s| s.batch.is_none()).count(),
            capacity: q.capacity(),
            sender_waits: g.sender.is_some(),
            receiver_waits: g.receiver.is_some(),
            refused: g.refused,
            closed: q.closed,
        }
    }
}
