//! Joins by place or sequence number: ids rise in every input.

use super::super::held::Held;
use super::super::strategy::{By, JoinStrategy};
use super::{Giving, Group, Standing};
use flux_io_core::{AnyBatch, Control, Moment, Node, Outbox, StageCx, StageError, Step, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// One input of the stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Input {
    pub(super) rows: u64,
    pub(super) last: Option<u64>,
    /// No row below this number is still to come.
    passed: u64,
    ended: bool,
    /// It had nothing for longer than the stage is patient: it is not waited for.
    quiet: bool,
}

impl Input {
    /// Whether no row of this id is still to come.
    fn is_past(&self, id: u64) -> bool {
        self.ended || self.quiet || self.last > Some(id) || self.passed > id
    }
}

/// The stage of a join whose ids rise.
pub(super) struct InOrder<T> {
    pub(super) giving: Giving<T>,
    pub(super) groups: BTreeMap<u64, Group<T>>,
    pub(super) inputs: Vec<Input>,
    /// Ids in the order in which they came, for their deadlines; those that are no longer open are
    /// passed by.
    pub(super) order: VecDeque<u64>,
    /// The greatest id that is over, with all below it.
    pub(super) over: Option<u64>,
    /// When the stage became full.
    full_since: Option<Moment>,
    /// The number that whoever is behind knows to be passed; none is told where it is not the
    /// rows' own.
    passed: Option<u64>,
}

