//! The published numbers of a job: the `*.expected.json` files beside the data.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::data_dir;
use super::naive::Report;
use super::outcome::Tally;

/// The fields of an expected file; the optional ones are there for one of the jobs only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `flights` or `orders`: how many keys.
    pub keys: u64,
    /// Lines of input, copies and dead letters included.
    pub input_lines: u64,
    /// Complete keys.
    pub complete: u64,
    /// Partial keys.
    pub partial: u64,
    /// Flights: partial keys by what they miss.
    pub missing: Option<BTreeMap<String, u64>>,
    /// Orders: partial keys that miss more than one variable.
    pub partial_missing_several: Option<u64>,
    /// Orders: fragments that chaos did not send.
    pub not_sent: Option<u64>,
    /// Orders: fragments sent twice, which are the duplicates of the ledger.
    pub second_copies: Option<u64>,
    /// Orders: dead letters by cause, causes with none included.
    pub dead_letters: Option<BTreeMap<String, u64>>,
    /// The digest.
    pub sha256: String,
}

/// Why an expected file cannot be used.
#[derive(Debug, Error)]
pub enum ExpectedError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file is not JSON.
    #[error("{} is not JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A field is missing or is not of its type.
    #[error("{} has no usable field {field:?}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
    },
}

impl Expected {
    /// Reads `NAME.expected.json` of [`data_dir`].
    ///
    /// # Errors
    /// [`ExpectedError`] when the file is missing or lacks a field.
    pub fn named(name: &str) -> Result<Self, ExpectedError> {
        Self::read(&data_dir().join(format!("{name}.expected.json")))
    }

    /// Reads an expected file.
    ///
    /// # Errors
    /// [`ExpectedError`] when the file is missing or lacks a field.
    pub fn read(path: &Path) -> Result<Self, ExpectedError> {
        let at = || path.to_owned();
        let raw = fs::read(path).map_err(|source| ExpectedError::Read { path: at(), source })?;
        let value: Value = serde_json::from_slice(&raw)
            .map_err(|source| ExpectedError::Json { path: at(), source })?;
        Self::from_value(&value).map_err(|field| ExpectedError::Field { path: at(), field })
    }

    fn from_value(value: &Value) -> Result<Self, &'static str> {
        let optional = |field| value.get(field).and_then(Value::as_u64);
        let number = |field| optional(field).ok_or(field);
        let sha256 = value.get("sha256_of_outcomes").and_then(Value::as_str);
        Ok(Self {
            keys: optional("flights").or(optional("orders")).ok_or("flights or orders")?,
            input_lines: number("input_lines")?,
            complete: number("complete")?,
            partial: number("partial")?,
            missing: counts(value.get("missing")),
            partial_missing_several: optional("partial_missing_several"),
            not_sent: optional("not_sent"),
            second_copies: optional("second_copies"),
            dead_letters: counts(value.get("dead_letters")),
            sha256: sha256.ok_or("sha256_of_outcomes")?.to_owned(),
        })
    }

    /// What a run's outcomes get wrong, one sentence each; empty when they are as published.
    #[must_use]
    pub fn tally_differences(&self, tally: &Tally) -> Vec<String> {
        let mut found = Differences::default();
        found.compare("complete", &self.complete, &tally.complete);
        found.compare("partial", &self.partial, &tally.partial);
        if let Some(missing) = &self.missing {
            found.compare("missing", missing, &tally.missing);
        }
        if let Some(several) = &self.partial_missing_several {
            found.compare("partial_missing_several", several, &tally.missing_several);
        }
        found.compare("sha256_of_outcomes", &self.sha256, &tally.sha256);
        found.0
    }

    /// What the naive model's report gets wrong, one sentence each.
    #[must_use]
    pub fn report_differences(&self, report: &Report) -> Vec<String> {
        let mut found = Differences(self.tally_differences(&report.tally));
        found.compare("keys", &self.keys, &report.keys);
        found.compare("input_lines", &self.input_lines, &report.input_lines);
        if let Some(copies) = &self.second_copies {
            found.compare("second_copies", copies, &report.duplicates);
        }
        if let Some(dead_letters) = &self.dead_letters {
            let counted = report.dead_letters.iter().map(|(cause, &n)| (cause.to_string(), n));
            let wanted = dead_letters.iter().filter(|&(_, &n)| n > 0);
            let wanted: BTreeMap<String, u64> = wanted.map(|(k, &n)| (k.clone(), n)).collect();
            found.compare("dead_letters", &wanted, &counted.collect());
        }
        found.0
    }
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, wanted: &T, got: &T) {
        if wanted != got {
            self.0.push(format!("{what}: expected {wanted:?}, got {got:?}"));
        }
    }
}

fn counts(value: Option<&Value>) -> Option<BTreeMap<String, u64>> {
    let fields = value?.as_object()?;
    fields.iter().map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect()
}
