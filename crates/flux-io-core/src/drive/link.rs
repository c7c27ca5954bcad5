//! A link: one stage instance with its input, its output ports and what it counts.

use super::{Shared, panic_text};
use crate::accumulate::Command;
use crate::batch::AnyBatch;
use crate::error::{
    DeadCause, ErrorClass, ErrorKind, ErrorRecord, GiveUp, OnError, Original, StageError,
};
use crate::host::Host;
use crate::mutant;
use crate::run::{Phase, RunFailure, SKIP, StageState};
use crate::stage::{
    Control, Counts, Draws, Node, Outbox, Parcel, Removed, StageCx, StageHome, Step,
};
use crate::sync::Arc;
use crate::time::Moment;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

/// What a link works on.
pub(super) enum Input {
    Batch(usize, AnyBatch),
    Control(Control),
    /// No row of an input with a number below this is still to come.
    Passed(usize, u64),
    /// One of several inputs ended.
    Ended(usize),
}

impl Input {
    pub(super) fn of(p: Parcel) -> Self {
        match p {
            Parcel::Batch(b) => Self::Batch(0, b),
            Parcel::Control(Control::Passed(n)) => Self::Passed(0, n),
            Parcel::Control(c) => Self::Control(c),
        }
    }
}

pub(super) struct Link<'env> {
    pub(super) node: Box<dyn Node + 'env>,
    pub(super) home: StageHome,
    pub(super) operators: Vec<String>,
    pub(super) on_error: OnError,
    pub(super) outs: Vec<Outbox>,
    pub(super) timer: Option<Moment>,
    pub(super) hold: Option<Moment>,
    pub(super) input: Option<Input>,
    /// Rows of the batch that is the input, as it came.
    rows: usize,
    /// Fragments in the ledger that this run went on from.
    restored: u64,
    /// A control that has passed a link without outputs.
    pub(super) swallowed: Option<Control>,
    pub(super) removed: Removed,
    pub(super) state: StageState,
    pub(super) ended: bool,
    /// The input waits for a call in flight.
    stalled: bool,
    attempt: u32,
    draws: Draws,
    /// The engine's clock, where the stage's time is measured.
    clock: Option<Arc<dyn Host>>,
}

impl<'env> Link<'env> {
    pub(super) fn new(
        node: Box<dyn Node + 'env>,
        home: StageHome,
        operators: Vec<String>,
        on_error: OnError,
        outs: Vec<Outbox>,
        seed: u64,
        run: &Shared,
    ) -> Self {
        let name = home.name.clone();
        let state = StageState { name, shard: home.shard, ..StageState::default() };
        Self {
            node,
            operators,
            on_error,
            outs,
            timer: None,
            hold: None,
            input: None,
            rows: 0,
            restored: 0,
            swallowed: None,
            removed: Removed::default(),
            state,
            ended: false,
            stalled: false,
            attempt: 0,
            draws: Draws(crate::key::hash_of(home.name.as_str(), seed) ^ u64::from(home.shard)),
            clock: run.measure.then(|| Arc::clone(&run.host)),
            home,
        }
    }

    /// Takes an input; its rows are counted here, once.
    pub(super) fn accept(&mut self, input: Input) {
        debug_assert!(self.input.is_none(), "an input of `{}` is overwritten", self.home.name);
        if let Input::Batch(_, b) = &input {
            self.rows = b.len();
            self.state.counts.rows_in += b.len() as u64;
        }
        self.attempt = 0;
        self.input = Some(input);
    }

    /// The next parcel of a port; its rows are counted here, once.
    pub(super) fn pop(&mut self, port: usize) -> Option<Parcel> {
        let p = self.outs.get_mut(port)?.pop()?;
        if let Parcel::Batch(b) = &p {
            self.state.counts.rows_out += b.len() as u64;
        }
        Some(p)
    }

    pub(super) fn can_step(&self, now: Moment) -> bool {
        self.input.is_some()
            && !self.stalled
            && self.hold.is_none_or(|t| t <= now)
            && !self.outs.iter().any(Outbox::is_full)
    }

