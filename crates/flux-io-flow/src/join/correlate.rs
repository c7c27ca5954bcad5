//! `join`: one row of each of several flows, found by place, sequence number or id, as soon as a
//! strategy is content with what is there.

mod saved;

use super::guard::{give_up, guarded};
use super::held::{Charge, Held, Origin, put, take};
use super::leftover::lifted;
use super::strategy::{By, Join, JoinStrategy, Joined};
use flux_io_core::{
    AnyBatch, Moment, Node, OnError, Out, Outbox, StageCx, StageError, Step, Timestamp,
};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows of one id, and where each came from.
struct Parts<T> {
    rows: Vec<Option<T>>,
    at: Vec<Option<Origin>>,
}

/// An id that rows have come for. Without parts it is over.
struct Group<T> {
    parts: Option<Parts<T>>,
    gave: Vec<bool>,
    /// When it came; of a restored one nobody knows yet.
    since: Option<Moment>,
}

/// An id that goes out, with what was there.
struct Due<T> {
    id: u64,
    parts: Parts<T>,
    complete: bool,
    /// It is a row of the output, whole or not.
    given: bool,
}

/// One input of the stage.
#[derive(Clone, Copy, Debug, Default)]
struct Input {
    rows: u64,
    last: Option<u64>,
    ended: bool,
    /// It had nothing for longer than the stage is patient: it is not waited for.
    quiet: bool,
}

/// The stage of `join`.
pub(super) struct Correlate<T> {
    join: Join<T>,
    groups: BTreeMap<u64, Group<T>>,
    due: VecDeque<Due<T>>,
    inputs: Vec<Input>,
    /// Ids in the order in which they came, for their deadlines and as the order of ids that do
    /// not rise; those that are no longer known are passed by.
    order: VecDeque<u64>,
    /// Where ids do not rise: those that are over and remembered, the oldest in front.
    over: VecDeque<u64>,
    /// Ids below are over, where ids rise.
    floor: u64,
    /// When the stage became full.
    full_since: Option<Moment>,
    watermark: Timestamp,
    on: OnError,
    exact: bool,
    charge: Charge,
}

