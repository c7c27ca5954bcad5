//! The command line of a bench child and its `main`.

use std::{env, error::Error as _, process::ExitCode};

use crate::{BenchError, Measured, ORDERS, fragments, report};

/// What a child has to do.
#[derive(Debug, Clone)]
pub struct Task {
    /// Workload, such as `w5`.
    pub workload: String,
    /// Case, such as `timely-1t`.
    pub case: String,
    /// Items to put through.
    pub items: u64,
}

impl Task {
    fn from_args(args: &[String]) -> Result<Self, BenchError> {
        let usage = || BenchError::Usage(args.join(" "));
        let (workload, case, items) = match args {
            [workload, case] => (workload, case, default_items(workload)),
            [workload, case, flag, items] if flag == "--items" => {
                (workload, case, items.parse().map_err(|_| usage())?)
            }
            _ => return Err(usage()),
        };
        if matches!(workload.as_str(), "w5" | "lat") {
            fragments::check_items(workload, items)?;
        }
        Ok(Self { workload: workload.clone(), case: case.clone(), items })
    }

    /// The error that says that the binary at hand lacks this case.
    pub fn unknown(&self) -> BenchError {
        BenchError::UnknownCase { workload: self.workload.clone(), case: self.case.clone() }
    }
}

/// Items of a workload when the command line does not say.
fn default_items(workload: &str) -> u64 {
    match workload {
        "w1" => 100_000_000,
        "w2" => 200 << 20,
        "w3" => 48_000_000,
        "w4" | "w4m" => 20_000_000,
        "w9" => 1_000_000,
        "cpu" => 400_000,
        "mixed" => 40_000,
        "w5" => 8 << 20,
        "lat" => 16 << 20,
        "orders" => ORDERS[1].lines,
        _ => 10_000_000,
    }
}

/// The `main` of every child: reads the command line, runs the case, prints its line. Errors go to
/// standard error with their causes, and the exit code is 1.
pub fn run_child(run: impl FnOnce(&Task) -> Result<Measured, BenchError>) -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let outcome = Task::from_args(&args).and_then(|task| {
        let measured = run(&task)?;
        report(&task, measured)
            .map_err(|error| BenchError::Failed { what: "reporting", detail: error.to_string() })
    });
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprint!("{error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}
