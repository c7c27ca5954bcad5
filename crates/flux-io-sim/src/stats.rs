//! What a batch of seeds covered.

use crate::engine::SimRun;
use crate::fault::Fault;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Sums over the runs of a check.
#[derive(Clone, Debug, Default)]
pub struct SimStats {
    /// Seeds run.
    pub runs: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// Choices of all of them.
    pub choices: u64,
    /// Rows that sources gave in all of them.
    pub items: u64,
    /// Most steps of one run.
    pub most_steps: u64,
    /// For each fault, in how many seeds it took effect.
    pub effects: BTreeMap<Fault, u64>,
    /// For an exhaustive walk: whether it went through everything within its limits.
    pub complete: Option<bool>,
    /// For an exhaustive walk: runs ended early in a state that was reached before.
    pub left: u64,
    traces: BTreeSet<u64>,
}

impl SimStats {
    pub(crate) fn of_walk() -> Self {
        Self { complete: Some(false), ..Self::default() }
    }

    pub(crate) fn add(&mut self, run: &SimRun) {
        self.runs += 1;
        self.steps += run.steps;
        self.items += run.items;
        self.choices += run.choices.len() as u64;
        self.most_steps = self.most_steps.max(run.steps);
        self.traces.insert(run.trace_hash);
        for (f, _) in run.effects.iter() {
            *self.effects.entry(f).or_default() += 1;
        }
    }

    /// Runs whose order of polls, choices and batches no other run had.
    #[must_use]
    pub fn distinct(&self) -> u64 {
        self.traces.len() as u64
    }

    /// A number that two batches of the same runs share, and different ones almost never: for
    /// comparing runs across processes.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.traces.iter().fold(self.steps, |d, t| d.rotate_left(7) ^ t)
    }

    /// Seeds in which `f` took effect.
    #[must_use]
    pub fn seeds_with(&self, f: Fault) -> u64 {
        self.effects.get(&f).copied().unwrap_or(0)
    }

    /// The sum with another batch of seeds; equal traces of both count once.
    pub fn merge(&mut self, o: &Self) {
        self.runs += o.runs;
        self.steps += o.steps;
        self.items += o.items;
        self.choices += o.choices;
        self.most_steps = self.most_steps.max(o.most_steps);
        self.traces.extend(&o.traces);
        for (f, n) in &o.effects {
            *self.effects.entry(*f).or_default() += n;
        }
    }
}

impl fmt::Display for SimStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.runs.max(1);
        writeln!(
            f,
            "{} seeds, {} distinct traces ({:.2} %), mean {} items, {} steps, {} choices; most steps {}",
            self.runs,
            self.distinct(),
            self.distinct() as f64 * 100.0 / runs as f64,
            self.items / runs,
            self.steps / runs,
            self.choices / runs,
            self.most_steps
        )?;
        if let Some(complete) = self.complete {
            let word = if complete { "complete" } else { "not complete" };
            writeln!(f, "  walk {word}, {} runs ended in a known state", self.left)?;
        }
        for (fault, n) in &self.effects {
            writeln!(f, "  {:<24} took effect in {n} seeds", fault.as_str())?;
        }
        Ok(())
    }
}