impl<T: Send + 'static> Correlate<T> {
    pub(super) fn new(inputs: usize, join: Join<T>, on: OnError, exact: bool) -> Self {
        Self {
            join,
            groups: BTreeMap::new(),
            due: VecDeque::new(),
            inputs: vec![Input::default(); inputs],
            order: VecDeque::new(),
            over: VecDeque::new(),
            floor: 0,
            full_since: None,
            watermark: Timestamp::MIN,
            on,
            exact,
            charge: Charge::default(),
        }
    }

    const fn rises(&self) -> bool {
        !matches!(self.join.by, By::Id(_))
    }

    /// Whether what is given up goes out with what is there.
    const fn gives_parts(&self) -> bool {
        self.join.partial || matches!(self.join.strategy, JoinStrategy::Timeout(_))
    }

    fn full(&self) -> bool {
        self.groups.len() >= self.join.hold.rows
    }

    /// The id that is in the way of others: the lowest, or the first that came.
    fn first(&self) -> Option<u64> {
        if self.rises() {
            return self.groups.first_key_value().map(|(id, _)| *id);
        }
        self.order.iter().find(|id| !is_over(&self.groups, **id)).copied()
    }

    fn load(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        self.charge.grow::<T>(input.len(), cx)?;
        self.inputs[port].quiet &= input.is_empty();
        for held in take(input.get_mut::<Vec<T>>()?) {
            let nth = self.inputs[port].rows;
            self.inputs[port].rows += 1;
            let found = match &mut self.join.by {
                By::Place => Some((held, nth)),
                By::Seq => {
                    let seq = held.at.seq;
                    Some((held, seq))
                }
                By::Id(f) => guarded(held, self.on, cx, |row, _| f(row))?,
            };
            match found {
                Some((held, id)) => self.add(port, id, held, cx)?,
                None => self.charge.shrink::<T>(1),
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
        self.inputs[port].last = Some(id);
        if self.rises() {
            self.settle();
        }
        if id < self.floor {
            return self.supersede(held, cx);
        }
        let n = self.inputs.len();
        let order = &mut self.order;
        let group = self.groups.entry(id).or_insert_with(|| {
            order.push_back(id);
            let parts = Parts { rows: none(n), at: none(n) };
            Group { parts: Some(parts), gave: vec![false; n], since: Some(cx.now()) }
        });
        let again = std::mem::replace(&mut group.gave[port], true);
        match &mut group.parts {
            Some(parts) if !again => {
                parts.rows[port] = Some(held.row);
                parts.at[port] = Some(held.at);
            }
            _ => {
                self.supersede(held, cx)?;
                self.forget(id);
                return Ok(());
            }
        }
        self.ask(port, id, cx)?;
        if self.rises() {
            // The others may have passed it by long ago.
            self.settle();
        }
        Ok(())
    }

    fn supersede(&mut self, held: Held<T>, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.charge.shrink::<T>(1);
        self.join.rest.leave(held, "superseded", cx)
    }

    /// Asks the strategy about an id that has a new row, of `port`.
    fn ask(&mut self, port: usize, id: u64, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let Some(parts) = &mut group.parts else { return Ok(()) };
        let there = parts.rows.iter().flatten().count();
        let content = match &mut self.join.strategy {
            JoinStrategy::FirstWins => true,
            JoinStrategy::Quorum(k) => there >= (*k).max(1),
            JoinStrategy::AllComplete | JoinStrategy::Timeout(_) => there == parts.rows.len(),
            JoinStrategy::Custom(f) => {
                match catch_unwind(AssertUnwindSafe(|| f(&parts.rows))) {
                    Ok(content) => content,
                    Err(panic) => {
                        // It panicked on what this row made of the parts: the row is the one to go.
                        self.charge.shrink::<T>(1);
                        if let Some((row, at)) = parts.rows[port].take().zip(parts.at[port].take())
                        {
                            give_up(Held { row, at }, panic.as_ref(), self.on, cx)?;
                        }
                        false
                    }
                }
            }
        };
        if content {
            self.close(id, true, true);
        }
        Ok(())
    }

    /// An id is over: what is there goes out, if it is `given`.
    fn close(&mut self, id: u64, complete: bool, given: bool) {
        if let Some(parts) = self.groups.get_mut(&id).and_then(|g| g.parts.take()) {
            self.due.push_back(Due { id, parts, complete, given });
            if !self.rises() {
                self.over.push_back(id);
            }
        }
        if self.rises() {
            self.settle();
        } else {
            self.forget(id);
        }
        if self.order.len() > 2 * self.groups.len() + self.inputs.len() {
            let Self { order, groups, .. } = self;
            order.retain(|id| groups.contains_key(id));
        }
    }

    /// Where ids rise: an id that every input has given or passed by gets nothing more.
    fn settle(&mut self) {
        while let Some(first) = self.groups.first_entry() {
            let id = *first.key();
            let over =
                |(i, gave): (&Input, &bool)| *gave || i.ended || i.quiet || i.last > Some(id);
            if !self.inputs.iter().zip(&first.get().gave).all(over) {
                break;
            }
            if let Some(parts) = first.remove().parts {
                let given = self.gives_parts();
                self.due.push_back(Due { id, parts, complete: false, given });
            }
            self.floor = id.saturating_add(1);
        }
    }

    /// Where ids do not rise: an id that is over is remembered until every input has given it, and
    /// no longer than half as many others as may be open; a late row does not open it again.
    fn forget(&mut self, id: u64) {
        let Self { groups, inputs, over, join, .. } = self;
        let all = |g: &Group<T>| inputs.iter().zip(&g.gave).all(|(i, gave)| *gave || i.ended);
        if groups.get(&id).is_some_and(|g| g.parts.is_none() && all(g)) {
            groups.remove(&id);
        }
        while over.len() > join.hold.rows / 2 {
            if let Some(old) = over.pop_front().filter(|old| is_over(groups, *old)) {
                groups.remove(&old);
            }
        }
    }

    /// Patience is over: whoever is waited for is not waited for until it gives something; where
    /// ids do not rise, the older half of the open ids is given up.
    fn make_room(&mut self) {
        let Some(group) = self.first().and_then(|id| self.groups.get(&id)) else { return };
        if self.rises() {
            for (i, gave) in self.inputs.iter_mut().zip(&group.gave) {
                i.quiet |= !gave;
            }
            self.settle();
            return;
        }
        let open: Vec<u64> =
            self.order.iter().filter(|id| !is_over(&self.groups, **id)).copied().collect();
        for id in open.iter().take(open.len().div_ceil(2)) {
            self.close(*id, false, self.gives_parts());
        }
    }

    fn pump(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        let Some(port) = outs.first_mut() else { return Ok(Step::Done) };
        let mut out: Out<'_, Vec<Joined<T>>> = port.typed()?;
        while !self.due.is_empty() {
            if out.is_full() {
                return Ok(Step::Yield);
            }
            let Some(Due { id, parts, complete, given }) = self.due.pop_front() else { break };
            let there = parts.rows.iter().flatten().count();
            self.charge.shrink::<T>(there);
            if !given {
                for (row, at) in parts.rows.into_iter().zip(parts.at) {
                    if let Some((row, at)) = row.zip(at) {
                        self.join.rest.leave(Held { row, at }, "incomplete", cx)?;
                    }
                }
                continue;
            }
            let latest = parts.at.iter().flatten().map(|at| at.time).max();
            let Some(first) = parts.at.into_iter().flatten().next() else { continue };
            let mut time = latest.unwrap_or(first.time);
            if !complete {
                time = lifted(time, self.watermark);
            }
            let row = Joined { id, parts: parts.rows, complete };
            put(&mut out, row, Origin { time, ..first }, self.exact);
        }
        self.wait(cx);
        Ok(Step::Done)
    }

    /// Asks for the next deadline: of the first open id, and of patience.
    fn wait(&mut self, cx: &mut StageCx<'_>) {
        cx.cancel_wake();
        if let JoinStrategy::Timeout(d) = self.join.strategy {
            let Self { groups, order, .. } = self;
            while order.front().is_some_and(|id| is_over(groups, *id)) {
                order.pop_front();
            }
            if let Some(group) = order.front().and_then(|id| groups.get(id)) {
                cx.wake_at(group.since.unwrap_or(cx.now()).plus(d));
            }
        }
        self.full_since = self.full().then(|| self.full_since.unwrap_or(cx.now()));
        if let Some((since, patience)) = self.full_since.zip(self.join.hold.patience) {
            cx.wake_at(since.plus(patience));
        }
    }

    fn give_up_all(&mut self) {
        self.inputs.iter_mut().for_each(|i| i.ended = true);
        let ids: Vec<u64> = if self.rises() {
            self.groups.keys().copied().collect()
        } else {
            self.order.iter().copied().collect()
        };
        for id in ids {
            if let Some(parts) = self.groups.remove(&id).and_then(|g| g.parts) {
                let given = self.gives_parts();
                self.due.push_back(Due { id, parts, complete: false, given });
            }
        }
        self.order.clear();
    }
}

/// `n` places without anything.
fn none<X>(n: usize) -> Vec<Option<X>> {
    (0..n).map(|_| None).collect()
}

fn is_over<T>(groups: &BTreeMap<u64, Group<T>>, id: u64) -> bool {
    groups.get(&id).is_none_or(|g| g.parts.is_none())
}

impl<T: Send + 'static> Node for Correlate<T> {
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
        let now = cx.now();
        if let JoinStrategy::Timeout(d) = self.join.strategy {
            self.groups.values_mut().for_each(|g| _ = g.since.get_or_insert(now));
            let due = |g: &Group<T>| g.since.is_none_or(|since| since.plus(d) <= now);
            let late = self.order.iter().take_while(|id| self.groups.get(id).is_none_or(due));
            let late: Vec<u64> = late.copied().collect();
            late.into_iter().for_each(|id| self.close(id, false, true));
        }
        let over = self.full_since.zip(self.join.hold.patience).map(|(since, p)| since.plus(p));
        if over.is_some_and(|at| at <= now) {
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
        self.watermark = self.watermark.max(watermark);
        Ok(Step::Done)
    }

    /// A full stage takes only what the id in the way misses.
    fn accepts(&self, port: usize) -> bool {
        if !self.full() {
            return true;
        }
        let first = self.first().and_then(|id| self.groups.get(&id));
        first.is_none_or(|g| g.gave.get(port).is_none_or(|gave| !gave))
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
        if self.rises() {
            self.settle();
        }
        self.pump(outs, cx)
    }

    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.give_up_all();
        self.pump(outs, cx)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.save(to)
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.load_saved(from)
    }
}