impl<T: Send + 'static> InOrder<T> {
    pub(super) fn new(giving: Giving<T>, inputs: usize, standing: Standing) -> Self {
        let tells = standing.tells && matches!(giving.join.by, By::Seq);
        Self {
            giving,
            groups: BTreeMap::new(),
            inputs: vec![Input::default(); inputs],
            order: VecDeque::new(),
            over: None,
            full_since: None,
            passed: tells.then_some(0),
        }
    }

    fn full(&self) -> bool {
        self.giving.join.hold.is_full(self.groups.len(), self.giving.bytes)
    }

    fn load(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        self.inputs[port].quiet &= input.is_empty();
        let by_place = matches!(self.giving.join.by, By::Place);
        let rows: Vec<Held<T>> = self.giving.take(input, cx)?.collect();
        for held in rows {
            let nth = self.inputs[port].rows;
            self.inputs[port].rows += 1;
            let id = if by_place { nth } else { held.at.seq };
            self.add(port, id, held, cx)?;
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
        self.inputs[port].last = Some(id);
        self.settle();
        if Some(id) <= self.over {
            return self.giving.supersede(held, cx);
        }
        let inputs = self.inputs.len();
        let mut new = false;
        let group = self.groups.entry(id).or_insert_with(|| {
            new = true;
            Group::new(inputs, Some(cx.now()))
        });
        if new {
            self.order.push_back(id);
        }
        let again = std::mem::replace(&mut group.gave[port], true);
        if again || group.parts.is_none() {
            return self.giving.supersede(held, cx);
        }
        self.giving.enter(group, port, held, new);
        if self.giving.is_content(group, port, cx)? {
            self.giving.close(id, group, true, true);
        }
        // The others may have passed it by long ago.
        self.settle();
        Ok(())
    }

    /// An id that every input has given or passed by gets nothing more.
    fn settle(&mut self) {
        while let Some(mut first) = self.groups.first_entry() {
            let id = *first.key();
            let mut all = self.inputs.iter().zip(&first.get().gave);
            if !all.all(|(i, gave)| *gave || i.is_past(id)) {
                break;
            }
            let given = self.giving.gives_parts();
            self.giving.close(id, first.get_mut(), false, given);
            first.remove();
            self.giving.forget();
            self.over = Some(id);
        }
        if self.order.len() > 2 * self.groups.len() + self.inputs.len() {
            let Self { order, groups, .. } = self;
            order.retain(|id| groups.contains_key(id));
        }
    }

    /// Patience is over: whoever is waited for is not waited for until it gives something.
    fn make_room(&mut self) {
        if let Some(first) = self.groups.first_key_value() {
            for (i, gave) in self.inputs.iter_mut().zip(&first.1.gave) {
                i.quiet |= !gave;
            }
        }
        self.settle();
    }

    fn pump(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        if !self.giving.give(outs, cx)? {
            return Ok(Step::Yield);
        }
        if let Some(n) = self.passes()
            && let Some(out) = outs.first_mut()
        {
            out.control(Control::Passed(n));
        }
        self.wait(cx);
        Ok(Step::Done)
    }

    /// The number that is passed now, where that is news: no row below it is still to come out.
    fn passes(&mut self) -> Option<u64> {
        let told = self.passed?;
        let came = self.inputs.iter().filter(|i| !i.ended).map(|i| i.passed).min();
        let open = self.groups.first_key_value().map(|(id, _)| *id);
        let coming = came.into_iter().chain(open).min().unwrap_or(0);
        let passed = coming.max(self.over.map_or(0, |id| id.saturating_add(1)));
        (passed > told).then(|| {
            self.passed = Some(passed);
            passed
        })
    }

    /// Asks for the next deadline: of the first open id, and of patience.
    fn wait(&mut self, cx: &mut StageCx<'_>) {
        cx.cancel_wake();
        if let JoinStrategy::Timeout(d) = self.giving.join.strategy {
            let Self { groups, order, .. } = self;
            let open = |id: &u64| groups.get(id).is_some_and(|g| g.parts.is_some());
            while order.front().is_some_and(|id| !open(id)) {
                order.pop_front();
            }
            if let Some(group) = order.front().and_then(|id| groups.get(id)) {
                cx.wake_at(group.since.unwrap_or(cx.now()).plus(d));
            }
        }
        self.full_since = self.full().then(|| self.full_since.unwrap_or(cx.now()));
        if let Some((since, patience)) = self.full_since.zip(self.giving.join.hold.patience) {
            cx.wake_at(since.plus(patience));
        }
    }

    fn time_out(&mut self, now: Moment) {
        let JoinStrategy::Timeout(d) = self.giving.join.strategy else { return };
        self.groups.values_mut().for_each(|g| _ = g.since.get_or_insert(now));
        let due = |g: &Group<T>| g.since.is_none_or(|since| since.plus(d) <= now);
        let late = self.order.iter().take_while(|id| self.groups.get(id).is_none_or(due));
        let late: Vec<u64> = late.copied().collect();
        for id in late {
            if let Some(group) = self.groups.get_mut(&id) {
                self.giving.close(id, group, false, true);
            }
        }
        self.settle();
    }
}

impl<T: Send + 'static> Node for InOrder<T> {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.load(port, input, cx)?;
        self.pump(outs, cx)
    }

    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.time_out(cx.now());
        let patience = self.giving.join.hold.patience;
        let over = self.full_since.zip(patience).map(|(since, p)| since.plus(p));
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
        if matches!(self.giving.join.by, By::Seq)
            && let Some(i) = self.inputs.get_mut(port).filter(|i| number > i.passed)
        {
            i.passed = number;
            self.settle();
        }
        self.pump(outs, cx)
    }

    /// A full stage takes only what the first open id misses.
    fn accepts(&self, port: usize) -> bool {
        let Some((&id, first)) = self.groups.first_key_value().filter(|_| self.full()) else {
            return true;
        };
        let input = self.inputs.get(port).zip(first.gave.get(port));
        input.is_none_or(|(i, gave)| !gave && (i.quiet || !i.is_past(id)))
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
        self.settle();
        self.pump(outs, cx)
    }

    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.inputs.iter_mut().for_each(|i| i.ended = true);
        self.settle();
        self.pump(outs, cx)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.save(to)
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.load_saved(from)
    }
}
