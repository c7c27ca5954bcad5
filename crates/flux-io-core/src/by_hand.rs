//! A stage driven by hand, without an engine: for tests, and for users who have a loop of their own.

use crate::accumulate::Command;
use crate::batch::{Batch, ColumnType};
use crate::column::Column;
use crate::error::{ErrorRecord, StageError};
use crate::key::hash_of;
use crate::key::{KeyOf, UNKEYED};
use crate::stage::{Control, Draws, Out, Outbox, Parcel, Removed, Stage, StageCx, StageHome, Step};
use crate::time::{Moment, Timestamp};
use std::collections::VecDeque;
use std::fmt;

/// Drives one [`Stage`]: rows in, rows out, time moved by the caller.
///
/// Every call returns the rows that came out of it, in order. `Yield` and `Wait` are served here:
/// a wait moves the clock.
pub struct ByHand<S: Stage> {
    /// The stage.
    pub stage: S,
    home: StageHome,
    out: Outbox,
    taken: VecDeque<Parcel>,
    timer: Option<Moment>,
    removed: Removed,
    retries: u64,
    draws: Draws,
    now: Moment,
    watermark: Option<Timestamp>,
    started: bool,
}

impl<S: Stage> fmt::Debug for ByHand<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByHand({:?} at {:?})", self.home, self.now)
    }
}

impl<S: Stage> ByHand<S> {
    /// A driver at moment 0, with hash seed 0 and no memory budget.
    pub fn new(stage: S) -> Self {
        Self::at_home(stage, StageHome::alone("by hand"))
    }

    /// A driver for a stage that stands at `home`.
    pub fn at_home(stage: S, home: StageHome) -> Self {
        Self::bounded(stage, home, usize::MAX)
    }

    /// A driver whose output is full after two batches of `max_rows` rows, as an engine's is: it
    /// empties the output at each `Yield` and calls again.
    pub fn bounded(stage: S, home: StageHome, max_rows: usize) -> Self {
        Self {
            stage,
            home,
            out: Outbox::new(ColumnType::of::<S::Out>(), max_rows),
            taken: VecDeque::new(),
            timer: None,
            removed: Removed::default(),
            retries: 0,
            draws: Draws(0),
            now: Moment::START,
            watermark: None,
            started: false,
        }
    }

    /// Gives a batch in. Its marks, if the stage leaves them, follow as one watermark.
    ///
    /// # Errors
    /// The stage's.
    pub fn feed(&mut self, mut batch: Batch<S::In>) -> Result<S::Out, StageError> {
        self.drive(|s, out, cx| s.on_batch(&mut batch, out, cx))?;
        if let Some(m) = batch.meta.marks.last().copied() {
            self.drive(|s, out, cx| s.on_watermark(m.watermark, out, cx))?;
        }
        self.take()
    }

    /// Gives rows in that carry their key hashes, as `key_by` would.
    ///
    /// # Errors
    /// The stage's.
    pub fn feed_keyed(
        &mut self,
        mut batch: Batch<S::In>,
        key: &impl KeyOf<S::In>,
    ) -> Result<S::Out, StageError> {
        let seed = self.home.hash_seed;
        let hash = |i| key.hash(batch.col.row(i), seed).unwrap_or(UNKEYED);
        batch.meta.hash = (0..batch.len()).map(hash).collect();
        self.feed(batch)
    }

    /// Advances the watermark.
    ///
    /// # Errors
    /// The stage's.
    pub fn watermark(&mut self, w: Timestamp) -> Result<S::Out, StageError> {
        self.drive(|s, out, cx| s.on_watermark(w, out, cx))?;
        self.take()
    }

    /// Moves the clock to `at` (never back) and fires what is due, one deadline after the other.
    ///
    /// # Errors
    /// The stage's.
    pub fn advance(&mut self, at: Moment) -> Result<S::Out, StageError> {
        while let Some(due) = self.timer.filter(|t| *t <= at) {
            self.now = self.now.max(due);
            self.timer = None;
            self.drive(Stage::on_timer)?;
        }
        self.now = self.now.max(at);
        self.take()
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The stage's.
    pub fn command(&mut self, command: &Command) -> Result<S::Out, StageError> {
        self.drive(|s, out, cx| s.on_command(command, out, cx).map(|_| Step::Done))?;
        self.take()
    }

    /// Ends the input.
    ///
    /// # Errors
    /// The stage's.
    pub fn end(&mut self) -> Result<S::Out, StageError> {
        self.drive(Stage::on_end)?;
        self.take()
    }

    /// The time.
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// The pending deadline, if the stage asked for one.
    pub const fn deadline(&self) -> Option<Moment> {
        self.timer
    }

    /// The last watermark that came out.
    pub const fn watermark_out(&self) -> Option<Timestamp> {
        self.watermark
    }

    /// Dead letters since the last call.
    pub fn take_dead(&mut self) -> Vec<ErrorRecord> {
        std::mem::take(&mut self.removed.dead)
    }

    /// Rows dropped since the last call, by cause.
    pub fn take_dropped(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.removed.dropped)
    }

    /// Hash of a key under this driver's seed.
    pub fn hash<K: std::hash::Hash + ?Sized>(&self, key: &K) -> u64 {
        hash_of(key, self.home.hash_seed)
    }

    fn drive(
        &mut self,
        mut call: impl FnMut(&mut S, &mut Out<'_, S::Out>, &mut StageCx<'_>) -> Result<Step, StageError>,
    ) -> Result<(), StageError> {
        loop {
            let Self { stage, home, out, timer, removed, retries, draws, now, .. } = self;
            let mut cx = StageCx { now: *now, home, timer, removed, retries, draws };
            if !self.started {
                self.started = true;
                stage.on_start(&mut cx)?;
            }
            match call(stage, &mut out.typed()?, &mut cx)? {
                Step::Done => return Ok(()),
                Step::Yield | Step::Pending => {}
                Step::Wait(at) => *now = at.max(*now),
            }
            self.empty();
        }
    }

    /// Moves what is ready behind what `take` will read.
    fn empty(&mut self) {
        while let Some(p) = self.out.pop() {
            self.taken.push_back(p);
        }
    }

    fn take(&mut self) -> Result<S::Out, StageError> {
        self.out.seal();
        self.empty();
        let mut all = S::Out::default();
        while let Some(p) = self.taken.pop_front() {
            match p {
                Parcel::Batch(mut b) => {
                    if let Some(m) = b.meta().marks.last() {
                        self.watermark = self.watermark.max(Some(m.watermark));
                    }
                    all.append(&mut b.get_mut::<S::Out>()?.col);
                }
                Parcel::Control(Control::Watermark(w)) => {
                    self.watermark = self.watermark.max(Some(w));
                }
                Parcel::Control(_) => {}
            }
        }
        Ok(all)
    }
}
