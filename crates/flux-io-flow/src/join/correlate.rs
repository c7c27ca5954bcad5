//! `join`: one row of each of several flows, found by place, sequence number or id, as soon as a
//! strategy is content with what is there.

mod any_order;
mod in_order;
mod saved;

use super::guard::give_up;
use super::held::{Charge, Held, Origin, put};
use super::leftover::lifted;
use super::strategy::{By, Join, JoinStrategy, Joined};
use any_order::AnyOrder;
pub(crate) use any_order::STALL;
use flux_io_core::{AnyBatch, Moment, Node, OnError, Out, Outbox, StageCx, StageError, Timestamp};
use in_order::InOrder;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a join stands in its plan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub(super) on: OnError,
    /// Somebody downstream needs exact sequence numbers.
    pub(super) exact: bool,
    /// Somebody downstream asks what has been passed.
    pub(super) tells: bool,
    /// All inputs are branches of one flow and tell what they have passed, each at most so many
    /// numbers late.
    pub(super) in_step: Option<u64>,
    /// What one input waits for may be held up by another.
    pub(super) entangled: bool,
}

/// The stage of a join of `inputs` flows.
pub(super) fn correlate<'env, T: Send + 'static>(
    inputs: usize,
    join: Join<T>,
    standing: Standing,
) -> Box<dyn Node + 'env> {
    let giving = Giving::new(join, inputs, standing);
    match giving.join.by {
        By::Place | By::Seq => Box::new(InOrder::new(giving, inputs, standing)),
        By::Id(_) => Box::new(AnyOrder::new(giving, inputs, standing)),
    }
}

/// Rows of one id, and where each came from.
struct Parts<T> {
    rows: Vec<Option<T>>,
    at: Vec<Option<Origin>>,
}

impl<T> Parts<T> {
    fn none(inputs: usize) -> Self {
        let (rows, at) = ((0..inputs).map(|_| None).collect(), vec![None; inputs]);
        Self { rows, at }
    }

    fn put(&mut self, port: usize, held: Held<T>) {
        self.rows[port] = Some(held.row);
        self.at[port] = Some(held.at);
    }

    fn there(&self) -> usize {
        self.rows.iter().flatten().count()
    }

    fn bytes(&self) -> usize {
        self.at.iter().flatten().map(|at| at.bytes).fold(0, usize::saturating_add)
    }
}

/// An id that rows have come for. Without parts it is over.
struct Group<T> {
    parts: Option<Parts<T>>,
    gave: Vec<bool>,
    /// When it came; of a restored one nobody knows yet.
    since: Option<Moment>,
}

impl<T> Group<T> {
    fn new(inputs: usize, since: Option<Moment>) -> Self {
        Self { parts: Some(Parts::none(inputs)), gave: vec![false; inputs], since }
    }

    /// Bytes of a group of so many inputs besides the rows it holds.
    const fn bytes(inputs: usize) -> usize {
        // Twice an id and a place in an order, in trees that are two thirds full.
        let found = size_of::<Self>() + 64;
        found + inputs * (1 + size_of::<Option<T>>() + size_of::<Option<Origin>>())
    }
}

/// An id that goes out, with what was there.
struct Due<T> {
    id: u64,
    parts: Parts<T>,
    complete: bool,
    /// It is a row of the output, whole or not.
    given: bool,
}

/// What goes out, and when it may: common to ids that rise and ids in any order.
struct Giving<T> {
    join: Join<T>,
    due: VecDeque<Due<T>>,
    watermark: Timestamp,
    on: OnError,
    exact: bool,
    charge: Charge,
    /// Bytes that every id costs besides its rows.
    each: usize,
    /// Bytes of ids that are known, and of the rows that they hold.
    bytes: usize,
}

impl<T: Send + 'static> Giving<T> {
    fn new(join: Join<T>, inputs: usize, standing: Standing) -> Self {
        Self {
            join,
            due: VecDeque::new(),
            watermark: Timestamp::MIN,
            on: standing.on,
            exact: standing.exact,
            charge: Charge::default(),
            each: Group::<T>::bytes(inputs),
            bytes: 0,
        }
    }

    /// Whether what is given up goes out with what is there.
    const fn gives_parts(&self) -> bool {
        self.join.partial || matches!(self.join.strategy, JoinStrategy::Timeout(_))
    }

    /// Takes the rows of a batch, charged as if each were of an id of its own.
    fn take<'a>(
        &mut self,
        input: &'a mut AnyBatch,
        cx: &StageCx<'_>,
    ) -> Result<impl Iterator<Item = Held<T>> + use<'a, T>, StageError> {
        self.join.hold.take(input.get_mut()?, self.each, &mut self.charge, cx)
    }

    /// A row that was taken is not held: it cost `bytes`.
    fn release(&mut self, bytes: usize) {
        self.charge.shrink(bytes.saturating_add(self.each));
    }

    /// A row enters the group of its id, which is a new one or was there.
    fn enter(&mut self, group: &mut Group<T>, port: usize, held: Held<T>, new: bool) {
        self.bytes = self.bytes.saturating_add(held.at.bytes);
        match new {
            true => self.bytes = self.bytes.saturating_add(self.each),
            false => self.charge.shrink(self.each),
        }
        if let Some(parts) = &mut group.parts {
            parts.put(port, held);
        }
    }

    /// An id is no longer known.
    fn forget(&mut self) {
        self.bytes = self.bytes.saturating_sub(self.each);
        self.charge.shrink(self.each);
    }

    fn supersede(&mut self, held: Held<T>, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.release(held.at.bytes);
        self.join.rest.leave(held, "superseded", cx)
    }

    /// Asks the strategy about an id that has a new row, of `port`.
    fn is_content(
        &mut self,
        group: &mut Group<T>,
        port: usize,
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        let Some(parts) = &mut group.parts else { return Ok(false) };
        Ok(match &mut self.join.strategy {
            JoinStrategy::FirstWins => true,
            JoinStrategy::Quorum(k) => parts.there() >= (*k).max(1),
            JoinStrategy::AllComplete | JoinStrategy::Timeout(_) => {
                parts.there() == parts.rows.len()
            }
            JoinStrategy::Custom(f) => {
                match catch_unwind(AssertUnwindSafe(|| f(&parts.rows))) {
                    Ok(content) => content,
                    Err(panic) => {
                        // It panicked on what this row made of the parts: the row is the one to go.
                        if let Some((row, at)) = parts.rows[port].take().zip(parts.at[port].take())
                        {
                            self.bytes = self.bytes.saturating_sub(at.bytes);
                            self.charge.shrink(at.bytes);
                            give_up(Held { row, at }, panic.as_ref(), self.on, cx)?;
                        }
                        false
                    }
                }
            }
        })
    }

    /// The rows of an id go out as a whole, or are given up.
    fn close(&mut self, id: u64, group: &mut Group<T>, complete: bool, given: bool) {
        if let Some(parts) = group.parts.take() {
            self.bytes = self.bytes.saturating_sub(parts.bytes());
            self.due.push_back(Due { id, parts, complete, given });
        }
    }

    /// Gives what is due; `false` = the output is full.
    fn give(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<bool, StageError> {
        let Some(port) = outs.first_mut() else { return Ok(true) };
        let mut out: Out<'_, Vec<Joined<T>>> = port.typed()?;
        while !self.due.is_empty() {
            if out.is_full() {
                return Ok(false);
            }
            let Some(Due { id, parts, complete, given }) = self.due.pop_front() else { break };
            self.charge.shrink(parts.bytes());
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
        Ok(true)
    }
}
