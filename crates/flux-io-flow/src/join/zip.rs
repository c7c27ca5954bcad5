//! `zip`: the n-th row of one flow with the n-th row of another.

use super::held::{Charge, Held, Hold, Origin, Reader, Writer, put};
use super::leftover::{Leftover, lifted};
use flux_io_core::{AnyBatch, Node, Out, Outbox, StageCx, StageError, Step, Timestamp, mutant};
use std::collections::VecDeque;

/// One or both of two rows.
#[derive(Debug)]
pub(super) enum Pair<A, B> {
    Both(Held<A>, Held<B>),
    Left(Held<A>),
    Right(Held<B>),
}

/// What a zip gives.
pub(super) trait Give<A, B>: Send {
    /// A row of the output.
    type Row: Send + 'static;
    /// The row and its origin, unless it is left behind.
    fn give(
        &self,
        pair: Pair<A, B>,
        watermark: Timestamp,
        cx: &mut StageCx<'_>,
    ) -> Result<Option<(Self::Row, Origin)>, StageError>;
}

/// Gives whole pairs only.
pub(super) struct Whole(pub(super) Leftover);

/// Left alone, in the words of a report.
const UNPAIRED: &str = "unpaired";

impl<A: Send + 'static, B: Send + 'static> Give<A, B> for Whole {
    type Row = (A, B);
    fn give(
        &self,
        pair: Pair<A, B>,
        _watermark: Timestamp,
        cx: &mut StageCx<'_>,
    ) -> Result<Option<((A, B), Origin)>, StageError> {
        match pair {
            Pair::Both(a, b) => {
                let time = a.at.time.max(b.at.time);
                return Ok(Some(((a.row, b.row), Origin { time, ..a.at })));
            }
            Pair::Left(a) => self.0.leave(a, UNPAIRED, cx)?,
            Pair::Right(b) => self.0.leave(b, UNPAIRED, cx)?,
        }
        Ok(None)
    }
}

/// Gives what the longer side has over, too.
pub(super) struct Longest;

impl<A: Send + 'static, B: Send + 'static> Give<A, B> for Longest {
    type Row = (Option<A>, Option<B>);
    fn give(
        &self,
        pair: Pair<A, B>,
        watermark: Timestamp,
        _cx: &mut StageCx<'_>,
    ) -> Result<Option<(Self::Row, Origin)>, StageError> {
        let alone = |at: Origin| Origin { time: lifted(at.time, watermark), ..at };
        Ok(Some(match pair {
            Pair::Both(a, b) => {
                let time = a.at.time.max(b.at.time);
                ((Some(a.row), Some(b.row)), Origin { time, ..a.at })
            }
            Pair::Left(a) => ((Some(a.row), None), alone(a.at)),
            Pair::Right(b) => ((None, Some(b.row)), alone(b.at)),
        }))
    }
}

/// What is held of one side.
struct Side<T> {
    rows: VecDeque<Held<T>>,
    bytes: usize,
    hold: Hold<T>,
    ended: bool,
}

impl<T: Send + 'static> Side<T> {
    const fn new(hold: Hold<T>) -> Self {
        Self { rows: VecDeque::new(), bytes: 0, hold, ended: false }
    }

    fn push(&mut self, held: Held<T>) {
        self.bytes = self.bytes.saturating_add(held.at.bytes);
        self.rows.push_back(held);
    }

    fn pop(&mut self, charge: &mut Charge) -> Option<Held<T>> {
        let held = self.rows.pop_front()?;
        self.bytes = self.bytes.saturating_sub(held.at.bytes);
        charge.shrink(held.at.bytes);
        Some(held)
    }

    fn load(
        &mut self,
        input: &mut AnyBatch,
        charge: &mut Charge,
        cx: &StageCx<'_>,
    ) -> Result<(), StageError> {
        let Self { rows, bytes, hold, .. } = self;
        for held in hold.take(input.get_mut()?, 0, charge, cx)? {
            *bytes = bytes.saturating_add(held.at.bytes);
            rows.push_back(held);
        }
        Ok(())
    }

    fn accepts(&self) -> bool {
        !self.hold.is_full(self.rows.len(), self.bytes)
    }
}

/// The stage of `zip`. The watermark passes what is held: a pair has the later of its two times,
/// and the partner that is still to come comes behind the watermark.
pub(super) struct Zip<A, B, G> {
    left: Side<A>,
    right: Side<B>,
    watermark: Timestamp,
    give: G,
    exact: bool,
    charge: Charge,
}

impl<A, B, G> Zip<A, B, G>
where
    A: Send + 'static,
    B: Send + 'static,
    G: Give<A, B>,
{
    pub(super) fn new(left: Hold<A>, right: Hold<B>, give: G, exact: bool) -> Self {
        Self {
            left: Side::new(left),
            right: Side::new(right),
            watermark: Timestamp::MIN,
            give,
            exact,
            charge: Charge::default(),
        }
    }

    fn next(&mut self) -> Option<Pair<A, B>> {
        let Self { left, right, charge, .. } = self;
        let over = if mutant!(ZipEndsTheWrongSide) { left.ended } else { right.ended };
        match (left.rows.is_empty(), right.rows.is_empty()) {
            (false, false) => {
                left.pop(charge).zip(right.pop(charge)).map(|(a, b)| Pair::Both(a, b))
            }
            (false, true) if over => left.pop(charge).map(Pair::Left),
            (true, false) if left.ended => right.pop(charge).map(Pair::Right),
            _ => None,
        }
    }

    fn pump(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        let Some(port) = outs.first_mut() else { return Ok(Step::Done) };
        let mut out: Out<'_, Vec<G::Row>> = port.typed()?;
        while !out.is_full() {
            let Some(pair) = self.next() else { return Ok(Step::Done) };
            if let Some((row, at)) = self.give.give(pair, self.watermark, cx)? {
                put(&mut out, row, at, self.exact);
            }
        }
        Ok(Step::Yield)
    }
}

impl<A, B, G> Node for Zip<A, B, G>
where
    A: Send + 'static,
    B: Send + 'static,
    G: Give<A, B>,
{
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        match port {
            0 => self.left.load(input, &mut self.charge, cx)?,
            _ => self.right.load(input, &mut self.charge, cx)?,
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

    fn on_input_end(
        &mut self,
        port: usize,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        match port {
            0 => self.left.ended = true,
            _ => self.right.ended = true,
        }
        self.pump(outs, cx)
    }

    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        (self.left.ended, self.right.ended) = (true, true);
        self.pump(outs, cx)
    }

    fn accepts(&self, port: usize) -> bool {
        match port {
            0 => self.left.accepts(),
            _ => self.right.accepts(),
        }
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let mut w = Writer::new(to);
        w.time(self.watermark);
        w.number(self.left.rows.len() as u64);
        self.left.rows.iter().try_for_each(|h| w.row(&h.row, &h.at, &self.left.hold))?;
        w.number(self.right.rows.len() as u64);
        self.right.rows.iter().try_for_each(|h| w.row(&h.row, &h.at, &self.right.hold))
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader::new(from)?;
        self.watermark = r.time()?;
        for _ in 0..r.count()? {
            let held = r.row(&self.left.hold)?;
            self.left.push(held);
        }
        for _ in 0..r.count()? {
            let held = r.row(&self.right.hold)?;
            self.right.push(held);
        }
        if mutant!(ZipRestoresLeft) {
            self.right.rows.clear();
        }
        r.end()
    }
}
