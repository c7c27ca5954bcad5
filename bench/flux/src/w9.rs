//! W9: NDJSON fragments in, assembled by key, NDJSON records out.

use std::{fs, path::Path, process};

use bench_common::{
    BATCH_ITEMS, BenchError, MEASURES, Measured, Task, digest_of_records, input_file, out_dir,
    timed,
};
use flux_io::accumulate::{AccumulateExt, After, Require};
use flux_io::connect::ndjson;
use flux_io::core::{Outcome, RowError, Var};
use flux_io::flow::Pipeline;
use serde::{Deserialize, Serialize};

use crate::engines::{On, run as run_flow};

#[derive(Deserialize)]
#[expect(dead_code, reason = "all fields are parsed, as a consumer of them would")]
struct Line<'a> {
    key: &'a str,
    var: &'a str,
    value: f64,
    ts: i64,
    source: &'a str,
    note: &'a str,
    flags: [i64; 2],
}

/// A fragment on its way to its record.
struct Fragment {
    key: String,
    which: u16,
    value: f64,
    ts: i64,
    source: String,
    note: String,
}

impl Fragment {
    fn parse(line: &[u8]) -> Result<Self, RowError> {
        let line: Line<'_> = ndjson::parse_borrowed(line)?;
        let which = MEASURES.iter().position(|name| *name == line.var);
        let which = which.ok_or_else(|| RowError::wrong_type("an unknown measure"))? as u16;
        let (key, source) = (line.key.to_owned(), line.source.to_owned());
        let (value, ts, note) = (line.value, line.ts, line.note.to_owned());
        Ok(Self { key, which, value, ts, source, note })
    }
}

#[derive(Default)]
struct Parts {
    ts: i64,
    source: String,
    values: [f64; 4],
    notes: [String; 4],
}

impl Parts {
    fn add(&mut self, fragment: &mut Fragment) {
        let which = usize::from(fragment.which);
        self.values[which] = fragment.value;
        self.notes[which] = std::mem::take(&mut fragment.note);
        self.ts = self.ts.max(fragment.ts);
        if self.source.is_empty() {
            self.source = std::mem::take(&mut fragment.source);
        }
    }
}

#[derive(Serialize)]
struct Record {
    key: String,
    ts: i64,
    source: String,
    temperature: f64,
    salinity: f64,
    pressure: f64,
    oxygen: f64,
    notes: [String; 4],
}

impl Record {
    fn of(key: &str, parts: &mut Parts) -> Self {
        let [temperature, salinity, pressure, oxygen] = parts.values;
        let (key, source) = (key.to_owned(), std::mem::take(&mut parts.source));
        let notes = std::mem::take(&mut parts.notes);
        Self { key, ts: parts.ts, source, temperature, salinity, pressure, oxygen, notes }
    }
}

/// Runs one case of W9.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let on = On::of(&task.case).ok_or_else(|| task.unknown())?;
    let input = input_file("w9", task.items);
    let output = out_dir().join(format!("w9-{}-{}.ndjson", task.case, process::id()));
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    };
    fs::create_dir_all(out_dir()).map_err(file(&out_dir()))?;
    let (done, seconds) = timed(|| assemble(on, &input, &output));
    done?;
    let check = Some(digest_of_records(&output)?);
    fs::remove_file(&output).map_err(file(&output))?;
    Ok(Measured { items: task.items, seconds, check, metrics: [].into() })
}

fn assemble(on: On, input: &Path, output: &Path) -> Result<(), BenchError> {
    let flow = Pipeline::new()
        .source("lines", ndjson::file(input))
        .try_map_rows("parse", Fragment::parse)
        .parallel(on.workers())
        .key_by_str("by record", |fragment: &Fragment| &fragment.key)
        .accumulate("assemble", |policy| {
            policy
                .require(Require::all(MEASURES))
                .on_complete(After::Remove)
                .var(|fragment: &Fragment| Var::one(fragment.which))
                .merge(Parts::add)
                .finish(|key, parts| Record::of(key, parts))
        })
        .parallel(on.workers())
        .filter_map("whole", |outcome| match outcome {
            Outcome::Complete { value, .. } => Some(value),
            _ => None,
        })
        .sink("records", ndjson::create(output));
    run_flow(on, BATCH_ITEMS, true, flow).map(|_| ())
}
