//! The commands: one module each.

mod check;
mod completions;
mod dlq;
mod graph;
mod new;
mod plan;
mod run;
mod schema;
mod test;

use crate::cli::{Cli, Command, Overrides, Stall};
use crate::config::{self, Engine};
use crate::console::{self, Exit, Outcome};
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// The program: reads its arguments, does what they say, tells what failed.
pub fn program(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => return usage(&e).into(),
    };
    let json = cli.json;
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(failure) => console::tell(&failure, json),
    }
    .into()
}

fn dispatch(cli: Cli) -> Outcome {
    let json = cli.json;
    match cli.command {
        Command::Run(args) => run::run(&args, json),
        Command::Check(args) => check::check(&args, json),
        Command::Plan(args) => plan::plan(&args),
        Command::Graph(args) => graph::graph(&args),
        Command::Test(args) => test::test(&args, json),
        Command::New(args) => new::new(&args),
        Command::Dlq(args) => dlq::dlq(&args, json),
        Command::Schema => schema::schema(),
        Command::Completions(args) => completions::completions(&args),
    }
}

/// Help and version go to standard output and are no fault.
fn usage(e: &clap::Error) -> Exit {
    if e.use_stderr() {
        console::say(&e.to_string());
        return Exit::Usage;
    }
    match console::print(&e.to_string()) {
        Ok(()) => Exit::Done,
        Err(e) => console::tell(&e.into(), false),
    }
}

impl Overrides {
    /// Puts what the command line says over what the file says.
    fn apply(&self, run: &mut config::Run) {
        match self.engine.as_deref() {
            Some("sync") => run.engine = Engine::Sync,
            Some("tokio") => run.engine = Engine::Tokio,
            Some("rayon") => run.engine = Engine::Rayon,
            _ => {}
        }
        run.workers = self.workers.or(run.workers);
        run.batch_rows = self.batch.unwrap_or(run.batch_rows);
        run.budget.value = self.budget.unwrap_or(run.budget.value);
        if let Some(Stall(length)) = self.max_stall {
            run.max_stall = length;
        }
    }
}

/// Instances of the accumulator: as said, else one a core, at most 64.
fn workers(run: &config::Run) -> u32 {
    run.workers.unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u32::try_from(cores).unwrap_or(1).clamp(1, 64)
    })
}