    /// One call of the node on the current input; gives the used batch back when it is done.
    pub(super) fn step(
        &mut self,
        now: Moment,
        run: &Shared,
    ) -> Result<Option<AnyBatch>, RunFailure> {
        self.hold = None;
        let Some(mut input) = self.input.take() else { return Ok(None) };
        if matches!(input, Input::Control(_)) && self.node.in_flight() > 0 {
            self.stalled = true;
            self.input = Some(input);
            return Ok(None);
        }
        self.state.phase = Phase::Running;
        let before = self.emitted();
        let answer = match &mut input {
            Input::Batch(port, b) => {
                let port = *port;
                self.call(now, |n, outs, cx| n.on_batch(port, b, outs, cx))
            }
            Input::Control(c) => self.control(*c, now, run),
            Input::Passed(port, number) => {
                let (port, number) = (*port, *number);
                self.call(now, |n, outs, cx| n.on_passed(port, number, outs, cx))
            }
            Input::Ended(port) => {
                let port = *port;
                self.call(now, |n, outs, cx| n.on_input_end(port, outs, cx))
            }
        };
        self.state.phase = Phase::Waiting;
        match answer {
            Ok(Step::Done) => Ok(self.done(input, now, run)),
            Ok(Step::Yield) if self.outs.iter().any(Outbox::is_full) => {
                self.input = Some(input);
                Ok(None)
            }
            Ok(Step::Yield) => Err(self.restless()),
            Ok(Step::Wait(at)) => {
                self.hold = Some(at);
                if at > now {
                    self.state.phase = Phase::Retrying;
                }
                self.input = Some(input);
                Ok(None)
            }
            Ok(Step::Pending) if self.node.in_flight() > 0 => {
                self.stalled = true;
                self.input = Some(input);
                Ok(None)
            }
            Ok(Step::Pending) => {
                Err(self.endless("the stage waits for calls although none is in flight"))
            }
            Err(e) => self.answer(e, input, before, now, run),
        }
    }

    /// Drives calls in flight; whether something was finished.
    pub(super) fn poll(
        &mut self,
        task: &mut Context<'_>,
        now: Moment,
    ) -> Poll<Result<(), RunFailure>> {
        if self.node.in_flight() == 0 || self.outs.iter().any(Outbox::is_full) {
            return Poll::Pending;
        }
        let mut pending = false;
        let polled = self.call(now, |n, outs, cx| match n.poll(task, outs, cx) {
            Poll::Ready(r) => r.map(|()| Step::Done),
            Poll::Pending => {
                pending = true;
                Ok(Step::Done)
            }
        });
        if pending && polled.is_ok() {
            return Poll::Pending;
        }
        self.stalled = false;
        Poll::Ready(polled.map(|_| ()).or_else(|e| self.tolerate(e)))
    }

    fn restless(&self) -> RunFailure {
        self.endless("the stage yielded although its output has room")
    }

    /// The stage asks for a call that would never come, or never stop coming.
    fn endless(&self, what: &str) -> RunFailure {
        let what = format!("{what}; it would never end");
        self.failure(StageError::new(ErrorClass::Catastrophic, ErrorKind::User, what))
    }

