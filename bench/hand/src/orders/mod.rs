//! The orders workload by hand: sonic-rs and hashbrown, one thread. Reads the fragments, assembles
//! orders by key, and writes an outcome line for each order as its last fragment arrives. Reading
//! and writing are inside the measured time; digesting the outcome file is not.
//!
//! For the clean input only: a line that is no fragment is an error, not a dead letter, and a
//! fragment that comes again after its order has left would open it again.

mod assembly;
mod fragment;
mod lines;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    process,
};

use bench_common::{BenchError, Measured, OrdersInput, Task, digest_of_outcomes, out_dir, timed};

use assembly::Assembly;
use fragment::Fragment;

/// Runs the only case of the orders workload.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    if task.case != "sonic-loop" {
        return Err(task.unknown());
    }
    let input = OrdersInput::with_lines(task.items)?;
    let input_path = input.path();
    let out_path = out_dir().join(format!("orders-hand-{}.tsv", process::id()));
    fs::create_dir_all(out_dir()).map_err(|source| file_error(&out_dir(), source))?;
    let (done, seconds) = timed(|| assemble(&input_path, &out_path));
    done?;
    let outcomes = fs::read(&out_path).map_err(|source| file_error(&out_path, source))?;
    fs::remove_file(&out_path).map_err(|source| file_error(&out_path, source))?;
    let check = Some(digest_of_outcomes(&outcomes));
    Ok(Measured { items: input.lines, seconds, check, metrics: [].into() })
}

fn assemble(input: &Path, output: &Path) -> Result<(), BenchError> {
    let source = File::open(input).map_err(|source| file_error(input, source))?;
    let sink = File::create(output).map_err(|source| file_error(output, source))?;
    let mut sink = BufWriter::with_capacity(1 << 16, sink);
    let mut assembly = Assembly::default();
    lines::for_each_line(source, |line| {
        let fragment = Fragment::parse(line)?;
        assembly.apply(&fragment, &mut sink)
    })
    .map_err(|source| file_error(input, source))?;
    sink.flush().map_err(|source| file_error(output, source))?;
    match assembly.open_orders() {
        0 => Ok(()),
        open => Err(BenchError::Failed {
            what: "assembling the orders",
            detail: format!("{open} orders lack fragments; generate the input again"),
        }),
    }
}

fn file_error(path: &Path, source: std::io::Error) -> BenchError {
    BenchError::File { path: path.to_owned(), source }
}
