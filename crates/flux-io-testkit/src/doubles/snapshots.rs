//! Snapshots in memory.

use super::{Gate, lock};
use flux_io_core::{Epoch, SnapshotStore, StageError};
use std::collections::BTreeMap;
use std::sync::Mutex;

type Parts = BTreeMap<(String, u32), Vec<u8>>;

/// Keeps every part by epoch; restores from the newest complete epoch.
#[derive(Debug, Default)]
pub struct MemorySnapshots {
    state: Mutex<State>,
    gates: Mutex<Vec<(Epoch, Gate)>>,
}

#[derive(Debug, Default)]
struct State {
    epochs: BTreeMap<Epoch, Parts>,
    complete: Option<Epoch>,
    completions: Vec<Epoch>,
    refused: Option<String>,
}

impl MemorySnapshots {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, parts of the stage called `stage` are refused.
    pub fn refuse(&self, stage: &str) {
        lock(&self.state).refused = Some(stage.to_owned());
    }

    /// Opens when this epoch or a later one is complete.
    #[must_use]
    pub fn reached(&self, epoch: Epoch) -> Gate {
        let gate = Gate::new();
        lock(&self.gates).push((epoch, gate.clone()));
        if lock(&self.state).complete >= Some(epoch) {
            gate.open();
        }
        gate
    }

    /// Opens when the first epoch is complete.
    #[must_use]
    pub fn first_complete(&self) -> Gate {
        self.reached(Epoch(1))
    }

    /// Every call of `complete`, in order.
    #[must_use]
    pub fn completions(&self) -> Vec<Epoch> {
        lock(&self.state).completions.clone()
    }

    /// A part of some epoch, complete or not.
    #[must_use]
    pub fn part(&self, epoch: Epoch, stage: &str, shard: u32) -> Option<Vec<u8>> {
        lock(&self.state).epochs.get(&epoch)?.get(&(stage.to_owned(), shard)).cloned()
    }

    /// Epochs that have parts, complete or not.
    #[must_use]
    pub fn epochs(&self) -> Vec<Epoch> {
        lock(&self.state).epochs.keys().copied().collect()
    }
}

impl SnapshotStore for MemorySnapshots {
    fn put(&self, epoch: Epoch, stage: &str, shard: u32, bytes: Vec<u8>) -> Result<(), StageError> {
        let mut s = lock(&self.state);
        if s.refused.as_deref() == Some(stage) {
            return Err(StageError::permanent("the store refuses this stage"));
        }
        s.epochs.entry(epoch).or_default().insert((stage.to_owned(), shard), bytes);
        Ok(())
    }

    fn complete(&self, epoch: Epoch) -> Result<(), StageError> {
        let mut s = lock(&self.state);
        s.completions.push(epoch);
        s.complete = s.complete.max(Some(epoch));
        drop(s);
        lock(&self.gates).iter().filter(|(e, _)| *e <= epoch).for_each(|(_, g)| g.open());
        Ok(())
    }

    fn get(&self, stage: &str, shard: u32) -> Option<Vec<u8>> {
        let s = lock(&self.state);
        s.epochs.get(&s.complete?)?.get(&(stage.to_owned(), shard)).cloned()
    }

    fn newest(&self) -> Option<Epoch> {
        lock(&self.state).complete
    }
}
