//! `zip`: the n-th row of one flow with the n-th row of another.

use super::held::{Charge, Held, Hold, Origin, Reader, Writer, put, take};
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

/// The stage of `zip`. The watermark passes what is held: a pair has the later of its two times,
/// and the partner that is still to come comes behind the watermark.
pub(super) struct Zip<A, B, G> {
    left: (VecDeque<Held<A>>, Hold<A>),
    right: (VecDeque<Held<B>>, Hold<B>),
    ended: [bool; 2],
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
            left: (VecDeque::new(), left),
            right: (VecDeque::new(), right),
            ended: [false; 2],
            watermark: Timestamp::MIN,
            give,
            exact,
            charge: Charge::default(),
        }
    }

    fn next(&mut self) -> Option<Pair<A, B>> {
        let (left, right) = (&mut self.left.0, &mut self.right.0);
        match (left.is_empty(), right.is_empty()) {
            (false, false) => {
                let (a, b) = (left.pop_front()?, right.pop_front()?);
                self.charge.shrink::<A>(1);
                self.charge.shrink::<B>(1);
                Some(Pair::Both(a, b))
            }
            (false, true) if self.ended[usize::from(!mutant!(ZipEndsTheWrongSide))] => {
                self.charge.shrink::<A>(1);
                left.pop_front().map(Pair::Left)
            }
            (true, false) if self.ended[0] => {
                self.charge.shrink::<B>(1);
                right.pop_front().map(Pair::Right)
            }
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
        if port == 0 {
            self.charge.grow::<A>(input.len(), cx)?;
            self.left.0.extend(take(input.get_mut::<Vec<A>>()?));
        } else {
            self.charge.grow::<B>(input.len(), cx)?;
            self.right.0.extend(take(input.get_mut::<Vec<B>>()?));
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
        if let Some(ended) = self.ended.get_mut(port) {
            *ended = true;
        }
        self.pump(outs, cx)
    }

    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.ended = [true; 2];
        self.pump(outs, cx)
    }

    fn accepts(&self, port: usize) -> bool {
        match port {
            0 => self.left.0.len() < self.left.1.rows,
            _ => self.right.0.len() < self.right.1.rows,
        }
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let mut w = Writer::new(to);
        w.time(self.watermark);
        w.number(self.left.0.len() as u64);
        self.left.0.iter().try_for_each(|h| w.row(&h.row, &h.at, &self.left.1))?;
        w.number(self.right.0.len() as u64);
        self.right.0.iter().try_for_each(|h| w.row(&h.row, &h.at, &self.right.1))
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader::new(from)?;
        self.watermark = r.time()?;
        for _ in 0..r.count()? {
            self.left.0.push_back(r.row(&self.left.1)?);
        }
        for _ in 0..r.count()? {
            self.right.0.push_back(r.row(&self.right.1)?);
        }
        if mutant!(ZipRestoresLeft) {
            self.right.0.clear();
        }
        r.end()
    }
}
