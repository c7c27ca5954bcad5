//! Whether a run gave what its plan must give.

use super::expect::{Bundle, Expect};
use super::row::Row;
use flux_io_core::{Ended, ErrorRecord, RunReport};
use std::collections::{BTreeMap, BTreeSet};

/// What a run gave.
#[derive(Debug, Default)]
pub struct Seen {
    /// The rows of each sink, as they came.
    pub sinks: Vec<Vec<Row>>,
    /// The dead letters, where they had a sink.
    pub letters: Option<Vec<ErrorRecord>>,
}

impl Expect {
    /// Compares a run with this.
    ///
    /// # Errors
    /// The first difference.
    pub fn judge(&self, report: &RunReport, seen: Seen) -> Result<(), String> {
        if let Some(f) = &report.failure {
            return Err(format!("the run failed in `{}`: {}", f.stage, f.error));
        }
        if report.ended != Ended::Completed {
            return Err(format!("the run ended {:?}", report.ended));
        }
        report.check().map_err(|e| format!("the accounts: {e}"))?;
        for (n, (want, got)) in self.sinks.iter().zip(&seen.sinks).enumerate() {
            sink(want, got).map_err(|e| format!("sink {n}: {e}"))?;
        }
        self.dead_letters(report, seen.letters)?;
        self.drops(report)
    }

    fn dead_letters(
        &self,
        report: &RunReport,
        letters: Option<Vec<ErrorRecord>>,
    ) -> Result<(), String> {
        let causes: BTreeSet<_> = self.dead.keys().chain(report.dead_letters.keys()).collect();
        for cause in causes.into_iter().filter(|c| !self.loose.contains(c)) {
            let of = |m: &BTreeMap<_, u64>| m.get(cause).copied().unwrap_or(0);
            let (got, want) = (of(&report.dead_letters), of(&self.dead));
            if got != want {
                return Err(format!("{got} dead letters of cause {cause} instead of {want}"));
            }
        }
        let Some(letters) = letters else { return Ok(()) };
        let told: u64 = report.dead_letters.values().sum();
        let came: u64 = letters.iter().map(|l| l.items).sum();
        if told != came {
            return Err(format!("{told} dead letters are counted, {came} came"));
        }
        let mut lost = self.originals.clone();
        for letter in letters {
            let Ok(letter) = letter.into_dead_letter::<Row>() else { continue };
            if let Some(at) = lost.iter().position(|r| *r == letter.original) {
                lost.swap_remove(at);
            }
        }
        match lost.first() {
            Some(row) => Err(format!("{row:?} failed and is no dead letter's original")),
            None => Ok(()),
        }
    }

    fn drops(&self, report: &RunReport) -> Result<(), String> {
        let mut got: BTreeMap<&str, u64> = BTreeMap::new();
        for stage in &report.stages {
            for (cause, n) in stage.dropped.iter().filter(|d| *d.1 > 0) {
                *got.entry(cause).or_default() += n;
            }
        }
        if self.unsure {
            for word in ["incomplete", "superseded"] {
                got.remove(word);
            }
        }
        let want = self.dropped.iter().filter(|d| !self.unsure || !is_unsure(d.0));
        let want: BTreeMap<&str, u64> = want.map(|(k, n)| (*k, *n)).collect();
        if got == want { Ok(()) } else { Err(format!("dropped {got:?} instead of {want:?}")) }
    }
}

fn is_unsure(word: &str) -> bool {
    matches!(word, "incomplete" | "superseded")
}

fn counted(rows: impl Iterator<Item = Row>) -> BTreeMap<Row, i64> {
    let mut all = BTreeMap::new();
    for row in rows {
        *all.entry(row).or_default() += 1;
    }
    all
}

fn sink(want: &Bundle, got: &[Row]) -> Result<(), String> {
    if let Some(may) = &want.may {
        let mut left = may.clone();
        for row in got {
            match left.get_mut(row) {
                Some(n) if *n > 0 => *n -= 1,
                _ => return Err(format!("{row:?} came, which cannot be or was there before")),
            }
        }
        return Ok(());
    }
    let mut rest = counted(want.cells.iter().map(|c| c.row));
    for row in got {
        *rest.entry(*row).or_default() -= 1;
    }
    rest.retain(|_, n| *n != 0);
    if let Some((row, n)) = rest.first_key_value() {
        let (way, n) = if *n > 0 { ("missing", *n) } else { ("too many", -*n) };
        let (came, of) = (got.len(), want.cells.len());
        let kinds = rest.len();
        return Err(format!("{row:?} is {n} times {way} ({kinds} such rows; {came} came of {of})"));
    }
    order(want, got)
}

/// Rows of one lane come in its order. A row that stands in several lanes says nothing.
fn order(want: &Bundle, got: &[Row]) -> Result<(), String> {
    let mut lanes: BTreeMap<Row, Option<u64>> = BTreeMap::new();
    for c in &want.cells {
        let lane = lanes.entry(c.row).or_insert(Some(c.lane));
        *lane = lane.filter(|l| *l == c.lane);
    }
    let mut due: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
    for c in want.cells.iter().rev() {
        if lanes.get(&c.row).is_some_and(Option::is_some) {
            due.entry(c.lane).or_default().push(c.row);
        }
    }
    for (n, row) in got.iter().enumerate() {
        let Some(lane) = lanes.get(row).copied().flatten() else { continue };
        let next = due.get_mut(&lane).and_then(Vec::pop);
        if next != Some(*row) {
            return Err(format!("row {n} is {row:?} where {next:?} is next in order"));
        }
    }
    Ok(())
}
