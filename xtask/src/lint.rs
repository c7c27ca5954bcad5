//! `lint`: the workspace's lint table over every target and feature, warnings refused.

use crate::process::{cargo, run as run_command};
use crate::report::Outcome;

/// `cargo clippy` over the whole workspace.
///
/// # Errors
/// A lint fired.
pub(crate) fn run() -> Outcome {
    let mut command = cargo(["clippy", "--workspace", "--all-targets", "--all-features"]);
    run_command(command.args(["--", "-D", "warnings"]))
}
