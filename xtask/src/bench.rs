//! `bench`: the measurements, in their own workspace because they depend on peers.

use crate::process::{cargo, root, run as run_command};
use crate::report::Outcome;

/// `cargo run --release` in `bench/` with `args` handed on.
///
/// # Errors
/// There is no `bench/` workspace, or the run failed.
pub(crate) fn run(args: &[String]) -> Outcome {
    let folder = root().join("bench");
    if !folder.join("Cargo.toml").is_file() {
        return Err("there is no workspace in bench/".to_owned());
    }
    let mut command = cargo(["run", "--release", "--"]);
    run_command(command.args(args).current_dir(folder))
}
