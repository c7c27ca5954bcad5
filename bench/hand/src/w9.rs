//! W9: NDJSON fragments in, assembled by key, NDJSON records out; reading and writing included.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    process,
};

use bench_common::{
    BenchError, MEASURES, Measured, Task, digest_of_records, for_each_block, input_file, out_dir,
    parts, timed,
};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[expect(dead_code, reason = "all fields are parsed, as a consumer of them would")]
struct Fragment<'a> {
    key: &'a str,
    var: &'a str,
    value: f64,
    ts: i64,
    source: &'a str,
    note: &'a str,
    flags: [i64; 2],
}

#[derive(Serialize)]
struct Record<'a> {
    key: &'a str,
    ts: i64,
    source: &'a str,
    temperature: f64,
    salinity: f64,
    pressure: f64,
    oxygen: f64,
    notes: [&'a str; 4],
}

#[derive(Default)]
struct Parts {
    seen: u8,
    ts: i64,
    source: String,
    values: [f64; 4],
    notes: [String; 4],
}

/// Runs one case of W9.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    if task.case != "sonic-loop" {
        return Err(task.unknown());
    }
    let input = input_file("w9", task.items);
    let output = out_dir().join(format!("w9-hand-{}.ndjson", process::id()));
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    };
    fs::create_dir_all(out_dir()).map_err(file(&out_dir()))?;
    let (done, seconds) = timed(|| assemble(&input, &output));
    done.map_err(file(&input))?;
    let check = Some(digest_of_records(&output)?);
    fs::remove_file(&output).map_err(file(&output))?;
    Ok(Measured { items: task.items, seconds, check, metrics: [].into() })
}

fn assemble(input: &Path, output: &Path) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(output)?);
    let mut open: HashMap<String, Parts, foldhash::fast::RandomState> = HashMap::default();
    let mut failed = Ok(());
    for part in parts(input, 1)? {
        for_each_block(input, part, |block| {
            for line in block.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
                let done = sonic_rs::from_slice::<Fragment<'_>>(line)
                    .map_err(io::Error::other)
                    .and_then(|fragment| apply(&mut open, &fragment, &mut out));
                if let Err(error) = done {
                    failed = Err(error);
                }
            }
        })?;
    }
    failed?;
    out.flush()
}

fn apply(
    open: &mut HashMap<String, Parts, foldhash::fast::RandomState>,
    fragment: &Fragment<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(which) = MEASURES.iter().position(|name| *name == fragment.var) else {
        return Err(io::Error::other("an unknown measure"));
    };
    let Some(parts) = open.get_mut(fragment.key) else {
        let mut parts = Parts { source: fragment.source.to_owned(), ..Parts::default() };
        parts.set(which, fragment);
        open.insert(fragment.key.to_owned(), parts);
        return Ok(());
    };
    parts.set(which, fragment);
    if parts.seen != 15 {
        return Ok(());
    }
    let Some(parts) = open.remove(fragment.key) else { return Ok(()) };
    let [temperature, salinity, pressure, oxygen] = parts.values;
    let record = Record {
        key: fragment.key,
        ts: parts.ts,
        source: &parts.source,
        temperature,
        salinity,
        pressure,
        oxygen,
        notes: parts.notes.each_ref().map(String::as_str),
    };
    let line = sonic_rs::to_vec(&record).map_err(io::Error::other)?;
    out.write_all(&line)?;
    out.write_all(b"\n")
}

impl Parts {
    fn set(&mut self, which: usize, fragment: &Fragment<'_>) {
        self.values[which] = fragment.value;
        self.notes[which] = fragment.note.to_owned();
        self.ts = self.ts.max(fragment.ts);
        self.seen |= 1 << which;
    }
}
