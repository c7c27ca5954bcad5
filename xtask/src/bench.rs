//! `bench`: the measurements, in their own workspace because they depend on peers.

use crate::process::{cargo, root, run as run_command};
use crate::report::Outcome;

/// Builds the workspace in `bench/`, not incrementally, and runs its runner with `args`.
///
/// # Errors
/// There is no `bench/` workspace, or the run failed.
pub(crate) fn run(args: &[String]) -> Outcome {
    let folder = root().join("bench");
    if !folder.join("Cargo.toml").is_file() {
        return Err("there is no workspace in bench/".to_owned());
    }
    // The runner starts the other binaries, so all of them are built.
    let mut build = cargo(["build", "--release"]);
    run_command(build.env("CARGO_INCREMENTAL", "0").current_dir(&folder))?;
    let mut command = cargo(["run", "--release", "--package", "bench", "--"]);
    run_command(command.env("CARGO_INCREMENTAL", "0").args(args).current_dir(folder))
}
