//! `deny`: licences, bans and sources of everything in the lock file, as `deny.toml` says.
//!
//! Advisories need the network and are therefore left to whoever runs `cargo deny check` by hand.

use crate::process::{cargo, has_cargo_tool, run as run_command};
use crate::report::{Outcome, Verdict};

/// `cargo deny check bans licenses sources`.
///
/// # Errors
/// A crate breaks a rule of `deny.toml`.
pub(crate) fn run() -> Outcome {
    if !has_cargo_tool("deny") {
        return Ok(Verdict::Skipped("cargo-deny is not installed".to_owned()));
    }
    run_command(&mut cargo(["deny", "check", "bans", "licenses", "sources"]))
}
