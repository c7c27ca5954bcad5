//! Writes the inputs of the workloads that read files: `gen-inputs WORKLOAD ITEMS`. Files that are
//! there already stay.
//!
//! `orders`: the fragments of TPC-H orders, one JSON object a line, in time order and without chaos.
//! Order of lines: by day, then header before shipped before received, then line number, then
//! order key. A line's fields stand in reading order, not in canonical order, so that a consumer
//! has to parse them. Money is in integer cents, dates are `YYYY-MM-DD`.
//!
//! `w3`, `w4`, `w4m`, `w9`: see `texts.rs`.

mod orders;
mod texts;

use std::{
    env,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use bench_common::{BenchError, OrdersInput, data_dir, input_file};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.as_slice() {
        [workload, items] => match items.parse() {
            Ok(items) => write(workload, items),
            Err(_) => Err(BenchError::Usage(args.join(" "))),
        },
        _ => Err(BenchError::Usage(args.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(workload: &str, items: u64) -> Result<(), BenchError> {
    let path = input_file(workload, items);
    match workload {
        "orders" => {
            let input = OrdersInput::with_lines(items)?;
            write_once(&input.path(), |out| {
                let mut fragments = orders::Fragments::of_scale(input.scale);
                let mut lines = 0;
                for line in fragments.in_time_order() {
                    out.write_all(line)?;
                    lines += 1;
                }
                if lines == input.lines {
                    return Ok(());
                }
                let what = format!("scale {} gave {lines} fragments, not {items}", input.scale);
                Err(io::Error::other(what))
            })
        }
        "w3" => write_once(&path, |out| texts::words(items, out)),
        "w4" | "w4m" => write_once(&path, |out| texts::rows(workload, items, out)),
        "w9" => write_once(&path, |out| texts::fragments(items, out)),
        _ => Err(BenchError::Usage(workload.to_owned())),
    }
}

/// Writes a file unless it is there. It is written under another name and then renamed, so a
/// broken run leaves no half file behind.
fn write_once(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), BenchError> {
    if path.exists() {
        return Ok(());
    }
    let part = path.with_extension("part");
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    };
    fs::create_dir_all(data_dir()).map_err(fail(&data_dir()))?;
    let file = File::create(&part).map_err(fail(&part))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out).and_then(|()| out.flush()).map_err(fail(&part))?;
    fs::rename(&part, path).map_err(fail(path))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
