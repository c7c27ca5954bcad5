//! `mutants`: known faults of the protocol, one at a time, against the simulator: a fault that is
//! not found is a hole in an oracle.
//!
//! The faults stand behind `--cfg flux_io_mutants`. This program itself is the compiler's wrapper
//! that adds the word, so that only the workspace is compiled anew, beside what a plain build made,
//! and not optimised: compiling that would take longer than the seeds that a fault needs.

use std::process::{Command, ExitCode};

use crate::process::{capture, cargo, has_cargo_tool, run as run_command, stdout};
use crate::report::{self, Outcome, Verdict};

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

/// Every known fault against the unit tests of the crates it stands in: those must not see it, or
/// the simulator would not be needed for it. One build, one run of the tests a fault.
///
/// # Errors
/// A unit test saw a fault, or something could not be run.
pub(crate) fn survive() -> Outcome {
    let names = names()?;
    let mut seen = Vec::new();
    for name in &names {
        let mut command = cargo(["test", "--lib", "--quiet"]);
        for package in ["flux-io-core", "flux-io-accumulate", "flux-io-flow", "flux-io-sim"] {
            command.args(["--package", package]);
        }
        let output = capture(with_cfg(command)?.env("FLUX_IO_MUTANT", name))?;
        if !output.status.success() {
            seen.push(format!("{name} is seen by a unit test"));
        }
    }
    println!("{} known faults, {} of them seen by unit tests", names.len(), seen.len());
    report::faults("mutants", &seen)
}

/// The known faults by name.
fn names() -> Result<Vec<String>, String> {
    let list = ["test", "--package", "flux-io", "--test", "heavy_mutants", "names"];
    let said = stdout(with_cfg(cargo(list))?.args(["--", "--nocapture"]))?;
    let name = |l: &str| l.split_once("mutant ").map(|x| x.1.to_owned());
    Ok(said.lines().filter_map(name).collect())
}

/// The table of known faults, with the seeds each needed.
///
/// # Errors
/// A fault was not found.
pub(crate) fn run() -> Outcome {
    let test = ["--package", "flux-io", "--test", "heavy_mutants"];
    let mut command = if has_cargo_tool("nextest") {
        let mut c = cargo(["nextest", "run", "--profile", "ci"]);
        c.args(["--success-output", "final"]).args(test);
        c
    } else {
        let mut c = cargo(["test"]);
        c.args(test).args(["--", "--nocapture"]);
        c
    };
    command = with_cfg(command)?;
    run_command(&mut command)?;
    Ok(Verdict::PassedAll(format!("{} faults", names()?.len())))
}
