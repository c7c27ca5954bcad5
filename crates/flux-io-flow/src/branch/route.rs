//! `split` and `route`: every row goes to one of several outputs, or is unrouted and counted.

use super::broadcast::{behind, pass};
use crate::draft::Place;
use crate::drive::kept;
use crate::stages::Judging;
use flux_io_core::{
    AnyBatch, Batch, Column, DeadCause, ErrorClass, ErrorKind, ErrorRecord, Meta, Node, Original,
    Outbox, StageCx, StageError, Step, mutant,
};
use std::fmt;
use std::marker::PhantomData;

/// What becomes of rows that a route has no output for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unrouted {
    /// The run fails.
    #[default]
    Fail,
    /// They are dropped, and counted under "unrouted".
    Drop,
    /// They become dead letters of cause [`DeadCause::Invalid`] that hold the row: its bytes, or a
    /// column of one row.
    DeadLetter,
}

impl Unrouted {
    /// The word used in plans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "the run fails",
            Self::Drop => "dropped",
            Self::DeadLetter => "dead letter",
        }
    }
}

/// The stage of `split` and `route`.
pub(super) struct RouteRows<C, F> {
    f: F,
    ports: usize,
    unrouted: Unrouted,
    judging: Judging,
    /// Somebody downstream asks how far each flow has come.
    tell: bool,
    /// For each row its output; behind the outputs stand "unrouted" and "failed".
    to: Vec<u32>,
    parts: Vec<AnyBatch>,
    column: PhantomData<fn() -> C>,
}

impl<C, F> fmt::Debug for RouteRows<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteRows({} outputs)", self.ports)
    }
}

impl<C: Column, F> RouteRows<C, F> {
    pub(super) fn new(f: F, ports: usize, unrouted: Unrouted, place: &Place<'_>) -> Self {
        let (to, parts) = (Vec::new(), Vec::new());
        let judging = Judging::new(place.node.on_error);
        let tell = place.tell;
        Self { f, ports, unrouted, judging, tell, to, parts, column: PhantomData }
    }

    /// Gives each output its part. They all get what this batch brought them, so that no output
    /// holds rows back while another one waits for room.
    fn deal(&mut self, input: &mut AnyBatch, outs: &mut [Outbox]) -> Result<(), StageError> {
        while self.parts.len() < self.ports + 2 {
            self.parts.push(input.empty());
        }
        input.scatter(&self.to, &mut self.parts)?;
        for (part, out) in self.parts.iter_mut().zip(outs) {
            std::mem::swap(part, out.open());
            out.seal();
        }
        Ok(())
    }

    /// Rows without an output, which stand in a part of their own.
    fn leave(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let Some(rest) = self.parts.get_mut(self.ports) else { return Ok(()) };
        let rows = rest.len();
        match self.unrouted {
            _ if rows == 0 || mutant!(UnroutedNotCounted) => {}
            Unrouted::Drop => cx.dropped("unrouted", rows as u64),
            Unrouted::DeadLetter => bury(rest.get_mut::<C>()?, cx),
            Unrouted::Fail => {
                let (seq, source) = (rest.meta().seq.at(0), rest.meta().source);
                let what = format!(
                    "stage `{}` has no output for row {seq} of {source}; say `Unrouted::Drop` or \
                     `Unrouted::DeadLetter`, or take the rest with `route_or`",
                    cx.home().name
                );
                return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::User, what));
            }
        }
        self.parts.iter_mut().skip(self.ports).for_each(AnyBatch::clear);
        Ok(())
    }
}

/// Every row a dead letter of its own.
fn bury<C: Column>(rest: &mut Batch<C>, cx: &mut StageCx<'_>) {
    let meta = std::mem::take(&mut rest.meta);
    let to: Vec<u32> = (0..rest.len() as u32).collect();
    let bytes: Vec<Original> =
        (0..rest.len()).map(|i| kept(Original::None, &rest.col, i)).collect();
    let mut rows: Vec<C> = to.iter().map(|_| C::default()).collect();
    rest.col.scatter(&to, &mut rows.iter_mut().collect::<Vec<_>>());
    for (i, (row, bytes)) in rows.into_iter().zip(bytes).enumerate() {
        let original = if matches!(bytes, Original::None) { Original::value(row) } else { bytes };
        cx.dead(record(&meta, i, original, cx));
    }
}

fn record(meta: &Meta, row: usize, original: Original, cx: &StageCx<'_>) -> ErrorRecord {
    ErrorRecord {
        stage: cx.home().id,
        source: meta.source,
        seq: meta.seq.at(row),
        context: meta.context_at(row).cloned(),
        original,
        ..ErrorRecord::new(DeadCause::Invalid, "unrouted: no output takes this row")
    }
}

impl<C, F> Node for RouteRows<C, F>
where
    C: Column,
    F: for<'a> FnMut(C::Ref<'a>) -> Option<usize> + Send,
{
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let Self { f, judging, to, ports, .. } = self;
        let batch = input.get_mut::<C>()?;
        let (none, failed) = (*ports as u32, *ports as u32 + 1);
        // A row that waits for another attempt is met again: what was judged stays.
        to.resize(batch.len(), failed);
        let judge = &mut |row: C::Ref<'_>, i: usize| {
            let port = f(row).filter(|p| p < ports).map_or(none, |p| p as u32);
            if let Some(place) = to.get_mut(i) {
                *place = port;
            }
            Ok(true)
        };
        let judged = judging.all(&batch.col, &batch.meta, cx, judge);
        if let Ok(Some(at)) = judged {
            return Ok(Step::Wait(at));
        }
        judging.reset();
        judged?;
        let passed = behind(input.meta(), input.len()).filter(|_| self.tell);
        self.deal(input, outs)?;
        // An output without rows learns it, too: whoever joins the flows by number waits for it.
        pass(passed, outs);
        self.to.clear();
        self.leave(cx)?;
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        _port: usize,
        number: u64,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        pass(Some(number), outs);
        Ok(Step::Done)
    }
}
