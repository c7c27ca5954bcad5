//! `doc`: the documentation builds without a warning, broken links included.

use crate::process::{cargo, run as run_command};
use crate::report::Outcome;

/// `cargo doc` over the whole workspace with warnings refused.
///
/// # Errors
/// rustdoc warned.
pub(crate) fn run() -> Outcome {
    let mut command = cargo(["doc", "--workspace", "--no-deps"]);
    run_command(command.env("RUSTDOCFLAGS", "-D warnings"))
}
