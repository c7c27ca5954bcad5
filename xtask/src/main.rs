//! `cargo xtask`: everything the project checks, measures and ships, behind one name.
//!
//! Each command is one file with one `run` function; `ci` is the list of those that must pass
//! before a change lands. Nothing here knows the crates by heart except the table in
//! `layers/table.rs`; the rest is read from `cargo metadata`.

mod alone;
mod bench;
mod checks;
mod ci;
mod deny;
mod doc;
mod doors;
mod examples;
mod fmt;
mod fuzz;
mod help;
mod layers;
mod lint;
mod metadata;
mod mutants;
mod nightly;
mod package;
mod process;
mod report;
mod rows;
mod schedules;
mod specs;
mod test;

use std::process::ExitCode;

use report::{Outcome, Verdict};

fn main() -> ExitCode {
    if let Some(code) = mutants::as_compiler() {
        return code;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match dispatch(command, rest) {
        Ok(Verdict::Passed | Verdict::PassedAll(_)) => ExitCode::SUCCESS,
        Ok(Verdict::Skipped(reason)) => {
            println!("{command}: skipped ({reason})");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            if !reason.is_empty() {
                eprintln!("{command}: FAILED: {reason}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs one command with what stands after it on the command line.
fn dispatch(command: &str, args: &[String]) -> Outcome {
    let takes_args = matches!(command, "ci" | "rows" | "bench" | "checks" | "fuzz" | "nightly");
    if !takes_args && !args.is_empty() {
        return Err(format!("`{command}` takes no arguments, got `{}`", args.join(" ")));
    }
    match command {
        "ci" => ci::run(args),
        "layers" => layers::run(),
        "rows" => rows::run(args),
        "doors" => doors::run(),
        "fmt" => fmt::run(),
        "lint" => lint::run(),
        "alone" => alone::run(),
        "test" => test::all(),
        "doc" => doc::run(),
        "examples" => examples::run(),
        "mutants" => mutants::run(),
        "package" => package::run(),
        "deny" => deny::run(),
        "loom" => schedules::loom(),
        "shuttle" => schedules::shuttle(),
        "specs" => specs::run(),
        "bench" => bench::run(args),
        "fuzz" => fuzz::run(args),
        "checks" => checks::run(args),
        "nightly" => nightly::run(args),
        "help" | "-h" | "--help" => help::run(),
        unknown => Err(format!("no such command: `{unknown}`; `cargo xtask help` lists them")),
    }
}
