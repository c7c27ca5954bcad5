//! Stages and helpers the engine laws share.

use crate::doubles::Shelf;
use flux_io_core::{
    Batch, Engine, Epoch, ExecutionPlan, Graph, Out, PlanFault, RunOptions, RunReport, Stage,
    StageCx, StageError, Step, Timestamp, hash_of,
};
use std::fmt;

/// An engine that runs every plan with this many workers.
#[derive(Debug)]
pub struct Workers<E>(pub E, pub u32);

impl<E: Engine> Engine for Workers<E> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn accepts(&self, graph: &Graph, options: &RunOptions) -> Result<(), PlanFault> {
        self.0.accepts(graph, options)
    }
    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        self.0.run_plan(plan, options.workers(self.1))
    }
}

/// What a stage saw, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// A row.
    Row(u64),
    /// A watermark between the rows.
    Mark(Timestamp),
    /// A policy version.
    Policy(Epoch),
    /// A snapshot was taken.
    Snapshot,
    /// The input ended.
    End,
}

impl Seen {
    /// The row, if it is one.
    #[must_use]
    pub const fn row(self) -> Option<u64> {
        match self {
            Self::Row(r) => Some(r),
            _ => None,
        }
    }
}

/// Passes everything on and keeps what it saw, rows and watermarks at their exact places, with the
/// number of its shard. Its snapshot is the number of rows seen.
#[derive(Debug)]
pub struct Tape {
    log: Shelf<(u32, Seen)>,
    rows: u64,
}

impl Tape {
    /// A tape, and where it can be read.
    #[must_use]
    pub fn new() -> (Self, Shelf<(u32, Seen)>) {
        let log = Shelf::default();
        (Self::onto(&log), log)
    }

    /// A tape that writes to `log`.
    #[must_use]
    pub fn onto(log: &Shelf<(u32, Seen)>) -> Self {
        Self { log: log.clone(), rows: 0 }
    }

    fn note(&self, cx: &StageCx<'_>, seen: Seen) {
        self.log.put((cx.home().shard, seen));
    }
}

impl Stage for Tape {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mut marks = input.meta.marks.iter().peekable();
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                self.note(cx, Seen::Mark(m.watermark));
            }
            self.note(cx, Seen::Row(*row));
            self.rows += 1;
        }
        for m in marks {
            self.note(cx, Seen::Mark(m.watermark));
        }
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        _out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.note(cx, Seen::Mark(w));
        Ok(Step::Done)
    }

    fn on_end(
        &mut self,
        _out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.note(cx, Seen::End);
        Ok(Step::Done)
    }

    fn on_policy(&mut self, epoch: Epoch, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.note(cx, Seen::Policy(epoch));
        Ok(())
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.log.put((u32::MAX, Seen::Snapshot));
        to.extend_from_slice(&self.rows.to_le_bytes());
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let bytes = from.try_into().map_err(|_| StageError::permanent("a tape keeps 8 bytes"))?;
        self.rows = u64::from_le_bytes(bytes);
        Ok(())
    }
}

/// Gives every row the hash of `key(row)` under the run's seed.
#[derive(Debug)]
pub struct KeyBy<F>(pub F);

impl<F: FnMut(u64) -> u64 + Send> Stage for KeyBy<F> {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let seed = cx.home().hash_seed;
        input.meta.hash.clear();
        input.meta.hash.extend(input.col.iter().map(|r| hash_of(&(self.0)(*r), seed)));
        out.swap(input);
        Ok(Step::Done)
    }
}

/// A stage of `u64` rows given as a closure over batches.
pub struct OnBatch<F>(pub F);

impl<F> fmt::Debug for OnBatch<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnBatch")
    }
}

impl<F> Stage for OnBatch<F>
where
    F: FnMut(
            &mut Batch<Vec<u64>>,
            &mut Out<'_, Vec<u64>>,
            &mut StageCx<'_>,
        ) -> Result<Step, StageError>
        + Send,
{
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        (self.0)(input, out, cx)
    }
}

/// A stage that turns each row into any number of rows, and yields when its output is full.
pub fn by_row(
    mut f: impl FnMut(u64, &mut Vec<u64>) + Send,
) -> impl Stage<In = Vec<u64>, Out = Vec<u64>> {
    OnBatch(move |input: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
        let mut used = 0;
        for row in &input.col {
            if out.is_full() {
                break;
            }
            used += 1;
            f(*row, &mut out.batch().col);
            out.seal_if_full();
        }
        let rest = input.col.len() - used;
        input.col.drain(..used);
        Ok(if rest == 0 { Step::Done } else { Step::Yield })
    })
}

