//! Runs one flow on the engine that a case asks for.

use bench_common::BenchError;
use flux_io::core::{RunOptions, RunReport};
use flux_io::engine;
use flux_io::flow::Runnable;

/// Where a case runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum On {
    /// One thread.
    Sync,
    /// Tokio with this many workers.
    Tokio(u32),
    /// A rayon pool with this many workers.
    Rayon(u32),
}

/// Runs a flow to its end in batches of `batch` rows. With `chain` stages share a task where they
/// can.
pub(crate) fn run(
    on: On,
    batch: usize,
    chain: bool,
    flow: impl Runnable<'static>,
) -> Result<RunReport, BenchError> {
    let workers = match on {
        On::Sync => 1,
        On::Tokio(n) | On::Rayon(n) => n,
    };
    let mut options = RunOptions::default().batch(batch).workers(workers);
    options.chain = chain;
    let report = match on {
        On::Sync => engine::Sync::new().with(options).run(flow),
        On::Tokio(_) => engine::Tokio::new().with(options).run_blocking(flow),
        On::Rayon(_) => engine::Rayon::new().with(options).run(flow),
    };
    report.map_err(|error| failed(&error))
}

/// What a run that failed says, with its causes.
fn failed(error: &dyn std::error::Error) -> BenchError {
    let mut detail = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        detail.push_str(": ");
        detail.push_str(&error.to_string());
        cause = error.source();
    }
    BenchError::Failed { what: "the flow", detail }
}

/// The error of a value that a finished run did not leave.
pub(crate) fn no_value() -> BenchError {
    BenchError::Failed { what: "the flow", detail: "it left no value".to_owned() }
}
