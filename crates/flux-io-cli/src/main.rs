//! The `flux-io` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    flux_io_cli::program(std::env::args_os())
}
