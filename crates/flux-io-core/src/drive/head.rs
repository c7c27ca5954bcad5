//! Where a task's rows come from: a source, or input edges.
//!
//! The watermark of a task is the minimum over its inputs that are not idle, not set aside and not
//! ended. Marks inside a batch of one of several inputs are rewritten to that minimum, so that the
//! first stage sees one watermark at its exact place between the rows.

use super::link::Input;
use crate::batch::{AnyBatch, Mark, push_mark};
use crate::edge::{Controls, Edge};
use crate::id::Epoch;
use crate::io::DynSource;
use crate::mutant;
use crate::run::StageState;
use crate::stage::Control;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::time::{Moment, Timestamp};
use std::collections::VecDeque;
use std::task::{Context, Poll};

/// A source at the head of a chain.
pub(super) struct SourceHead<'env> {
    pub(super) source: Box<dyn DynSource + 'env>,
    pub(super) state: StageState,
    pub(super) on_error: crate::OnError,
    pub(super) attempt: u32,
    pub(super) draws: crate::stage::Draws,
    pub(super) spare: Option<AnyBatch>,
    pub(super) watermark: Option<Timestamp>,
    pub(super) barrier: Epoch,
    pub(super) policy: Epoch,
}

/// One edge that leads into a task.
pub(super) struct InEdge {
    pub(super) edge: Edge,
    pub(super) port: usize,
    /// Which logical input it belongs to.
    unit: usize,
    /// Its place among the instances of an ordered round-robin exchange.
    member: Option<usize>,
    pub(super) used: Option<AnyBatch>,
    after: Controls,
    barrier: Option<Epoch>,
    ended: bool,
}

/// One logical input: an edge, or all instances of an ordered exchange.
#[derive(Default)]
struct Unit {
    watermark: Option<Timestamp>,
    /// No row below this number is still to come.
    passed: Option<u64>,
    idle: bool,
    quarantined: bool,
    live: usize,
    /// The member whose turn it is, and how many there are.
    turn: usize,
    members: usize,
    /// Members that wait at a barrier.
    at_barrier: usize,
    port: usize,
}

/// What the edges gave.
pub(super) struct Event {
    pub(super) input: Input,
    /// The edge a batch came from, for its return.
    pub(super) from: usize,
}

pub(super) struct EdgesHead {
    pub(super) ins: Vec<InEdge>,
    /// By input port, whether the node takes its rows.
    open: Vec<bool>,
    units: Vec<Unit>,
    watermark: Option<Timestamp>,
    policy: Option<Epoch>,
    next: usize,
    queue: VecDeque<Input>,
    idle: bool,
    done: bool,
    /// Where a watchdog reads which input edges hold the time of this task back.
    pub(super) held: Option<Arc<AtomicU64>>,
}

impl EdgesHead {
    /// `groups`: for each logical edge its port, whether its instances come in turn, its queues.
    pub(super) fn new(groups: Vec<(usize, bool, Vec<Edge>)>) -> Self {
        let mut head = Self {
            ins: Vec::new(),
            open: vec![true; groups.iter().map(|g| g.0 + 1).max().unwrap_or(0)],
            units: Vec::new(),
            watermark: None,
            policy: None,
            next: 0,
            queue: VecDeque::new(),
            idle: false,
            done: false,
            held: None,
        };
        if groups.iter().all(|g| g.2.is_empty()) {
            // Nobody will ever send anything.
            head.done = true;
            head.queue.push_back(Input::Control(Control::End));
        }
        for (port, in_turn, edges) in groups {
            let in_turn = in_turn && edges.len() > 1;
            let members = edges.len();
            for (i, edge) in edges.into_iter().enumerate() {
                if i == 0 || !in_turn {
                    let live = if in_turn { members } else { 1 };
                    head.units.push(Unit { live, members, port, ..Unit::default() });
                }
                head.ins.push(InEdge {
                    edge,
                    port,
                    unit: head.units.len() - 1,
                    member: in_turn.then_some(i),
                    used: None,
                    after: Controls::default(),
                    barrier: None,
                    ended: false,
                });
            }
        }
        head
    }

    /// Asks which ports the node takes rows of, for the events to come.
    pub(super) fn ask(&mut self, accepts: impl Fn(usize) -> bool) {
        self.open.iter_mut().enumerate().for_each(|(port, open)| *open = accepts(port));
    }

