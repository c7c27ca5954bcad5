//! Sources and sinks of random plans.

use super::closures::Later;
use flux_io::core::{Batch, Filled, IoCx, Moment, RunHandle, Sink, Source, StageError, Timestamp};
use flux_io::prelude::source;
use flux_io_testkit::dag::{Mood, Row, SourceOf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rows of one sink.
#[derive(Clone, Default)]
pub(crate) struct Taken(Arc<Mutex<Vec<Row>>>);

impl Taken {
    pub(crate) fn take(&self) -> Vec<Row> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A sink that now and then takes its time, and fails in a way that passes.
pub(crate) struct Moody {
    to: Taken,
    mood: Mood,
    writes: u32,
    until: Option<Moment>,
    failed: bool,
}

impl Moody {
    pub(crate) fn new(to: &Taken, mood: Mood) -> Self {
        Self { to: to.clone(), mood, writes: 0, until: None, failed: false }
    }

    fn accept(&self, batch: &mut Batch<Vec<Row>>, rows: usize) {
        let mut to = self.to.0.lock().unwrap_or_else(PoisonError::into_inner);
        to.extend(batch.col.drain(..rows));
    }
}

fn strikes(n: u32, every: u32) -> bool {
    every > 0 && n.is_multiple_of(every)
}

impl Sink for Moody {
    type Col = Vec<Row>;

    async fn write(&mut self, batch: &mut Batch<Vec<Row>>, cx: &IoCx) -> Result<(), StageError> {
        if self.until.is_none() && !self.failed {
            self.writes += 1;
            if strikes(self.writes, self.mood.sleeps) {
                let time = Duration::from_micros(u64::from(self.writes % 5) * 40);
                self.until = Some(cx.now().plus(time));
            }
        }
        if let Some(at) = self.until {
            cx.sleep_until(at).await;
            self.until = None;
        }
        if strikes(self.writes, self.mood.fails) && !self.failed {
            self.failed = true;
            if self.writes.is_multiple_of(2) {
                self.accept(batch, batch.col.len() / 2);
            }
            return Err(StageError::transient("the sink is in a mood"));
        }
        self.failed = false;
        self.accept(batch, batch.col.len());
        batch.clear();
        Ok(())
    }
}

/// Gives some rows, then nothing for a while; the last rows come before such a while as often as
/// behind one.
pub(crate) struct Quiet {
    rows: Vec<Row>,
    at: usize,
    chunk: usize,
    until: Option<Moment>,
    rests: u32,
}

impl Quiet {
    pub(crate) fn new(of: SourceOf) -> Self {
        let rows: Vec<Row> = of.all().collect();
        let chunk = 1 + rows.len() / 3;
        Self { rows, at: 0, chunk, until: None, rests: 0 }
    }
}

impl Source for Quiet {
    type Col = Vec<Row>;

    async fn fill(&mut self, out: &mut Batch<Vec<Row>>, cx: &IoCx) -> Result<Filled, StageError> {
        if self.at.is_multiple_of(self.chunk) && self.rests * self.chunk as u32 <= self.at as u32 {
            let rest = Duration::from_micros(100 + 150 * u64::from(self.rests));
            let until = *self.until.get_or_insert(cx.now().plus(rest));
            cx.sleep_until(until).await;
            self.until = None;
            self.rests += 1;
        }
        let left = self.chunk - self.at % self.chunk;
        let to = (self.at + left.min(cx.max_rows())).min(self.rows.len());
        out.col.extend_from_slice(&self.rows[self.at..to]);
        self.at = to;
        Ok(if to == self.rows.len() { Filled::End } else { Filled::More })
    }
}

/// A source that now and then fails in a way that passes, before it gives a row, or asks for a
/// checkpoint.
pub(crate) struct Restless<S> {
    inner: S,
    of: SourceOf,
    handle: Option<RunHandle>,
    fills: u32,
}

impl<S> Restless<S> {
    pub(crate) const fn new(inner: S, of: SourceOf, handle: Option<RunHandle>) -> Self {
        Self { inner, of, handle, fills: 0 }
    }
}

impl<S: Source> Source for Restless<S> {
    type Col = S::Col;

    async fn fill(&mut self, out: &mut Batch<S::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        self.fills += 1;
        if strikes(self.fills, self.of.fails) {
            return Err(StageError::transient("the source is in a mood"));
        }
        let filled = self.inner.fill(out, cx).await;
        // Not before: a fill that waits is made anew for each checkpoint.
        if let Some(handle) = self.handle.as_ref().filter(|_| strikes(self.fills, self.of.asks)) {
            _ = handle.checkpoint();
        }
        filled
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.inner.watermark()
    }
}

/// Rows of an async function that has nothing at some polls.
pub(crate) fn awaited(of: SourceOf) -> impl Source<Col = Vec<Row>> {
    let mut rows = of.all().enumerate();
    source::from_fn(move || {
        let next = rows.next();
        async move {
            Later(next.map_or(1, |(n, _)| n as u64 % 3)).await;
            next.map(|(_, row)| row)
        }
    })
}
