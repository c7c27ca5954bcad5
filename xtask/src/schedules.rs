//! `loom` and `shuttle`: the hand-synchronised pieces under every schedule, and the rayon engine
//! under many. Both stand behind the doors (`src/sync.rs`) of the crates that depend on them, each
//! under a cfg of its own, and build in a folder of their own.

use std::path::PathBuf;

use crate::metadata;
use crate::process::{cargo, root, run_counted};
use crate::report::Outcome;

/// Preemptions a loom model tries in the gate; most races need one or two (CHESS, 2007).
const PREEMPTIONS: u32 = 2;

/// Schedules that shuttle runs in the gate, over all scenarios.
const SCHEDULES: u32 = 100_000;

/// The loom models, with the gate's bound.
///
/// # Errors
/// A model failed or did not compile.
pub(crate) fn loom() -> Outcome {
    loom_with(PREEMPTIONS)
}

/// The loom models, with at most `preemptions` of running threads.
///
/// # Errors
/// As [`loom`].
pub(crate) fn loom_with(preemptions: u32) -> Outcome {
    explore("loom", "models", "LOOM_MAX_PREEMPTIONS", preemptions)
}

/// The shuttle scenarios, with the gate's amount.
///
/// # Errors
/// A scenario failed or did not compile.
pub(crate) fn shuttle() -> Outcome {
    shuttle_with(SCHEDULES)
}

/// The shuttle scenarios, with this many schedules in all.
///
/// # Errors
/// As [`shuttle`].
pub(crate) fn shuttle_with(schedules: u32) -> Outcome {
    explore("shuttle", "scenarios", "FLUX_IO_SCHEDULES", schedules)
}

/// Runs the unit tests in modules `<checker>_tests` of every crate with that checker behind its
/// door.
fn explore(checker: &str, what: &str, variable: &str, amount: u32) -> Outcome {
    let mut command = cargo(["test", "--release", "--lib", "--no-default-features"]);
    for package in metadata::members()? {
        if package.dependencies.iter().any(|d| d.name == checker) {
            command.args(["--package", &package.name]);
        }
    }
    command.args([&format!("{checker}_tests"), "--", "--nocapture"]);
    command.env("RUSTFLAGS", format!("--cfg flux_io_{checker}"));
    command.env("CARGO_TARGET_DIR", folder().join(checker));
    command.env(variable, amount.to_string());
    run_counted(&mut command, &["--list"], what)
}

/// Where cargo builds: a checker's flags would rebuild everything that lies there.
fn folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
