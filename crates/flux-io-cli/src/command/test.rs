//! `test`: the fixtures of a pipeline file, on the engine whose clock is virtual.

use crate::cli::PipelineFile;
use crate::config::{ExpectStatus, Fixture};
use crate::console::{Exit, Failure, Outcome, print};
use crate::job::{Job, Kept, Settings, describe};
use crate::json::Object;
use crate::load::{Loaded, load};
use flux_io::core::{Class, RunOptions, RunReport, chain};
use flux_io::engine::Sync;
use flux_io::record::{Limits, Record, RecordRef};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) fn test(args: &PipelineFile, json: bool) -> Outcome {
    let loaded = load(&args.file)?;
    let mut failed = 0;
    for fixture in &loaded.file.tests {
        let trial = trial(&loaded, fixture)?;
        failed += usize::from(!trial.passed());
        print(&if json { trial.event().line() } else { trial.text() })?;
    }
    let tests = loaded.file.tests.len();
    print(&if json {
        Object::event("tests").plain("tests", tests).plain("failed", failed).line()
    } else if tests == 0 {
        format!("{} has no [[test]]; `flux-io new` writes a file with one", loaded.name)
    } else {
        let s = if tests == 1 { "" } else { "s" };
        format!("{tests} test{s}: {} passed, {failed} failed", tests - failed)
    })?;
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

/// How a key left: its key, status and what was missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    key: String,
    status: String,
    missing: Vec<String>,
}

impl Fate {
    fn shown(&self) -> String {
        match self.missing.is_empty() {
            true => format!("{:?} {}", self.key, self.status),
            false => format!("{:?} {}, without {}", self.key, self.status, self.missing.join(", ")),
        }
    }

    /// The order of `missing` is nobody's promise.
    fn sorted(mut self) -> Self {
        self.missing.sort();
        self
    }
}

/// A fixture that was run.
#[derive(Debug)]
struct Trial<'a> {
    name: &'a str,
    /// Expected, and did not come.
    absent: Vec<String>,
    /// Came, and was not expected.
    unexpected: Vec<String>,
    /// Other differences, a line each.
    other: Vec<String>,
}

impl Trial<'_> {
    fn passed(&self) -> bool {
        self.absent.is_empty() && self.unexpected.is_empty() && self.other.is_empty()
    }

    fn text(&self) -> String {
        if self.passed() {
            return format!("passed  {}", self.name);
        }
        let mut t = format!("FAILED  {}", self.name);
        // Writing to a string does not fail.
        for fate in &self.absent {
            let _ = write!(t, "\n  - {fate}");
        }
        for fate in &self.unexpected {
            let _ = write!(t, "\n  + {fate}");
        }
        for line in &self.other {
            let _ = write!(t, "\n  {line}");
        }
        if !(self.absent.is_empty() && self.unexpected.is_empty()) {
            t.push_str("\n  (- was expected and did not come, + came and was not expected)");
        }
        t
    }

    fn event(&self) -> Object {
        Object::event("test")
            .text("name", self.name)
            .plain("passed", self.passed())
            .texts("absent", self.absent.iter().map(String::as_str))
            .texts("unexpected", self.unexpected.iter().map(String::as_str))
            .texts("other", self.other.iter().map(String::as_str))
    }
}

/// Runs one fixture.
fn trial<'a>(loaded: &Loaded, fixture: &'a Fixture) -> Result<Trial<'a>, Failure> {
    let only = || loaded.file.sources.first().map(|s| s.name.value.clone());
    let source = fixture.source.as_ref().map(|s| s.value.clone()).or_else(only);
    let input = fixture.input.clone().into_bytes();
    let kept = Kept::default();
    let settings = Settings {
        workers: 1,
        ledger: None,
        inputs: Some(BTreeMap::from([(source.unwrap_or_default(), input)])),
        kept: Some(kept.clone()),
    };
    let Job { plan, accumulator, .. } =
        describe(&loaded.file, &settings).map_err(|e| loaded.refused(&e))?;
    let options = RunOptions::default().batch(loaded.file.run.batch_rows as usize);
    let name = fixture.name.value.as_str();
    let (mut absent, mut unexpected, mut other) = (Vec::new(), Vec::new(), Vec::new());
    match Sync::new().with(options).run(plan) {
        Ok(report) => {
            (absent, unexpected) = compare(fixture, &kept.fates());
            let letters = kept.letters();
            other = counts(fixture, accumulator.as_deref(), &report, &letters);
        }
        Err(e) => other.push(chain(&e)),
    }
    Ok(Trial { name, absent, unexpected, other })
}

const fn word(status: ExpectStatus) -> &'static str {
    match status {
        ExpectStatus::Complete => "complete",
        ExpectStatus::Partial => "partial",
        ExpectStatus::Late => "late",
    }
}

/// What was expected and did not come, and the other way round. Each counts as often as it stands.
fn compare(fixture: &Fixture, fates: &str) -> (Vec<String>, Vec<String>) {
    let mut left: Vec<Fate> = fates.lines().filter_map(fate).map(Fate::sorted).collect();
    let mut absent = Vec::new();
    for expect in &fixture.expect {
        let status = word(expect.status).to_owned();
        let fate = Fate { key: expect.key.clone(), status, missing: expect.missing.clone() };
        let sorted = fate.clone().sorted();
        match left.iter().position(|found| *found == sorted) {
            Some(at) => drop(left.swap_remove(at)),
            None => absent.push(fate.shown()),
        }
    }
    left.sort();
    (absent, left.iter().map(Fate::shown).collect())
}

/// A line of the ledger.
fn fate(line: &str) -> Option<Fate> {
    let record = Record::parse(line.as_bytes(), &Limits::default()).ok()?;
    let record = record.view();
    let missing = record.get("missing").map_or_else(Vec::new, |list| {
        let items = (0..).map_while(|i| list.item(i));
        items.filter_map(|item| item.as_str().map(|text| text.into_owned())).collect()
    });
    Some(Fate { key: text(record, "key")?, status: text(record, "status")?, missing })
}

fn text(record: RecordRef<'_>, field: &str) -> Option<String> {
    record.get(field)?.as_str().map(|text| text.into_owned())
}

/// Counts that differ; the dead letters are told when theirs does.
fn counts(
    fixture: &Fixture,
    accumulator: Option<&str>,
    report: &RunReport,
    letters: &str,
) -> Vec<String> {
    let mut other = Vec::new();
    let duplicates = accumulator
        .and_then(|name| report.ledger(name))
        .map_or(0, |ledger| ledger.get(Class::Duplicate));
    let mut differ = |name: &str, expected: Option<u64>, came: u64| {
        let differs = expected.is_some_and(|expected| expected != came);
        if let Some(expected) = expected.filter(|_| differs) {
            other.push(format!("{name}: {expected} expected, {came} came"));
        }
        differs
    };
    differ("duplicates", fixture.duplicates, duplicates);
    if differ("dead letters", fixture.dead_letters, report.dead_letters.values().sum()) {
        for line in letters.lines() {
            let Ok(record) = Record::parse(line.as_bytes(), &Limits::default()) else { continue };
            let [reason, what, stage] =
                ["reason", "what", "stage"].map(|f| text(record.view(), f).unwrap_or_default());
            other.push(format!("  {reason} at {stage}: {what}"));
        }
    }
    other
}
