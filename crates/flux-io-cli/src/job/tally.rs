//! Results counted for the closing summary.

use crate::config::Takes;
use flux_io::core::{Headers, Reason};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Different lists of missing variables that are counted by themselves.
const PATTERNS: usize = 1000;

/// Results by class, reason and what they miss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records of a pipeline without an accumulator.
    pub records: u64,
    /// Complete results.
    pub complete: u64,
    /// Partial results by the reason they left.
    pub partial: BTreeMap<Reason, u64>,
    /// Partial results by what they miss; beyond 1,000 different lists, under `other`.
    pub missing: BTreeMap<String, u64>,
    /// Late fragments that were emitted.
    pub late: u64,
    /// Corrected results.
    pub corrected: u64,
    /// Results that no sink takes, by class.
    pub untaken: BTreeMap<Takes, u64>,
}

impl Tally {
    pub(crate) fn result(&mut self, class: Takes, headers: &Headers) {
        match class {
            Takes::Complete => self.complete += 1,
            Takes::Partial => {
                *self.partial.entry(headers.reason).or_default() += 1;
                self.lacks(headers.missing_vars());
            }
            Takes::Late => self.late += 1,
            Takes::Corrected => self.corrected += 1,
            Takes::Records | Takes::DeadLetters => self.records += 1,
        }
    }

    fn lacks(&mut self, pattern: String) {
        if pattern.is_empty() {
            return;
        }
        let known = self.missing.len() < PATTERNS || self.missing.contains_key(&pattern);
        *self.missing.entry(if known { pattern } else { "other".to_owned() }).or_default() += 1;
    }
}

/// Where a stage leaves its tally when it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct TallyPlace(Arc<Mutex<Tally>>);

impl TallyPlace {
    pub(crate) fn put(&self, tally: Tally) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }

    pub(crate) fn take(&self) -> Tally {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
