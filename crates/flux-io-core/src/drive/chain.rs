//! The chain of links of a task, and how parcels move along it.

use super::link::{Input, Link};
use super::tail::{Tail, send_one};
use super::watch::Heart;
use super::{Halt, Shared, let_go, yield_now};
use crate::batch::{AnyBatch, Batch};
use crate::edge::Edge;
use crate::error::ErrorRecord;
use crate::host::{Abroad, Alarm};
use crate::id::Epoch;
use crate::mutant;
use crate::run::{RunFailure, TaskReport};
use crate::stage::{Control, Outbox, Parcel, Removed};
use crate::sync::{Arc, AtomicU64};
use crate::time::Moment;
use crate::watchdog::Doing;
use std::task::{Context, Poll};

/// Moves after which a task that has not come to a wait looks whether it may go on.
const MOVES_PER_BREATH: u32 = 64;

/// What ended a wait.
pub(super) enum Woke<T> {
    /// What was waited for.
    Ready(T),
    /// A deadline is due, or a call in flight was finished.
    Timer,
    /// Somebody used the handle.
    Handle,
}

pub(super) struct Chain<'env> {
    pub(super) run: Arc<Shared>,
    pub(super) links: Vec<Link<'env>>,
    pub(super) tail: Tail<'env>,
    /// Where dead letters go, if the plan has a sink for them.
    pub(super) dead: Option<Edge>,
    pub(super) now: Moment,
    /// When it may yield again.
    yields_at: Moment,
    /// The used batch of the first link, for the head to take back.
    pub(super) returned: Option<AnyBatch>,
    /// `End` has left the last link.
    pub(super) finished: bool,
    pub(super) report: TaskReport,
    pub(super) slot: usize,
    buried: Vec<ErrorRecord>,
    /// A call in flight failed and the policy says the run does.
    broken: Option<RunFailure>,
    alarm: Alarm,
    seen: u64,
    committed: Option<Epoch>,
    drain_by: Option<Moment>,
    /// What it waits for when it waits, as a watchdog tells it.
    pub(super) waits_for: Doing,
    heart: Option<Heart>,
    /// Calls in flight that somebody outside will end.
    abroad: Abroad,
}

impl<'env> Chain<'env> {
    pub(super) fn new(
        run: &Arc<Shared>,
        links: Vec<Link<'env>>,
        tail: Tail<'env>,
        dead: Option<Edge>,
    ) -> Self {
        let slot = run.handle.join();
        Self {
            heart: run.watched.as_ref().map(|w| w.enter(slot)),
            abroad: Abroad::new(&run.host),
            waits_for: Doing::Rows,
            run: Arc::clone(run),
            links,
            tail,
            dead,
            now: run.host.now(),
            yields_at: Moment::START,
            returned: None,
            finished: false,
            report: TaskReport::default(),
            slot,
            buried: Vec::new(),
            broken: None,
            alarm: Alarm::new(&run.host),
            seen: 0,
            committed: None,
            drain_by: None,
        }
    }

    pub(super) fn start(&mut self) -> Result<(), Halt> {
        // Time may have passed since the task was made (S7).
        self.now = self.run.host.now();
        for l in &mut self.links {
            l.start(self.now, &self.run)?;
            self.run.handle.publish(&l.state);
        }
        if let Tail::Sink(s) = &self.tail {
            self.run.handle.publish(&s.state);
        }
        Ok(())
    }

    /// Gives the first link something and moves everything as far as it goes.
    pub(super) async fn feed(&mut self, input: Input) -> Result<(), Halt> {
        self.beat();
        match self.links.first_mut() {
            Some(first) => first.accept(input),
            None => self.pass(input).await?,
        }
        self.settle().await
    }

    /// Whether the task is to yield now: the host's slice since it was last asked so is over.
    pub(super) fn slice_over(&mut self) -> bool {
        let over = self.now >= self.yields_at;
        if over {
            self.yields_at = self.now.plus(self.run.host.slice());
        }
        over
    }

    /// Where a watchdog reads which input edges hold the time of this task back.
    pub(super) fn held(&self) -> Option<Arc<AtomicU64>> {
        self.heart.as_ref().map(Heart::held)
    }

    /// A parcel has moved.
    fn beat(&self) {
        if let Some(h) = &self.heart {
            h.beat();
        }
    }

