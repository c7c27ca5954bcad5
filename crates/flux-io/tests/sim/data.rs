//! Fragments, the sources that give them, and the sink that logs what comes out.

use super::lock;
use flux_io::core::{
    Batch, CheckpointToken, ConnectorDescriptor, Draws, Filled, IoCx, Moment, Outcome, Sink,
    Source, StageError, Timestamp,
};
use flux_io_sim::{SimDelays, Swarm};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Variables that a key needs.
pub(crate) const VARS: u8 = 4;

/// A fragment of a thing. Its content follows from its id, so that a row that was changed shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Frag {
    pub(crate) key: u32,
    pub(crate) var: u8,
    pub(crate) time: i64,
    pub(crate) id: u64,
    pub(crate) content: u64,
}

impl Frag {
    pub(crate) fn new(key: u32, var: u8, time: i64, id: u64) -> Self {
        Self { key, var, time, id, content: Draws(id).next_u64() }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.content == Draws(self.id).next_u64()
    }
}

/// How fragments are made up.
#[derive(Clone, Copy)]
pub(crate) struct Mix {
    /// Of 16 fragments, how many never come.
    pub(crate) missing: u32,
    /// Of 16, how many come once more.
    pub(crate) twice: u32,
    /// By how much times lie apart from their order, at most.
    pub(crate) disorder: u32,
    /// Of 16, how many come far too late.
    pub(crate) late: u32,
}

impl Mix {
    pub(crate) fn draw(swarm: &mut Swarm) -> Self {
        let (missing, twice) = (swarm.pick(0, 6), swarm.pick(0, 6));
        let disorder = [0, 1, 3, 10][swarm.pick(0, 3) as usize];
        Self { missing, twice, disorder, late: [0, 0, 1, 3][swarm.pick(0, 3) as usize] }
    }
}

/// Fragments of `n` rows or so in the order in which they come. Keys are touched in waves, so that
/// some are open while others come and go; times are small, so that many are equal.
pub(crate) fn fragments(
    draws: &mut Draws,
    n: u32,
    keys: std::ops::Range<u32>,
    mix: Mix,
) -> Vec<Frag> {
    let span = keys.len() as u32;
    let mut placed: Vec<(i64, Frag)> = Vec::with_capacity(n as usize + 8);
    let mut id = u64::from(keys.start) << 32;
    let mut k = 0;
    while placed.len() < n as usize {
        let key = keys.start + if k < span { k } else { draws.below(span) };
        k += 1;
        let start = i64::from(k) * 3;
        for var in 0..VARS {
            if draws.below(16) < mix.missing {
                continue;
            }
            id += 1;
            let at = start + i64::from(draws.below(12));
            let time = at - i64::from(draws.below(mix.disorder + 1));
            let frag = Frag::new(key, var, time, id);
            let late = if draws.below(16) < mix.late { i64::from(draws.below(200)) } else { 0 };
            placed.push((at + late, frag));
            if draws.below(16) < mix.twice {
                placed.push((at + late + i64::from(draws.below(40)), frag));
            }
        }
    }
    placed.sort_by_key(|p| p.0);
    placed.truncate(n as usize);
    placed.into_iter().map(|p| p.1).collect()
}

/// Gives rows in order; can go back to any place; sometimes waits in the middle of a batch, with
/// the rows before it already given.
pub(crate) struct Feed<T> {
    rows: Arc<Vec<T>>,
    at: usize,
    delays: Option<SimDelays>,
    calls: u32,
    until: Option<Moment>,
    promise: Option<fn(&T) -> i64>,
    begun: Arc<AtomicU64>,
}

impl<T> Feed<T> {
    pub(crate) fn new(rows: Vec<T>) -> Self {
        let (delays, until, promise) = (None, None, None);
        Self {
            rows: Arc::new(rows),
            at: 0,
            delays,
            calls: 0,
            until,
            promise,
            begun: Arc::default(),
        }
    }

    pub(crate) fn slow(self, delays: SimDelays) -> Self {
        Self { delays: Some(delays), ..self }
    }

