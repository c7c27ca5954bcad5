//! The orders workload: file, parse, key, assemble, outcome lines. Reading and writing are inside
//! the measured time; digesting the outcome file is not.

mod fragment;
mod lines;
mod order;

use std::{fs, path::Path, process};

use bench_common::{BenchError, Measured, OrdersInput, Task, digest_of_outcomes, out_dir, timed};
use flux_io::accumulate::{AccumulateExt, Require};
use flux_io::connect::ndjson;
use flux_io::flow::Pipeline;

use crate::engines::{On, run as run_flow};
use fragment::Fragment;
use lines::OutcomeLines;
use order::Order;

const BATCH_LINES: usize = 1024;

/// Runs one case of the orders workload.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let on = match task.case.as_str() {
        "flux-sync" => On::Sync,
        "flux-tokio-2" => On::Tokio(2),
        _ => return Err(task.unknown()),
    };
    let input = OrdersInput::with_lines(task.items)?;
    let input_path = input.path();
    let out_path = out_dir().join(format!("orders-{}-{}.tsv", task.case, process::id()));
    fs::create_dir_all(out_dir()).map_err(|source| file_error(&out_dir(), source))?;
    let (done, seconds) = timed(|| assemble(on, &input_path, &out_path));
    done?;
    let outcomes = fs::read(&out_path).map_err(|source| file_error(&out_path, source))?;
    fs::remove_file(&out_path).map_err(|source| file_error(&out_path, source))?;
    let check = Some(digest_of_outcomes(&outcomes));
    Ok(Measured { items: input.lines, seconds, check, metrics: [].into() })
}

fn assemble(on: On, input: &Path, output: &Path) -> Result<(), BenchError> {
    let lines = OutcomeLines::create(output).map_err(|source| file_error(output, source))?;
    let workers = if let On::Tokio(n) = on { n } else { 1 };
    let flow = Pipeline::new()
        .source("lines", ndjson::file(input))
        .try_map_rows("parse", Fragment::parse)
        .parallel(workers)
        .key_by("order", |fragment| fragment.order)
        .accumulate("assemble", |policy| {
            policy
                .require(
                    Require::new().one("header").each("shipped", "lines").each("received", "lines"),
                )
                .var(Fragment::variable)
                .bound("lines", |fragment: &Fragment| fragment.lines)
                .merge(Order::add)
                .finish(|_, order| order.digest())
        })
        .sink("outcomes", lines);
    run_flow(on, BATCH_LINES, true, flow).map(|_| ())
}

fn file_error(path: &Path, source: std::io::Error) -> BenchError {
    BenchError::File { path: path.to_owned(), source }
}
