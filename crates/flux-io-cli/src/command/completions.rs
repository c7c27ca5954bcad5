//! `completions`: for shells.

use crate::cli::{Cli, Completions};
use crate::console::{Exit, Outcome, print};
use clap::CommandFactory;

pub(super) fn completions(args: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flux-io", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