    /// The next thing to do, if there is one; otherwise the task is woken when there is.
    pub(super) fn poll_event(
        &mut self,
        cx: &Context<'_>,
        now: Moment,
        follows_time: bool,
    ) -> Poll<Event> {
        loop {
            if let Some(input) = self.queue.pop_front() {
                return Poll::Ready(Event { input, from: 0 });
            }
            if self.done {
                return Poll::Pending;
            }
            let mut moved = false;
            let n = self.ins.len();
            for k in 0..n {
                let i = (self.next + k) % n;
                if self.ins[i].after != Controls::default() {
                    let after = std::mem::take(&mut self.ins[i].after);
                    self.apply(i, after);
                    moved = true;
                    break;
                }
                if !self.wants(i, follows_time) {
                    continue;
                }
                let e = &mut self.ins[i];
                if let Poll::Ready(slot) = e.edge.poll_receive(cx, &mut e.used, now) {
                    moved = true;
                    e.after = slot.controls;
                    if let Some(b) = slot.batch {
                        self.next = if e.member.is_some() { i } else { i + 1 };
                        let b = self.incoming(i, b);
                        let input = Input::Batch(self.ins[i].port, b);
                        return Poll::Ready(Event { input, from: i });
                    }
                    break;
                }
            }
            if !moved {
                // Whoever found an edge full that is left alone now may find room there.
                for (i, e) in self.ins.iter().enumerate() {
                    let wanted = self.wants(i, follows_time);
                    if self.ins.len() > 1 || !wanted {
                        e.edge.nudge(wanted);
                    }
                }
                return Poll::Pending;
            }
        }
    }

    fn wants(&self, i: usize, follows_time: bool) -> bool {
        let e = &self.ins[i];
        if e.ended || e.barrier.is_some() {
            return false;
        }
        // While an input waits at a barrier the rows before it are due on the others, also where
        // the node would rather have the rows behind it first (L-3).
        let aligning = !mutant!(BarrierStarves) && self.units.iter().any(|u| u.at_barrier > 0);
        if !(self.open[e.port] || aligning || follows_time && self.holds_back(e.unit)) {
            return false;
        }
        let u = &self.units[e.unit];
        // A barrier cuts the dealt-out stream at one place: once one member has reached it, the
        // others have nothing before theirs that is not in turn.
        e.member.is_none_or(|m| m == u.turn || u.at_barrier > 0)
    }

    /// Rewrites the marks of a batch of input `i` to what all inputs promise.
    fn incoming(&mut self, i: usize, mut b: AnyBatch) -> AnyBatch {
        let unit = self.ins[i].unit;
        self.units[unit].idle = false;
        self.idle = false;
        if b.meta().marks.is_empty() {
            self.tell_held();
            return b;
        }
        let others = self.minimum(Some(unit));
        let marks = std::mem::take(&mut b.meta_mut().marks);
        let mut kept = Vec::with_capacity(marks.len());
        for m in marks {
            let own = self.units[unit].watermark.map_or(m.watermark, |w| w.max(m.watermark));
            self.units[unit].watermark = Some(own);
            let all = match others {
                _ if mutant!(MarkNotMerged) => own,
                Promise::Nothing => continue,
                Promise::Until(w) => own.min(w),
                Promise::Free => own,
            };
            if self.watermark.is_none_or(|w| all > w) {
                self.watermark = Some(all);
                push_mark(&mut kept, Mark { at: m.at, watermark: all });
            }
        }
        b.meta_mut().marks = kept;
        self.tell_held();
        b
    }

    /// Controls that stood behind the batch of a slot: the batch has been handled.
    fn apply(&mut self, i: usize, c: Controls) {
        let unit = self.ins[i].unit;
        if let Some(q) = c.quarantined {
            self.units[unit].quarantined = q;
            self.queue.push_back(Input::Control(if q {
                Control::Quarantined
            } else {
                Control::Resumed
            }));
        }
        self.units[unit].idle |= c.idle;
        if let Some(w) = c.watermark {
            let u = &mut self.units[unit];
            u.watermark = Some(u.watermark.map_or(w, |o| o.max(w)));
        }
        self.advance();
        if c.passed.is_some() {
            self.units[unit].passed = self.units[unit].passed.max(c.passed);
            self.pass(self.units[unit].port);
        }
        if let Some(p) = c.policy
            && self.policy.is_none_or(|o| p > o)
        {
            self.policy = Some(p);
            self.queue.push_back(Input::Control(Control::Policy(p)));
        }
        if c.turn {
            match self.ins[i].member {
                Some(m) => {
                    let u = &mut self.units[unit];
                    u.turn = (m + 1) % u.members;
                    self.skip_ended(unit);
                }
                // A chain of parallel instances passes the turn on.
                None => self.queue.push_back(Input::Control(Control::Turn)),
            }
        }
        if let Some(e) = c.barrier {
            self.reach(i, e);
        }
        if c.end {
            self.end(i);
        }
        let all_idle = self.units.iter().all(|u| u.idle || u.live == 0);
        if all_idle && !self.idle && !self.done {
            self.queue.push_back(Input::Control(Control::Idle));
        }
        self.idle = all_idle;
        self.tell_held();
    }

    /// In a watched run, tells which of the first 64 input edges hold the time of this task back:
    /// those that count and promise less than another one has.
    fn tell_held(&self) {
        let Some(held) = &self.held else { return };
        let furthest = self.units.iter().filter_map(|u| u.watermark).max();
        let holds = |e: &InEdge| {
            let u = &self.units[e.unit];
            !(e.ended || u.idle || u.quarantined) && u.watermark < furthest
        };
        let each = self.ins.iter().take(64).enumerate();
        let mask = each.fold(0, |mask, (i, e)| mask | u64::from(holds(e)) << i);
        held.store(mask, Ordering::Relaxed);
    }

