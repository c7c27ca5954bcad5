//! `mutants`: known faults of the protocol, one at a time, against the simulator: a fault that is
//! not found is a hole in an oracle.
//!
//! The faults stand behind `--cfg flux_io_mutants`. This program itself is the compiler's wrapper
//! that adds the word, so that only the workspace is compiled anew, beside what a plain build made.

use std::process::{Command, ExitCode};

use crate::process::{cargo, has_cargo_tool, run as run_command};
use crate::report::Outcome;

/// Set for the compiler's wrapper, so that it knows itself.
const WRAPPER: &str = "FLUX_IO_MUTANTS_WRAPPER";

/// Compiles as asked, with the cfg; `None` when this process is no compiler's wrapper.
pub(crate) fn as_compiler() -> Option<ExitCode> {
    std::env::var_os(WRAPPER)?;
    let mut args = std::env::args_os().skip(1);
    let status = Command::new(args.next()?).args(args).args(["--cfg", "flux_io_mutants"]).status();
    let code = status.ok().and_then(|s| s.code()).and_then(|c| u8::try_from(c).ok());
    Some(ExitCode::from(code.unwrap_or(1)))
}

fn with_cfg(mut command: Command) -> Result<Command, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot name this program: {e}"))?;
    command.env("RUSTC_WORKSPACE_WRAPPER", own).env(WRAPPER, "1");
    Ok(command)
}

/// The table of known faults, with the seeds each needed.
///
/// # Errors
/// A fault was not found.
pub(crate) fn run() -> Outcome {
    let test = ["--package", "flux-io", "--test", "heavy_mutants"];
    let mut command = if has_cargo_tool("nextest") {
        let runner = ["nextest", "run", "--profile", "ci", "--cargo-profile", "ci"];
        let mut c = cargo(runner);
        c.args(["--success-output", "final"]).args(test);
        c
    } else {
        let mut c = cargo(["test", "--profile", "ci"]);
        c.args(test).args(["--", "--nocapture"]);
        c
    };
    command = with_cfg(command)?;
    run_command(&mut command)
}