/// The sizes of batches every law is checked with: one row, a small prime, the default.
pub(super) const BATCHES: [usize; 3] = [1, 7, 1024];

/// Options of every combination of batch size and chaining.
pub(super) fn every_way() -> impl Iterator<Item = RunOptions> {
    let one = |rows: usize, chain: bool| RunOptions::default().batch(rows).chain(chain);
    BATCHES.into_iter().flat_map(move |b| [one(b, true), one(b, false)])
}

/// A run that must have read all its input, with nothing out of balance.
pub(super) fn completed(report: &RunReport) {
    assert_eq!(report.ended, flux_io_core::Ended::Completed, "{:?}", report.failure);
    balanced(report);
}

/// A run's sums must add up.
pub(super) fn balanced(report: &RunReport) {
    assert_eq!(report.check(), Ok(()));
    for e in &report.edges {
        let s = e.stats;
        let there = s.taken + s.dropped + s.shed + s.undeliverable + s.waiting;
        assert_eq!(s.sent, there, "edge {} -> {}: {s:?}", e.from, e.to);
        assert!(s.high <= e.capacity, "edge {} -> {} over its bound: {s:?}", e.from, e.to);
    }
}

/// Collapses neighbouring watermarks to the last, and those a later row does not follow to one.
pub(super) fn canonical(seen: impl IntoIterator<Item = Seen>) -> Vec<Seen> {
    let mut out: Vec<Seen> = Vec::new();
    for s in seen {
        if let (Seen::Mark(_), Some(Seen::Mark(_))) = (s, out.last()) {
            out.pop();
        }
        out.push(s);
    }
    out
}

/// What each of `shards` saw.
pub(super) fn by_shard(log: &[(u32, Seen)], shards: u32) -> Vec<Vec<Seen>> {
    let one = |s| canonical(log.iter().filter(|(i, _)| *i == s).map(|(_, x)| *x));
    (0..shards).map(one).collect()
}

/// Even rows to port 0, odd rows to port 1.
#[derive(Debug)]
pub struct Split;

impl flux_io_core::Node for Split {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut flux_io_core::AnyBatch,
        outs: &mut [flux_io_core::Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let input = input.get_mut::<Vec<u64>>()?;
        let mut used = 0;
        for row in &input.col {
            if outs.iter().any(flux_io_core::Outbox::is_full) {
                break;
            }
            used += 1;
            let mut out = outs[(row % 2) as usize].typed::<Vec<u64>>()?;
            out.batch().col.push(*row);
            out.seal_if_full();
        }
        let rest = input.col.len() - used;
        input.col.drain(..used);
        Ok(if rest == 0 { Step::Done } else { Step::Yield })
    }
}

/// Pairs the rows of two ports as `a * 1000 + b`, and refuses a port that is ahead, until the other
/// one has ended; what has no partner is dropped.
#[derive(Debug, Default)]
pub struct Zip {
    waiting: [std::collections::VecDeque<u64>; 2],
    ended: bool,
}

impl flux_io_core::Node for Zip {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut flux_io_core::AnyBatch,
        outs: &mut [flux_io_core::Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.waiting[port].extend(input.get_mut::<Vec<u64>>()?.col.drain(..));
        let mut out = outs[0].typed::<Vec<u64>>()?;
        let [a, b] = &mut self.waiting;
        while !a.is_empty() && !b.is_empty() {
            if let (Some(a), Some(b)) = (a.pop_front(), b.pop_front()) {
                out.batch().col.push(a * 1_000 + b);
            }
        }
        Ok(Step::Done)
    }

    fn accepts(&self, port: usize) -> bool {
        self.ended || self.waiting[port].len() <= self.waiting[1 - port].len()
    }

    fn on_input_end(
        &mut self,
        _port: usize,
        _outs: &mut [flux_io_core::Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.ended = true;
        Ok(Step::Done)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        to.extend(self.waiting.iter().flatten().flat_map(|r| r.to_le_bytes()));
        Ok(())
    }
}

/// The same options with a handle of their own: a handle serves one run.
pub(super) fn fresh(options: &RunOptions) -> RunOptions {
    RunOptions { handle: flux_io_core::RunHandle::new(), ..options.clone() }
}