    /// The deadline, where there is room for what it brings.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.timer.filter(|_| !self.outs.iter().any(Outbox::is_full))
    }

    /// When the input may be tried again, where it can be: while the outputs are full or calls are
    /// awaited, a hold that is over wakes nobody, or the task would look at it for ever.
    pub(super) fn hold_over(&self) -> Option<Moment> {
        let served = !self.stalled && !self.outs.iter().any(Outbox::is_full);
        self.hold.filter(|_| served || mutant!(HoldSpins))
    }

    /// The deadline is due.
    pub(super) fn fire(&mut self, now: Moment) -> Result<(), RunFailure> {
        self.timer = None;
        match self.call(now, |n, outs, cx| n.on_timer(outs, cx)) {
            Ok(Step::Done | Step::Pending) => Ok(()),
            Ok(Step::Yield) if self.outs.iter().any(Outbox::is_full) => {
                self.timer = Some(now);
                Ok(())
            }
            Ok(Step::Yield) => Err(self.restless()),
            Ok(Step::Wait(at)) => {
                self.timer = Some(self.timer.map_or(at, |t| t.min(at)));
                Ok(())
            }
            Err(e) => self.tolerate(e),
        }
    }

    pub(super) fn command(&mut self, c: &Command, now: Moment) -> Result<(), RunFailure> {
        let r = self.call(now, |n, outs, cx| n.on_command(c, outs, cx).map(|_| Step::Done));
        r.map(|_| ()).or_else(|e| self.tolerate(e))
    }

    pub(super) fn start(&mut self, now: Moment, run: &Shared) -> Result<(), RunFailure> {
        if let Some(o) = &run.observer {
            o.on_stage_start(&self.home.name, self.home.shard);
        }
        let started = self.call(now, |n, _, cx| n.on_start(cx).map(|()| Step::Done));
        started.map_err(|e| self.failure(e))?;
        if run.restore
            && let Some(store) = &run.snapshots
            && let Some(bytes) = store.get(&self.home.name, self.home.shard)
        {
            self.node.restore(&bytes).map_err(|e| self.failure(e))?;
            self.restored = self.node.ledger().map_or(0, |l| l.fragments);
            // A restored stage has had no call that could ask for its deadlines: it gets one.
            self.timer = Some(now);
        }
        Ok(())
    }

    pub(super) fn failure(&self, error: StageError) -> RunFailure {
        RunFailure { stage: self.home.name.clone(), shard: self.home.shard, error }
    }

    /// Every state of this link: its own and those of fused operators.
    pub(super) fn report(&mut self, out: &mut Vec<StageState>, odd: &mut Vec<String>) {
        self.state.ledger = self.node.ledger();
        self.state.gauge = self.node.gauge();
        self.state.phase = match self.state.phase {
            Phase::Failed => Phase::Failed,
            _ if self.ended => Phase::Done,
            p => p,
        };
        let mut counts: Vec<Counts> = Vec::new();
        self.node.counts(&mut |_, c| counts.push(c));
        self.check(&counts, odd);
        let alone = self.operators.len() <= 1;
        out.push(self.state.clone());
        if alone {
            return;
        }
        for (name, counts) in self.operators.iter().zip(counts) {
            let (name, shard, phase) = (name.clone(), self.home.shard, self.state.phase);
            out.push(StageState { name, shard, phase, counts, ..StageState::default() });
        }
    }

    fn check(&self, ops: &[Counts], odd: &mut Vec<String>) {
        let (name, shard) = (&self.home.name, self.home.shard);
        // A batch that was being worked on when the run stopped is in no class yet.
        if self.input.is_some() || self.state.phase == Phase::Failed {
            return;
        }
        if let Some(l) = &self.state.ledger {
            let rows = self.restored + self.state.counts.rows_in;
            if l.fragments != rows {
                odd.push(format!("{name}#{shard}: ledger of {} of {rows} rows", l.fragments));
            }
            if !l.balanced() {
                odd.push(format!("{name}#{shard}: classes sum to {} in {l}", l.total()));
            }
        }
        for pair in ops.windows(2) {
            if pair[0].rows_out != pair[1].rows_in {
                odd.push(format!("{name}#{shard}: fused operators lose rows: {pair:?}"));
            }
        }
    }

    fn call(
        &mut self,
        now: Moment,
        f: impl FnOnce(
            &mut (dyn Node + 'env),
            &mut [Outbox],
            &mut StageCx<'_>,
        ) -> Result<Step, StageError>,
    ) -> Result<Step, StageError> {
        let Self { node, outs, home, timer, removed, draws, clock, state, .. } = self;
        let began = clock.as_ref().map(|c| c.now());
        let retries = &mut state.retries;
        let mut cx = StageCx { now, home, timer, removed, retries, draws };
        let answer = catch_unwind(AssertUnwindSafe(|| f(&mut **node, outs, &mut cx)));
        if let (Some(c), Some(t)) = (clock, began) {
            state.busy += c.now().since(t);
        }
        match answer {
            Ok(r) => r,
            Err(p) => {
                let what = format!("panicked: {}", panic_text(&*p));
                Err(StageError::new(ErrorClass::Permanent, ErrorKind::Panicked, what))
            }
        }
    }

    fn control(&mut self, c: Control, now: Moment, run: &Shared) -> Result<Step, StageError> {
        match c {
            Control::Watermark(w) => self.call(now, |n, outs, cx| n.on_watermark(w, outs, cx)),
            Control::End => self.call(now, |n, outs, cx| n.on_end(outs, cx)),
            Control::Policy(e) => {
                self.call(now, |n, _, cx| n.on_policy(e, cx).map(|()| Step::Done))
            }
            Control::Barrier(e) => {
                let ready = self.call(now, |n, outs, cx| n.on_barrier(e, outs, cx))?;
                if ready != Step::Done {
                    return Ok(ready);
                }
                let mut bytes = Vec::new();
                self.call(now, |n, _, _| n.snapshot(&mut bytes).map(|()| Step::Done))?;
                if let Some(store) = run.snapshots.as_ref().filter(|_| !bytes.is_empty())
                    && !(mutant!(SnapshotOfOneShard) && self.home.shard > 0)
                {
                    store.put(e, &self.home.name, self.home.shard, bytes)?;
                }
                Ok(Step::Done)
            }
            // `Passed` comes as an input of its own.
            Control::Idle
            | Control::Passed(_)
            | Control::Quarantined
            | Control::Resumed
            | Control::Turn => Ok(Step::Done),
        }
    }

    /// The input is used up: controls go on, marks the stage left are served, the batch goes back.
    fn done(&mut self, input: Input, now: Moment, run: &Shared) -> Option<AnyBatch> {
        self.attempt = 0;
        match input {
            Input::Batch(_, b) => {
                if let Some(o) = &run.observer {
                    o.on_batch(&self.home.name, self.home.shard, self.rows, now);
                }
                if let Some(m) = b.meta().marks.last() {
                    self.input = Some(Input::Control(Control::Watermark(m.watermark)));
                }
                Some(b)
            }
            Input::Control(c) => {
                self.ended |= c == Control::End;
                if let Control::End = c
                    && let Some(o) = &run.observer
                {
                    o.on_stage_end(&self.home.name, self.home.shard);
                }
                let told = match c {
                    Control::Watermark(w) => self.node.promise(w).map(Control::Watermark),
                    other => Some(other),
                };
                if let Some(told) = told {
                    let all = if mutant!(BarrierSkipsBranch) && matches!(c, Control::Barrier(_)) {
                        1
                    } else {
                        self.outs.len()
                    };
                    self.outs.iter_mut().take(all).for_each(|o| o.control(told));
                }
                self.swallowed = Some(c).filter(|_| self.outs.is_empty());
                None
            }
            Input::Passed(..) | Input::Ended(_) => None,
        }
    }

    /// What the stage's policy says about an error.
    fn answer(
        &mut self,
        e: StageError,
        input: Input,
        before: (u64, u64),
        now: Moment,
        run: &Shared,
    ) -> Result<Option<AnyBatch>, RunFailure> {
        self.note(&e);
        if e.class == ErrorClass::Catastrophic {
            return Err(self.failure(e));
        }
        self.attempt += 1;
        let unit = self.draws.next_u32();
        // A call that has emitted is not repeated: its output would come twice (B99).
        let again = self.on_error.retry_after(e.class, self.attempt, unit);
        if let Some(wait) =
            again.filter(|_| self.emitted() == before || mutant!(EmittedCallRepeated))
        {
            self.hold = Some(now.plus(wait));
            self.state.retries += 1;
            self.state.phase = Phase::Retrying;
            self.input = Some(input);
            return Ok(None);
        }
        if let Input::Control(Control::Barrier(epoch)) = input {
            // The checkpoint is given up, not the run.
            run.handle.give_up(epoch);
            return Ok(self.done(input, now, run));
        }
        match (self.on_error.finally(), input) {
            (GiveUp::Fail, _) => Err(self.failure(e)),
            (GiveUp::DeadLetter, Input::Batch(port, mut b)) => {
                let rest = b.empty();
                let marks = std::mem::take(&mut b.meta_mut().marks);
                self.bury(&e, std::mem::replace(&mut b, rest));
                b.meta_mut().marks = marks;
                Ok(self.done(Input::Batch(port, b), now, run))
            }
            (GiveUp::Skip, Input::Batch(port, mut b)) => {
                self.removed.drop_rows(SKIP, b.len() as u64);
                let marks = std::mem::take(&mut b.meta_mut().marks);
                b.clear();
                b.meta_mut().marks = marks;
                Ok(self.done(Input::Batch(port, b), now, run))
            }
            (_, other) => Ok(self.done(other, now, run)),
        }
    }

    /// The rows that are left of a batch become one dead letter that holds them.
    fn bury(&mut self, e: &StageError, rest: AnyBatch) {
        if rest.is_empty() {
            return;
        }
        let cause = match e.kind {
            ErrorKind::Panicked => DeadCause::Panicked,
            ErrorKind::SpillFailure => DeadCause::SpillFailure,
            ErrorKind::KeyExplosion => DeadCause::RefusedKey,
            _ => DeadCause::Failed,
        };
        let mut r = ErrorRecord::new(cause, crate::error::chain(e));
        r.stage = self.home.id;
        r.source = rest.meta().source;
        r.seq = rest.meta().seq.at(0);
        r.items = rest.len() as u64;
        r.attempts = self.attempt;
        r.context = rest.meta().context.as_ref().map(Arc::clone);
        r.original = Original::value(rest);
        self.removed.dead.push(r);
    }

    /// An error outside a batch: the run fails under policy Fail, otherwise it is counted.
    fn tolerate(&mut self, e: StageError) -> Result<(), RunFailure> {
        self.note(&e);
        let fatal = e.class == ErrorClass::Catastrophic || self.on_error.finally() == GiveUp::Fail;
        if fatal { Err(self.failure(e)) } else { Ok(()) }
    }

    fn note(&mut self, e: &StageError) {
        self.state.errors += 1;
        self.state.last_error = Some(crate::error::chain(e));
    }

    /// Rows and controls emitted so far, taken away or not.
    fn emitted(&self) -> (u64, u64) {
        let taken = self.state.counts.rows_out;
        self.outs.iter().map(Outbox::emitted).fold((taken, 0), |a, o| (a.0 + o.0, a.1 + o.1))
    }
}