    /// A task without links: what comes in goes out.
    async fn pass(&mut self, input: Input) -> Result<(), Halt> {
        let parcel = match input {
            Input::Batch(_, mut b) => {
                // Without a stage nobody serves the marks: they go with the batch.
                if b.is_empty() {
                    let mark = b.meta().marks.last().copied();
                    b.clear();
                    self.returned = Some(b);
                    let Some(m) = mark else { return Ok(()) };
                    Parcel::Control(Control::Watermark(m.watermark))
                } else {
                    Parcel::Batch(b)
                }
            }
            Input::Control(c) => Parcel::Control(c),
            Input::Passed(_, n) => Parcel::Control(Control::Passed(n)),
            Input::Ended(_) => return Ok(()),
        };
        let control = if let Parcel::Control(c) = parcel { Some(c) } else { None };
        let spare = self.tail.deliver(0, parcel, &self.run, self.slot, &mut self.now).await?;
        self.passed(control);
        if spare.is_some() {
            self.returned = spare;
        }
        Ok(())
    }

    /// Moves parcels, most downstream first, until nothing more can move.
    pub(super) async fn settle(&mut self) -> Result<(), Halt> {
        let mut moves = 0_u32;
        loop {
            if !self.buried.is_empty() {
                self.bury().await?;
            }
            let drained = self.drain_tail().await?;
            if !self.step_once()? && !drained && self.buried.is_empty() {
                return Ok(());
            }
            // A stage may go on without an end: a retry that waits for nothing, an iterator that
            // never ends.
            moves = moves.wrapping_add(1);
            if moves.is_multiple_of(MOVES_PER_BREATH) {
                self.breathe().await?;
            }
        }
    }

    /// In the midst of long work: ends it when the run was aborted, lets other tasks run when the
    /// host's slice is over, and reads the clock.
    async fn breathe(&mut self) -> Result<(), Halt> {
        if self.run.handle.aborted() {
            return Err(Halt::Aborted);
        }
        self.now = self.run.host.now();
        if self.slice_over() {
            yield_now().await;
            self.now = self.run.host.now();
        }
        Ok(())
    }

    async fn drain_tail(&mut self) -> Result<bool, Halt> {
        let mut moved = false;
        let ports = self.links.last().map_or(0, |l| l.outs.len());
        for port in 0..ports {
            while let Some(p) = self.links.last_mut().and_then(|l| l.pop(port)) {
                moved = true;
                // A control has passed when it has left by every port.
                let control = match &p {
                    Parcel::Control(c) if port + 1 == ports => Some(*c),
                    _ => None,
                };
                let spare = self.tail.deliver(port, p, &self.run, self.slot, &mut self.now).await?;
                self.beat();
                self.passed(control);
                if let (Some(b), Some(l)) = (spare, self.links.last_mut()) {
                    l.outs[port].recycle(b);
                }
            }
        }
        if let Tail::Sink(s) = &mut self.tail
            && !s.removed.is_empty()
        {
            let removed = std::mem::take(&mut s.removed);
            let name = s.state.name.clone();
            s.state.note_removed(&removed);
            self.take_removed(&name, removed);
        }
        Ok(moved)
    }

    fn step_once(&mut self) -> Result<bool, Halt> {
        for i in (0..self.links.len()).rev() {
            if i > 0
                && self.links[i].input.is_none()
                && let Some(p) = self.links[i - 1].pop(0)
            {
                self.links[i].accept(Input::of(p));
            }
            if !self.links[i].can_step(self.now) {
                continue;
            }
            let stepped = self.links[i].step(self.now, &self.run);
            let l = &mut self.links[i];
            if stepped.is_err() {
                l.state.phase = crate::run::Phase::Failed;
            }
            let swallowed = l.swallowed.take();
            if !(mutant!(DeadLetterLostOnAbort) && stepped.is_err()) {
                self.collect(i);
            }
            if let Some(used) = stepped? {
                match i {
                    0 => self.returned = Some(used),
                    _ => self.links[i - 1].outs[0].recycle(used),
                }
            }
            self.passed(swallowed);
            return Ok(true);
        }
        Ok(false)
    }

    /// A control has left the chain.
    fn passed(&mut self, c: Option<Control>) {
        match c {
            Some(Control::End) => self.finished = true,
            Some(Control::Barrier(e)) => self.acknowledge(e),
            _ => {}
        }
    }

    fn acknowledge(&mut self, e: Epoch) {
        if let Some(d) = &self.dead {
            d.control(Control::Barrier(e));
        }
        let whole = self.run.handle.ack(self.slot, e);
        self.run.complete(whole);
    }

