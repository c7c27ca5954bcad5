//! Dead letters as a run wrote them.

use crate::config::{Code, Problem, Problems};
use crate::console::{Exit, Failure};
use flux_io::record::{Limits, Record, RecordRef};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// One dead letter.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) reason: String,
    pub(super) what: String,
    pub(super) stage: String,
    /// The source it came from; none of a whole key.
    pub(super) source: Option<String>,
    line: Option<u64>,
    key: Option<String>,
    /// What it was: one text, of a whole key that of each fragment.
    pub(super) originals: Vec<String>,
}

impl Letter {
    fn of(record: RecordRef<'_>) -> Option<Self> {
        let text = |field: &str| record.get(field)?.as_str().map(|text| text.into_owned());
        let mut originals: Vec<String> = text("original").into_iter().collect();
        if let Some(list) = record.get("originals") {
            let items = (0..).map_while(|i| list.item(i));
            originals.extend(items.filter_map(|i| i.as_str().map(|text| text.into_owned())));
        }
        Some(Self {
            reason: text("reason")?,
            what: text("what")?,
            stage: text("stage")?,
            source: text("source"),
            line: record.get("line").and_then(|line| line.as_u64()),
            key: text("key"),
            originals,
        })
    }

    /// Where it came from: `flights:7`, or its key.
    pub(super) fn place(&self) -> String {
        match (&self.source, self.line, &self.key) {
            (Some(source), Some(line), _) => format!("{source}:{line}"),
            (_, _, Some(key)) => format!("key {key:?}"),
            (Some(source), ..) => source.clone(),
            _ => "somewhere".to_owned(),
        }
    }
}

/// Reads a file of dead letters. A letter may be four times as long as the record it holds.
pub(super) fn read(path: &Path) -> Result<Vec<Letter>, Failure> {
    let name = path.display().to_string();
    let fail = |code, what: String, why: String, fix: &str| {
        let problem = Problem::new(code, 0..0, what, why, fix);
        Failure::Problems(Box::new(Problems::new(&name, "", vec![problem])), Exit::Usage)
    };
    let unreadable = |e: std::io::Error| {
        let what = "the dead letters cannot be read".to_owned();
        fail(Code::NoInput, what, e.to_string(), "give the file that a sink of dead letters wrote")
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let limits = Limits { bytes: usize::MAX, ..Limits::default() };
    let (mut letters, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        if file.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        let bytes = line.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        let (why, letter) = match Record::parse(bytes, &limits) {
            Err(e) => (e.to_string(), None),
            Ok(r) => ("it has no `reason`, `what` and `stage`".to_owned(), Letter::of(r.view())),
        };
        let what = || format!("line {number} is no dead letter");
        let fix = "give the file that a sink of dead letters wrote, uncompressed";
        letters.push(letter.ok_or_else(|| fail(Code::Letters, what(), why, fix))?);
    }
    Ok(letters)
}
