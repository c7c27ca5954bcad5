//! An observer that remembers.

use super::lock;
use flux_io_core::{DeadCause, ErrorRecord, Moment, Observer, Stuck};
use std::sync::Mutex;

/// Something an observer was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A stage instance started.
    Start(String, u32),
    /// A stage instance handled a batch of so many rows.
    Batch(String, u32, usize),
    /// An item failed: stage, source's sequence number, cause.
    Error(String, u64, DeadCause),
    /// A stage instance ended.
    End(String, u32),
    /// The watchdog found the run stuck: the dump.
    Stuck(String),
}

/// Remembers all it is told, in order.
#[derive(Debug, Default)]
pub struct RecordingObserver {
    noted: Mutex<Vec<Noted>>,
}

impl RecordingObserver {
    /// An observer that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it was told.
    #[must_use]
    pub fn noted(&self) -> Vec<Noted> {
        lock(&self.noted).clone()
    }

    fn note(&self, n: Noted) {
        lock(&self.noted).push(n);
    }
}

impl Observer for RecordingObserver {
    fn on_stage_start(&self, stage: &str, shard: u32) {
        self.note(Noted::Start(stage.into(), shard));
    }
    fn on_batch(&self, stage: &str, shard: u32, rows: usize, _now: Moment) {
        self.note(Noted::Batch(stage.into(), shard, rows));
    }
    fn on_error(&self, r: &ErrorRecord) {
        self.note(Noted::Error(r.stage_name.clone(), r.seq, r.cause));
    }
    fn on_stage_end(&self, stage: &str, shard: u32) {
        self.note(Noted::End(stage.into(), shard));
    }
    fn on_stuck(&self, stuck: &Stuck) {
        self.note(Noted::Stuck(stuck.to_string()));
    }
}