    fn end(&mut self, i: usize) {
        if std::mem::replace(&mut self.ins[i].ended, true) {
            return;
        }
        let unit = self.ins[i].unit;
        self.units[unit].live -= 1;
        self.skip_ended(unit);
        if self.units[unit].live == 0 && self.units.len() > 1 {
            let port = self.units[unit].port;
            if !self.units.iter().any(|u| u.port == port && u.live > 0) {
                self.queue.push_back(Input::Ended(port));
            }
            self.pass(port);
        }
        self.advance();
        self.align();
        if self.units.iter().all(|u| u.live == 0) {
            self.done = true;
            self.queue.push_back(Input::Control(Control::End));
        }
    }

    /// Tells what all senders of input `port` have passed.
    fn pass(&mut self, port: usize) {
        let live = self.units.iter().filter(|u| u.port == port && u.live > 0);
        if let Some(Some(n)) = live.map(|u| u.passed).min() {
            self.queue.push_back(Input::Passed(port, n));
        }
    }

    fn skip_ended(&mut self, unit: usize) {
        if mutant!(TurnStaysWithEnded) {
            return;
        }
        let first = self.ins.iter().position(|e| e.unit == unit).unwrap_or(0);
        let u = &mut self.units[unit];
        for _ in 0..u.members {
            match self.ins.get(first + u.turn) {
                Some(e) if e.unit == unit && e.member.is_some() && e.ended => {
                    u.turn = (u.turn + 1) % u.members;
                }
                _ => return,
            }
        }
    }

    /// Input `i` has come to the barrier of epoch `e`. A cut is one epoch on all inputs: the handle
    /// has the next one emitted only when every task has seen this one.
    fn reach(&mut self, i: usize, e: Epoch) {
        self.ins[i].barrier = Some(e);
        let unit = self.ins[i].unit;
        self.units[unit].at_barrier += 1;
        self.align();
    }

    /// All live inputs have the barrier: it counts, and they go on.
    fn align(&mut self) {
        let waiting = self.ins.iter().any(|e| e.barrier.is_some());
        let missing = self.ins.iter().any(|e| !e.ended && e.barrier.is_none());
        if !waiting || (missing && !mutant!(BarrierNotAligned)) {
            return;
        }
        let epoch = self.ins.iter_mut().filter_map(|e| e.barrier.take()).max();
        self.units.iter_mut().for_each(|u| u.at_barrier = 0);
        if let Some(e) = epoch {
            self.queue.push_back(Input::Control(Control::Barrier(e)));
        }
    }

    fn advance(&mut self) {
        let promise = match self.minimum(None) {
            Promise::Free => self.idle_minimum(),
            counts => counts,
        };
        if let Promise::Until(w) = promise
            && self.watermark.is_none_or(|o| w > o)
        {
            self.watermark = Some(w);
            self.queue.push_back(Input::Control(Control::Watermark(w)));
        }
    }

    /// Whether no other input that counts promises less than this one does.
    fn holds_back(&self, unit: usize) -> bool {
        let u = &self.units[unit];
        match (u.watermark, self.minimum(Some(unit))) {
            (Some(_), _) if u.idle || u.quarantined => false,
            (Some(own), Promise::Until(others)) => own <= others,
            (Some(_), Promise::Free) => true,
            _ => false,
        }
    }

    /// What idle inputs promise together while no other counts: time goes on in them (L-4).
    fn idle_minimum(&self) -> Promise {
        let idle = self.units.iter().filter(|u| u.idle && !u.quarantined && u.live > 0);
        idle.filter_map(|u| u.watermark).min().map_or(Promise::Free, Promise::Until)
    }

    /// What the inputs that count promise together, `except` one.
    fn minimum(&self, except: Option<usize>) -> Promise {
        let mut all = Promise::Free;
        for (i, u) in self.units.iter().enumerate() {
            let idle = u.idle && !mutant!(IdleHoldsWatermark);
            let ended = u.live == 0 && !mutant!(EndedHoldsWatermark);
            if Some(i) == except || idle || u.quarantined || ended {
                continue;
            }
            all = match (all, u.watermark) {
                (_, None) => return Promise::Nothing,
                (Promise::Until(a), Some(w)) => Promise::Until(a.min(w)),
                (_, Some(w)) => Promise::Until(w),
            };
        }
        all
    }
}

/// What a set of inputs promises about times still to come.
#[derive(Clone, Copy)]
enum Promise {
    /// No input counts.
    Free,
    /// One that counts has promised nothing yet.
    Nothing,
    /// Nothing at or before this.
    Until(Timestamp),
}

pub(super) enum Head<'env> {
    Source(Box<SourceHead<'env>>),
    Edges(EdgesHead),
}