    /// Takes what left the flow in link `i`.
    fn collect(&mut self, i: usize) {
        let l = &mut self.links[i];
        if l.removed.is_empty() {
            return;
        }
        let removed = std::mem::take(&mut l.removed);
        l.state.note_removed(&removed);
        let name = l.home.name.clone();
        self.take_removed(&name, removed);
    }

    pub(super) fn take_removed(&mut self, stage: &str, removed: Removed) {
        for mut r in removed.dead {
            if r.stage_name.is_empty() {
                stage.clone_into(&mut r.stage_name);
            }
            let dead = self.report.dead.entry(r.cause).or_default();
            *dead = dead.saturating_add(r.items);
            if let Some(o) = &self.run.observer {
                o.on_error(&r);
            }
            if self.dead.is_some() {
                self.buried.push(r);
            } else if self.report.samples.len() < self.run.samples {
                self.report.samples.push(r);
            }
        }
    }

    async fn bury(&mut self) -> Result<(), Halt> {
        let records = std::mem::take(&mut self.buried);
        if let Some(edge) = &self.dead {
            let batch = AnyBatch::new(Batch::of(records));
            send_one(edge, batch, &self.run, self.slot, &mut self.now).await?;
        }
        Ok(())
    }

    /// Whether the first link is still busy with what it was given.
    pub(super) fn busy(&self) -> bool {
        self.links.first().is_some_and(|l| l.input.is_some())
    }

    /// Whether the first link takes rows of input port `port` now.
    pub(super) fn accepts(&self, port: usize) -> bool {
        self.links.first().is_none_or(|l| l.node.accepts(port))
    }

    /// Whether an output holds rows that were not sealed.
    pub(super) fn has_open(&self) -> bool {
        self.links.iter().any(|l| l.outs.iter().any(Outbox::has_open))
    }

    /// Seals every open batch, most upstream first, and moves everything: done before a wait.
    pub(super) async fn idle(&mut self) -> Result<(), Halt> {
        for i in 0..self.links.len() {
            if self.links[i].outs.iter().any(Outbox::has_open) {
                self.links[i].outs.iter_mut().for_each(Outbox::seal);
                self.settle().await?;
            }
        }
        self.publish();
        Ok(())
    }

    /// Fires every deadline that is due and ends holds that are over.
    pub(super) async fn on_time(&mut self) -> Result<(), Halt> {
        self.now = self.run.host.now();
        if let Some(f) = self.broken.take() {
            return Err(f.into());
        }
        for i in 0..self.links.len() {
            self.collect(i);
        }
        for i in 0..self.links.len() {
            // A yield sets the deadline to now again: the output is emptied, then it goes on.
            let mut fired = 0_u32;
            while self.links[i].deadline().is_some_and(|t| t <= self.now) {
                self.links[i].fire(self.now)?;
                self.collect(i);
                self.settle().await?;
                fired = fired.wrapping_add(1);
                if fired.is_multiple_of(MOVES_PER_BREATH) {
                    self.breathe().await?;
                }
            }
        }
        self.settle().await?;
        if let Tail::Sink(s) = &mut self.tail
            && s.flush_at().is_some_and(|at| at <= self.now)
        {
            s.flush(&self.run, self.slot).await?;
            self.now = self.run.host.now();
        }
        Ok(())
    }

    pub(super) fn timers_due(&self) -> bool {
        self.links.iter().any(|l| l.deadline().is_some_and(|t| t <= self.now))
    }

    fn next_deadline(&self) -> Option<Moment> {
        let own = self
            .links
            .iter()
            .flat_map(|l| [l.deadline(), l.hold_over().filter(|_| !mutant!(HoldForgotten))])
            .flatten()
            .min();
        let flush = if let Tail::Sink(s) = &self.tail { s.flush_at() } else { None };
        [own, flush, self.drain_by].into_iter().flatten().min()
    }

