//! Joins by id: ids come in any order, each once in every input.
//!
//! Rows are looked at one by one, whatever their batches: a row that may not be taken yet waits with
//! those behind it.
//!
//! Branches of one flow that tell how far they have come are taken in step, so that what finds its
//! partner within what is held is a function of the data. Of other inputs each is taken as it comes,
//! until half of what may be held is held; then only those are that the oldest id misses are
//! taken. What they bring finds its partner, or fills the other half, or pushes the oldest id out:
//! so an input that runs ahead leaves room for those whose rows come in another order.

use super::super::guard::guarded;
use super::super::held::Held;
use super::super::strategy::{By, JoinStrategy};
use super::{Giving, Group, Standing};
use flux_io_core::{AnyBatch, Moment, Node, Outbox, StageCx, StageError, Step, Timestamp, mutant};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long a full join whose inputs may hold each other up waits without any row before it gives
/// ids up, unless it is told otherwise.
pub(crate) const STALL: Duration = Duration::from_secs(5);

/// One input of the stage.
pub(super) struct Input<T> {
    /// Rows that came and were not taken yet.
    pub(super) came: VecDeque<Held<T>>,
    /// The number behind those of the rows taken, or what its sender has passed.
    passed: u64,
    ended: bool,
}

impl<T> Default for Input<T> {
    fn default() -> Self {
        Self { came: VecDeque::new(), passed: 0, ended: false }
    }
}

impl<T> Input<T> {
    fn is_over(&self) -> bool {
        self.ended && self.came.is_empty() && !mutant!(EndedInputAwaited)
    }

    /// No row below this number is still to be taken.
    fn at(&self) -> u64 {
        self.came.front().map_or(self.passed, |held| held.at.seq)
    }
}

/// An id that is known.
pub(super) struct Known<T> {
    pub(super) group: Group<T>,
    /// Its place in the order in which ids came.
    pub(super) nth: u64,
}

/// The stage of a join by id.
pub(super) struct AnyOrder<T> {
    pub(super) giving: Giving<T>,
    pub(super) groups: BTreeMap<u64, Known<T>>,
    pub(super) inputs: Vec<Input<T>>,
    /// Ids that are held by the order in which they came: open ones, and whole ones that an input
    /// has not given yet.
    pub(super) held: BTreeMap<u64, u64>,
    /// Ids that were given up, remembered so that a late row does not open them again.
    pub(super) gone: BTreeMap<u64, u64>,
    /// Ids that came.
    pub(super) ids: u64,
    full_since: Option<Moment>,
    /// Numbers that an input may be ahead of another one, where all are branches of one flow.
    in_step: Option<u64>,
    patience: Option<Duration>,
}

