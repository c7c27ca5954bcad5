//! Why a bench child could not give a figure.

use std::path::PathBuf;

/// An error of a bench binary; the runner prints it and counts the case as failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The command line does not name a workload and a case.
    #[error("usage: <workload> <case> [--items N], but got: {0}")]
    Usage(String),
    /// This binary has no such case.
    #[error("no case {case} in workload {workload}; the cases stand in runner/src/cases.rs")]
    UnknownCase {
        /// Workload asked for.
        workload: String,
        /// Case asked for.
        case: String,
    },
    /// The number of items does not suit the workload.
    #[error("{items} items do not suit {workload}: {want}")]
    Items {
        /// Workload asked for.
        workload: String,
        /// Items asked for.
        items: u64,
        /// What would suit.
        want: String,
    },
    /// A file could not be read or written.
    #[error("cannot use the file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system refused something that is not a file.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A peer's run-time or one of our threads failed.
    #[error("{what} failed: {detail}")]
    Failed {
        /// Who failed.
        what: &'static str,
        /// What it said.
        detail: String,
    },
}

impl BenchError {
    /// The error of a thread that panicked.
    pub fn panicked(what: &'static str) -> Self {
        Self::Failed { what, detail: "its thread panicked".to_owned() }
    }
}