    /// One poll of a wait: for `inner`, a deadline, or somebody at the handle.
    pub(super) fn poll_wait<T>(
        &mut self,
        cx: &mut Context<'_>,
        inner: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Woke<T>> {
        let woke = self.poll_woke(cx, inner);
        if let (Poll::Ready(_), Some(h)) = (&woke, &self.heart) {
            h.works();
        }
        woke
    }

    fn poll_woke<T>(
        &mut self,
        cx: &mut Context<'_>,
        inner: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Woke<T>> {
        if self.run.handle.version() != self.seen {
            return Poll::Ready(Woke::Handle);
        }
        if let Poll::Ready(x) = inner(cx) {
            return Poll::Ready(Woke::Ready(x));
        }
        match self.poll_calls(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Woke::Timer),
            Poll::Ready(Err(f)) => {
                self.broken = Some(f);
                return Poll::Ready(Woke::Timer);
            }
            Poll::Pending => {}
        }
        let deadline = self.next_deadline();
        if let Some(h) = &self.heart {
            let held = self.links.iter().any(|l| l.hold.is_some());
            let doing = match self.waits_for {
                _ if self.has_calls() => Doing::Calls,
                _ if held => Doing::Time,
                other => other,
            };
            h.waits(doing, deadline);
        }
        if let Some(at) = deadline {
            if self.run.host.now() >= at {
                return Poll::Ready(Woke::Timer);
            }
            self.alarm.set(at, cx);
        } else {
            self.alarm.clear();
        }
        self.run.handle.poll_news(self.slot, self.seen, cx).map(|()| Woke::Handle)
    }

    /// Drives calls in flight; `Ready` when one was finished.
    pub(super) fn poll_calls(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RunFailure>> {
        let mut any = Poll::Pending;
        for l in &mut self.links {
            if let Poll::Ready(r) = l.poll(cx, self.now) {
                r?;
                any = Poll::Ready(Ok(()));
            }
        }
        let links = &self.links;
        self.abroad.ask(|_| links.iter().any(|l| l.node.awaits_outside()));
        any
    }

    /// Whether a call is in flight.
    pub(super) fn has_calls(&self) -> bool {
        self.links.iter().any(|l| l.node.in_flight() > 0)
    }

    /// Serves the handle: abort, drain deadline, commands, commits.
    pub(super) async fn serve(&mut self) -> Result<(), Halt> {
        let handle = self.run.handle.clone();
        self.seen = handle.version();
        if handle.aborted() {
            return Err(Halt::Aborted);
        }
        self.drain_by = handle.drain_by(|| self.run.host.now());
        if let Some(done) = handle.completed_epoch()
            && self.committed < Some(done)
        {
            self.committed = Some(done);
            if let Tail::Sink(s) = &mut self.tail {
                s.commit(done, &self.run, self.slot).await?;
                self.now = self.run.host.now();
            }
        }
        for (stage, c) in handle.commands_for(self.slot) {
            for i in 0..self.links.len() {
                if self.links[i].home.name == stage {
                    self.links[i].command(&c, self.now)?;
                    self.collect(i);
                    self.settle().await?;
                }
            }
        }
        self.publish();
        Ok(())
    }

    /// Whether the handle has something new.
    pub(super) fn called(&self) -> bool {
        self.run.handle.version() != self.seen
    }

    /// The drain took too long.
    pub(super) fn check_drain(&self) {
        if self.drain_by.is_some_and(|t| t <= self.run.host.now()) {
            self.run.handle.drain_expired();
        }
    }

    pub(super) fn publish(&mut self) {
        if !self.run.handle.watched() {
            return;
        }
        for l in &mut self.links {
            l.state.gauge = l.node.gauge();
            self.run.handle.publish(&l.state);
        }
        if let Tail::Sink(s) = &self.tail {
            self.run.handle.publish(&s.state);
        }
    }

    /// Ends the task: receivers learn it, counters go into the report.
    pub(super) fn leave(&mut self, clean: bool) {
        self.alarm.clear();
        self.tail.leave(clean);
        if let Some(d) = self.dead.as_ref().filter(|_| clean) {
            d.control(Control::End);
        }
        let TaskReport { stages, imbalances, batches, .. } = &mut self.report;
        for l in &mut self.links {
            l.report(stages, imbalances);
            for o in &l.outs {
                batches.made += o.made;
                batches.reused += o.reused;
            }
        }
        if let Tail::Sink(s) = &mut self.tail {
            stages.push(s.state.clone());
        }
        if self.run.handle.watched() {
            stages.iter().for_each(|s| self.run.handle.publish(s));
        }
        let whole = self.run.handle.leave(self.slot, clean);
        self.run.complete(whole);
    }

    /// Drops what the task drove, one by one, and gives its report.
    pub(super) fn let_go(self) -> TaskReport {
        let Self { run, links, tail, report, .. } = self;
        for l in links {
            let_go(&run, &l.home.name, l.home.shard, l.node);
        }
        if let Tail::Sink(s) = tail {
            let name = s.state.name.clone();
            let_go(&run, &name, 0, s);
        }
        report
    }
}
