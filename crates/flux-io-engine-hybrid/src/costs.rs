//! What stages cost in earlier runs.

use flux_io_core::RunReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a stage did and how long it was busy, over all its instances and all runs recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Rows it took.
    pub rows: u64,
    /// Nanoseconds spent in its calls.
    pub busy_ns: u64,
}

impl Cost {
    /// Nanoseconds of work for a batch of `rows` rows; `None` when it has taken no row.
    #[must_use]
    pub fn of_batch(self, rows: usize) -> Option<u64> {
        let all = u128::from(self.busy_ns) * rows as u128;
        all.checked_div(u128::from(self.rows)).map(|ns| u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// Measured costs by the names of stages. It can be written down and read again with serde.
///
/// Only a run that was asked to measure gives any
/// ([`RunOptions::measure`](flux_io_core::RunOptions)), on an engine whose clock is real.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    stages: BTreeMap<String, Cost>,
}

impl Costs {
    /// What one run measured.
    #[must_use]
    pub fn of(report: &RunReport) -> Self {
        let mut costs = Self::default();
        costs.learn(report);
        costs
    }

    /// Adds what another run measured.
    pub fn learn(&mut self, report: &RunReport) {
        for s in report.stages.iter().filter(|s| !s.busy.is_zero()) {
            let cost = self.stages.entry(s.name.clone()).or_default();
            cost.rows += s.counts.rows_in;
            cost.busy_ns += u64::try_from(s.busy.as_nanos()).unwrap_or(u64::MAX);
        }
    }

    /// Says by hand what a stage costs.
    pub fn set(&mut self, stage: &str, cost: Cost) {
        self.stages.insert(stage.to_owned(), cost);
    }

    /// What a stage costs, if it was measured.
    #[must_use]
    pub fn get(&self, stage: &str) -> Option<Cost> {
        self.stages.get(stage).copied()
    }
}
