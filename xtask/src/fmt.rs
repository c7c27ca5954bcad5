//! `fmt`: the tree is formatted as `rustfmt.toml` says.

use crate::process::{cargo, run as run_command};
use crate::report::Outcome;

/// `cargo fmt --all --check`.
///
/// # Errors
/// A file is not formatted; the difference is printed.
pub(crate) fn run() -> Outcome {
    run_command(&mut cargo(["fmt", "--all", "--check"]))
}
