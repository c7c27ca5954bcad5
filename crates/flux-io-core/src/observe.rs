//! What a run tells an onlooker. Every method has an empty default; without an observer nothing
//! is called.

use crate::error::ErrorRecord;
use crate::time::Moment;
use crate::watchdog::{Silence, Stuck};

/// Sees what happens in a run, batch by batch.
///
/// Called by the task that drives the stage, so it must not block. Law: an observer changes
/// nothing; a run with it gives the output of a run without it.
pub trait Observer: Send + Sync {
    /// A stage instance starts.
    fn on_stage_start(&self, stage: &str, shard: u32) {
        let _ = (stage, shard);
    }
    /// A stage instance handled a batch of `rows` rows.
    fn on_batch(&self, stage: &str, shard: u32, rows: usize, now: Moment) {
        let _ = (stage, shard, rows, now);
    }
    /// An item failed.
    fn on_error(&self, record: &ErrorRecord) {
        let _ = record;
    }
    /// The run's watchdog found it stuck.
    fn on_stuck(&self, stuck: &Stuck) {
        let _ = stuck;
    }
    /// The run's watchdog found that sources have been silent for long; told once a silence.
    fn on_silence(&self, silence: &Silence) {
        let _ = silence;
    }
    /// A stage instance ends.
    fn on_stage_end(&self, stage: &str, shard: u32) {
        let _ = (stage, shard);
    }
}
