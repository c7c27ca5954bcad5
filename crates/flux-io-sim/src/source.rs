//! Faults around a user's source.

use crate::fault::Fault;
use crate::world::World;
use flux_io_core::{
    Batch, CheckpointToken, Column, ConnectorDescriptor, ErrorRecord, Filled, Host, IoCx, Moment,
    Source, StageError, Timestamp, Uniform,
};
use std::fmt;
use std::sync::Arc;

/// Transient errors in a row, at most: fewer than the attempts of the default retry policy.
const MOST_IN_ROW: u32 = 2;

/// Copies the rows of a column.
type Copier<C> = fn(&C) -> C;

/// A source with drawn delays, errors, short fills and, on request, duplicates.
///
/// It keeps the laws of [`Source`]: a wait is absolute and survives a dropped future (I2), and rows
/// that the inner source gave are in `out` before anything else is awaited (I1).
pub struct SimSource<S: Source> {
    inner: S,
    name: String,
    world: Arc<World>,
    until: Option<Moment>,
    errors_in_row: u32,
    copier: Option<Copier<S::Col>>,
    last: Option<S::Col>,
    /// Rows that are given when the faults have ended.
    fresh: Option<S::Col>,
    /// The source inside has ended.
    inner_ended: bool,
    waits: bool,
    ended: bool,
}

impl<S: Source> fmt::Debug for SimSource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimSource({})", self.name)
    }
}

/// What a draw says about one call.
enum Call {
    Plain,
    Short(usize),
    Again,
    Fail(StageError),
}

impl<S: Source> SimSource<S> {
    pub(crate) fn new(world: Arc<World>, name: &str, inner: S) -> Self {
        Self {
            inner,
            name: name.to_owned(),
            world,
            until: None,
            errors_in_row: 0,
            copier: None,
            last: None,
            fresh: None,
            inner_ended: false,
            waits: false,
            ended: false,
        }
    }

    /// Holds `rows` back until the faults of the run have ended, and gives them then, behind the
    /// rows of the source: what a run must pass to show that it has recovered. The faults end, too,
    /// when nothing but such a source could go on. A run that is drained or aborted does not read
    /// them.
    #[must_use]
    pub fn fresh(mut self, rows: S::Col) -> Self {
        self.world.hold_fresh();
        self.fresh = Some(rows);
        self
    }

    /// What the source inside said, with the fresh rows still to come.
    fn said(&mut self, filled: Result<Filled, StageError>) -> Result<Filled, StageError> {
        self.inner_ended |= matches!(filled, Ok(Filled::End));
        if matches!(filled, Ok(Filled::End)) && self.fresh.is_some() {
            return Ok(Filled::More);
        }
        self.ended = self.inner_ended;
        filled
    }

    /// Lets [`Fault::Duplicate`] give the rows of the last fill once more, as a source that
    /// delivers at least once may.
    #[must_use]
    pub fn duplicating(mut self) -> Self
    where
        S::Col: Clone,
    {
        self.copier = Some(Clone::clone);
        self
    }

    /// The source inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn draw(&mut self, max: usize) -> Call {
        let w = &self.world;
        if w.strikes(Fault::FailFill) {
            w.took(Fault::FailFill, &self.name);
            return Call::Fail(StageError::permanent("injected read error"));
        }
        if self.errors_in_row < MOST_IN_ROW && w.strikes(Fault::TransientFill) {
            self.errors_in_row += 1;
            w.took(Fault::TransientFill, &self.name);
            return Call::Fail(StageError::transient("injected transient read error"));
        }
        self.errors_in_row = 0;
        if self.last.is_some() && w.strikes(Fault::Duplicate) {
            return Call::Again;
        }
        if max > 1 && w.strikes(Fault::ShortFill) {
            w.took(Fault::ShortFill, &self.name);
            // 0 rows are allowed too: `More` without rows, boundedly often.
            let few = w.choose(crate::Kind::Split, 3) as usize;
            return Call::Short(few.min(max - 1));
        }
        Call::Plain
    }

    /// Adds the rows of the last fill again, where a uniform time lets them share the metadata.
    fn again(&mut self, out: &mut Batch<S::Col>) {
        let (Some(copier), Some(last)) = (self.copier, self.last.take()) else { return };
        if out.is_empty() && matches!(out.meta.time, Uniform::All(_)) {
            out.col.append(&mut copier(&last));
            self.world.took(Fault::Duplicate, &self.name);
        }
    }

    fn remember(&mut self, out: &Batch<S::Col>, before: usize) {
        let plain = before == 0 && matches!(out.meta.time, Uniform::All(_));
        if let Some(copier) = self.copier.filter(|_| plain && !out.is_empty()) {
            self.last = Some(copier(&out.col));
        }
    }
}

/// Notices when the future of a fill is dropped before it has ended.
struct Dropped<'a> {
    world: &'a World,
    name: &'a str,
    waiting: bool,
}

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        if self.waiting {
            self.world.took(Fault::DroppedFill, self.name);
        }
    }
}

impl<S: Source> Source for SimSource<S> {
    type Col = S::Col;

    async fn fill(&mut self, out: &mut Batch<S::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        if self.ended {
            return Ok(Filled::End);
        }
        let world = Arc::clone(&self.world);
        if self.inner_ended {
            let mut first = !std::mem::replace(&mut self.waits, true);
            std::future::poll_fn(|cx| world.poll_healed(cx, &mut first)).await;
            if let Some(mut rows) = self.fresh.take() {
                out.col.append(&mut rows);
            }
            self.ended = true;
            return Ok(Filled::End);
        }
        if self.until.is_none() && world.strikes(Fault::SlowFill) {
            world.took(Fault::SlowFill, &self.name);
            self.until = Some(cx.now().plus(world.delay()));
        }
        if let Some(at) = self.until {
            let name = self.name.clone();
            let mut guard = Dropped { world: &world, name: &name, waiting: true };
            cx.sleep_until(at).await;
            guard.waiting = false;
            self.until = None;
        }
        let max = cx.max_rows();
        let few = match self.draw(max) {
            Call::Fail(e) => return Err(e),
            Call::Again => {
                self.again(out);
                return Ok(Filled::More);
            }
            Call::Short(0) => return Ok(Filled::More),
            Call::Short(n) => n,
            Call::Plain => max,
        };
        let before = out.len();
        let host: Arc<dyn Host> = Arc::<World>::clone(&world);
        let inner_cx = IoCx::new(host, few);
        let name = self.name.clone();
        let mut guard = Dropped { world: &world, name: &name, waiting: true };
        let filled = self.inner.fill(out, &inner_cx).await;
        guard.waiting = false;
        self.remember(out, before);
        self.said(filled)
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<S::Col>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        // Whatever may wait or fail goes the long way.
        let calm = [Fault::SlowFill, Fault::FailFill, Fault::TransientFill, Fault::ShortFill];
        let busy = self.until.is_some() || self.last.is_some();
        if self.inner_ended || busy || calm.iter().any(|f| self.world.rate(*f) > 0) {
            return None;
        }
        let before = out.len();
        let filled = self.inner.try_fill(out, max_rows)?;
        self.remember(out, before);
        Some(self.said(filled))
    }

    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        self.inner.take_faults()
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.inner.watermark()
    }

    fn position(&self) -> Option<CheckpointToken> {
        self.inner.position()
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        self.inner.seek(token)
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        self.inner.descriptor()
    }
}
