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
    /// Tokio and rayon with this many workers each, by what stages declare.
    Hybrid(u32),
}

impl On {
    /// Where a case named `flux-sync`, `flux-tokio-2` or `flux-rayon-1` runs.
    pub(crate) fn of(case: &str) -> Option<Self> {
        Some(match case {
            "flux-sync" => Self::Sync,
            "flux-tokio-1" => Self::Tokio(1),
            "flux-tokio-2" => Self::Tokio(2),
            "flux-rayon-1" => Self::Rayon(1),
            "flux-rayon-2" => Self::Rayon(2),
            "flux-hybrid-2" => Self::Hybrid(2),
            _ => return None,
        })
    }

    /// Workers there, and instances of what is parallel.
    pub(crate) const fn workers(self) -> u32 {
        match self {
            Self::Sync => 1,
            Self::Tokio(n) | Self::Rayon(n) | Self::Hybrid(n) => n,
        }
    }
}

/// Runs a flow to its end in batches of `batch` rows. With `chain` stages share a task where they
/// can.
pub(crate) fn run(
    on: On,
    batch: usize,
    chain: bool,
    flow: impl Runnable<'static>,
) -> Result<RunReport, BenchError> {
    let mut options = RunOptions::default().batch(batch).workers(on.workers());
    options.chain = chain;
    let report = match on {
        On::Sync => engine::Sync::new().with(options).run(flow),
        On::Tokio(_) => engine::Tokio::new().with(options).run_blocking(flow),
        On::Rayon(_) => engine::Rayon::new().with(options).run(flow),
        On::Hybrid(_) => engine::Hybrid::new().with(options).run(flow),
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
