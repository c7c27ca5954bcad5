//! Writes the inputs of the orders workload: the fragments of TPC-H orders, one JSON object a
//! line, in time order and without chaos. Run once; files that are there already stay.
//!
//! Order of lines: by day, then header before shipped before received, then line number, then
//! order key. A line's fields stand in reading order, not in canonical order, so that a consumer
//! has to parse them. Money is in integer cents, dates are `YYYY-MM-DD`.

mod fragments;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use bench_common::{BenchError, ORDERS, OrdersInput, data_dir};

fn main() -> ExitCode {
    match ORDERS.iter().try_for_each(write_once) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes one input unless it is there. It is written under another name and then renamed, so a
/// broken run leaves no half file behind.
fn write_once(input: &OrdersInput) -> Result<(), BenchError> {
    let path = input.path();
    if path.exists() {
        return Ok(());
    }
    let part = path.with_extension("part");
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    };
    fs::create_dir_all(data_dir()).map_err(fail(&data_dir()))?;
    let lines = write_lines(input.scale, &part).map_err(fail(&part))?;
    if lines != input.lines {
        let want = format!("scale {} has {} fragments", input.scale, input.lines);
        return Err(BenchError::Items { workload: "orders".to_owned(), items: lines, want });
    }
    fs::rename(&part, &path).map_err(fail(&path))?;
    eprintln!("wrote {} ({lines} lines)", input.file);
    Ok(())
}

/// Writes all fragments of a scale to `path` and gives their number.
fn write_lines(scale: f64, path: &Path) -> io::Result<u64> {
    let mut fragments = fragments::Fragments::of_scale(scale);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut lines = 0;
    for line in fragments.in_time_order() {
        out.write_all(line)?;
        lines += 1;
    }
    out.flush()?;
    Ok(lines)
}