    /// Tells at which row this life of the run begins.
    pub(crate) fn telling(self, begun: &Arc<AtomicU64>) -> Self {
        begun.store(0, Ordering::Relaxed);
        Self { begun: Arc::clone(begun), ..self }
    }

    /// Promises, behind each row, that nothing up to this time comes again.
    pub(crate) fn promising(self, promise: fn(&T) -> i64) -> Self {
        Self { promise: Some(promise), ..self }
    }
}

impl<T: Clone + Send + Sync + 'static> Feed<T> {
    fn give(&mut self, out: &mut Batch<Vec<T>>, n: usize) {
        let to = (self.at + n).min(self.rows.len());
        out.col.extend_from_slice(&self.rows[self.at..to]);
        self.at = to;
    }
}

impl<T: Clone + Send + Sync + 'static> Source for Feed<T> {
    type Col = Vec<T>;

    async fn fill(&mut self, out: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<Filled, StageError> {
        let room = cx.max_rows().saturating_sub(out.len());
        self.calls += 1;
        if let Some(delays) = &self.delays
            && self.until.is_none()
            && self.calls.is_multiple_of(5)
        {
            self.until = Some(cx.now().plus(delays.draw()));
            self.give(out, room / 2);
        }
        if self.delays.is_some() && self.calls % 7 == 3 {
            // Something that blocks, as reading a file does.
            _ = cx.blocking(|| ()).await;
        }
        if let Some(at) = self.until {
            cx.sleep_until(at).await;
            self.until = None;
        }
        let room = cx.max_rows().saturating_sub(out.len());
        self.give(out, room);
        Ok(if self.at == self.rows.len() { Filled::End } else { Filled::More })
    }

    fn watermark(&self) -> Option<Timestamp> {
        let last = self.at.checked_sub(1)?;
        self.promise.map(|promise| Timestamp(promise(&self.rows[last])))
    }

    fn position(&self) -> Option<CheckpointToken> {
        Some(CheckpointToken((self.at as u64).to_le_bytes().to_vec()))
    }

    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        let bytes = <[u8; 8]>::try_from(token.0.as_slice());
        let bytes = bytes.map_err(|_| StageError::permanent("a place is eight bytes"))?;
        self.at = u64::from_le_bytes(bytes) as usize;
        self.begun.store(self.at as u64, Ordering::Relaxed);
        Ok(())
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor { seekable: true, ..ConnectorDescriptor::new("feed", "rows") }
    }
}

/// Ids that were assembled, in the order in which they came.
pub(crate) type Ids = Vec<u64>;

/// What left an accumulator, without what only people read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Left {
    pub(crate) key: u32,
    pub(crate) kind: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) generation: u32,
    pub(crate) ids: Ids,
}

impl Left {
    pub(crate) fn of(o: &Outcome<u32, Ids>) -> Self {
        let kind = match o {
            Outcome::Complete { .. } => "complete",
            Outcome::Partial { .. } => "partial",
            Outcome::Late { .. } => "late",
            Outcome::Corrected { .. } => "corrected",
        };
        let h = o.headers();
        let ids = o.value().clone();
        Self { key: *o.key(), kind, reason: h.reason.as_str(), generation: h.generation, ids }
    }

    /// A digest for the trace.
    pub(crate) fn digest(&self) -> u64 {
        let start = u64::from(self.key) ^ self.kind.len() as u64;
        self.ids.iter().fold(start, |h, id| (h ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

/// Rows that a sink took, with the moment of each: append only, outside of the run.
#[derive(Debug)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<(Moment, T)>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Log<T> {
    pub(crate) fn take(&self) -> Vec<(Moment, T)> {
        std::mem::take(&mut *lock(&self.0))
    }

    pub(crate) fn rows(&self) -> Vec<T> {
        self.take().into_iter().map(|x| x.1).collect()
    }
}

impl<T: Send + 'static> Sink for Log<T> {
    type Col = Vec<T>;

    async fn write(&mut self, b: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<(), StageError> {
        let now = cx.now();
        lock(&self.0).extend(b.col.drain(..).map(|x| (now, x)));
        b.clear();
        Ok(())
    }
}

/// A duration of event time, in its unit.
pub(crate) const fn units(n: u32) -> Duration {
    Duration::from_nanos(n as u64)
}