impl<T: Send + 'static> AnyOrder<T> {
    pub(super) fn new(giving: Giving<T>, inputs: usize, standing: Standing) -> Self {
        let stall = standing.entangled.then_some(STALL);
        Self {
            patience: giving.join.hold.patience.or(stall),
            giving,
            groups: BTreeMap::new(),
            inputs: (0..inputs).map(|_| Input::default()).collect(),
            held: BTreeMap::new(),
            gone: BTreeMap::new(),
            ids: 0,
            full_since: None,
            in_step: standing.in_step,
        }
    }

    /// Whether one more id pushes the oldest one out.
    fn full(&self) -> bool {
        self.giving.join.hold.is_full(self.held.len(), self.giving.bytes)
    }

    /// Whether inputs that are ahead wait.
    fn half_full(&self) -> bool {
        let twice = (self.held.len().saturating_mul(2), self.giving.bytes.saturating_mul(2));
        self.giving.join.hold.is_full(twice.0, twice.1)
    }

    /// Whether a row of this input may be looked at.
    fn takes(&self, port: usize) -> bool {
        if let Some(ahead) = self.in_step {
            let own = self.inputs.get(port).map_or(0, Input::at);
            return self.lowest().is_none_or(|at| own <= at.saturating_add(ahead));
        }
        if !self.half_full() {
            return true;
        }
        let oldest = self.held.first_key_value().and_then(|(_, id)| self.groups.get(id));
        let Some(oldest) = oldest else { return true };
        let all = self.inputs.iter().zip(&oldest.group.gave).enumerate();
        let mut missing = all.filter(|(_, (i, gave))| !**gave && !i.is_over()).peekable();
        missing.peek().is_none() || missing.any(|(p, _)| p == port)
    }

    /// How far the input has come that is behind all others.
    fn lowest(&self) -> Option<u64> {
        self.inputs.iter().filter(|i| !i.is_over()).map(Input::at).min()
    }

    /// Whether somebody waits for somebody.
    fn waits(&self) -> bool {
        match self.in_step {
            Some(_) => self.inputs.iter().any(|i| !i.came.is_empty()),
            None => self.half_full(),
        }
    }

    /// Looks at the rows that came, as far as they may be taken.
    fn take_in(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let ready = |s: &Self, p: &usize| !s.inputs[*p].came.is_empty() && s.takes(*p);
        while let Some(port) = (0..self.inputs.len()).find(|p| ready(self, p)) {
            while self.takes(port)
                && let Some(held) = self.inputs[port].came.pop_front()
            {
                self.inputs[port].passed =
                    self.inputs[port].passed.max(held.at.seq.saturating_add(1));
                let bytes = held.at.bytes;
                let By::Id(id) = &mut self.giving.join.by else { return Ok(()) };
                match guarded(held, self.giving.on, cx, |row, _| id(row))? {
                    Some((held, id)) => self.add(port, id, held, cx)?,
                    None => self.giving.release(bytes),
                }
            }
            if self.inputs[port].is_over() {
                self.sweep();
            }
        }
        Ok(())
    }

    /// A row of an id: it joins what is there, or comes when its id is over.
    fn add(
        &mut self,
        port: usize,
        id: u64,
        held: Held<T>,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        self.full_since = None;
        let new = !self.groups.contains_key(&id);
        if new {
            while self.full() && self.push_out() {}
            self.held.insert(self.ids, id);
        }
        let (inputs, nth) = (self.inputs.len(), self.ids);
        let known = self
            .groups
            .entry(id)
            .or_insert_with(|| Known { group: Group::new(inputs, Some(cx.now())), nth });
        self.ids += u64::from(new);
        let again = std::mem::replace(&mut known.group.gave[port], true);
        if again || known.group.parts.is_none() {
            self.giving.supersede(held, cx)?;
        } else {
            self.giving.enter(&mut known.group, port, held, new);
            if self.giving.is_content(&mut known.group, port, cx)? {
                self.giving.close(id, &mut known.group, true, true);
            }
        }
        self.leave_if_over(id);
        Ok(())
    }

    /// An id that no input can still give leaves.
    fn leave_if_over(&mut self, id: u64) {
        let Some(known) = self.groups.get_mut(&id) else { return };
        let mut all = self.inputs.iter().zip(&known.group.gave);
        if all.all(|(i, gave)| *gave || i.is_over()) {
            let given = self.giving.gives_parts();
            self.giving.close(id, &mut known.group, false, given);
            self.held.remove(&known.nth);
            self.gone.remove(&known.nth);
            self.groups.remove(&id);
            self.giving.forget();
        }
    }

    /// An input is over: every id that only it could have given leaves.
    fn sweep(&mut self) {
        let ids: Vec<u64> = self.held.values().chain(self.gone.values()).copied().collect();
        ids.into_iter().for_each(|id| self.leave_if_over(id));
    }

    /// The oldest id makes room; `false` = there is none.
    fn push_out(&mut self) -> bool {
        let Some((_, id)) = self.held.first_key_value() else { return false };
        self.give_up(*id, self.giving.gives_parts());
        true
    }

    /// An id is given up, and remembered for as long as there is room for that.
    fn give_up(&mut self, id: u64, given: bool) {
        let Some(known) = self.groups.get_mut(&id) else { return };
        self.giving.close(id, &mut known.group, false, given);
        if self.held.remove(&known.nth).is_some() {
            self.gone.insert(known.nth, id);
        }
        let full =
            |s: &Self| s.giving.join.hold.is_full(s.gone.len().saturating_sub(1), s.giving.bytes);
        while full(self)
            && let Some((_, old)) = self.gone.pop_first()
        {
            self.groups.remove(&old);
            self.giving.forget();
        }
    }

    /// Patience is over: branches that do not keep step are taken as they come from now on, and the
    /// older half of the ids is given up.
    fn make_room(&mut self) {
        if self.in_step.take().is_some() && !self.half_full() {
            return;
        }
        let old: Vec<u64> = self.held.values().take(self.held.len().div_ceil(2)).copied().collect();
        old.into_iter().for_each(|id| self.give_up(id, self.giving.gives_parts()));
    }

    fn pump(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.take_in(cx)?;
        if !self.giving.give(outs, cx)? {
            return Ok(Step::Yield);
        }
        self.wait(cx);
        Ok(Step::Done)
    }

    /// Asks for the next deadline: of the oldest id, and of patience.
    fn wait(&mut self, cx: &mut StageCx<'_>) {
        cx.cancel_wake();
        if let JoinStrategy::Timeout(d) = self.giving.join.strategy
            && let Some(oldest) =
                self.held.first_key_value().and_then(|(_, id)| self.groups.get(id))
        {
            cx.wake_at(oldest.group.since.unwrap_or(cx.now()).plus(d));
        }
        self.full_since = self.waits().then(|| self.full_since.unwrap_or(cx.now()));
        if let Some((since, patience)) = self.full_since.zip(self.patience) {
            cx.wake_at(since.plus(patience));
        }
    }

    fn time_out(&mut self, now: Moment) {
        let JoinStrategy::Timeout(d) = self.giving.join.strategy else { return };
        self.groups.values_mut().for_each(|k| _ = k.group.since.get_or_insert(now));
        let due = |id: &&u64| {
            let since = self.groups.get(id).and_then(|k| k.group.since);
            since.is_none_or(|since| since.plus(d) <= now)
        };
        let late: Vec<u64> = self.held.values().take_while(due).copied().collect();
        late.into_iter().for_each(|id| self.give_up(id, true));
    }
}

impl<T: Send + 'static> Node for AnyOrder<T> {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.inputs[port].came.extend(self.giving.take(input, cx)?);
        self.pump(outs, cx)
    }

    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.time_out(cx.now());
        let over = self.full_since.zip(self.patience).map(|(since, p)| since.plus(p));
        if over.is_some_and(|at| at <= cx.now()) {
            self.full_since = None;
            self.make_room();
        }
        self.pump(outs, cx)
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.giving.watermark = self.giving.watermark.max(watermark);
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        port: usize,
        number: u64,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(i) = self.inputs.get_mut(port).filter(|i| number > i.passed) {
            i.passed = number;
            self.full_since = None;
        }
        self.pump(outs, cx)
    }

    fn accepts(&self, port: usize) -> bool {
        self.inputs.get(port).is_none_or(|i| i.came.is_empty()) && self.takes(port)
    }

    fn on_input_end(
        &mut self,
        port: usize,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(i) = self.inputs.get_mut(port) {
            i.ended = true;
        }
        self.sweep();
        self.pump(outs, cx)
    }

    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.inputs.iter_mut().for_each(|i| i.ended = true);
        self.sweep();
        self.pump(outs, cx)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.save(to)
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.load_saved(from)
    }
}
