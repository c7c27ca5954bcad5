//! `ci`: the gate. Runs its steps in order, keeps going after a failure so that one run shows
//! them all, and ends with a table and one line of counts.

use crate::report::{self, Line, Outcome, Verdict};
use crate::{
    alone, deny, doc, doors, examples, fmt, layers, lint, mutants, package, rows, schedules, specs,
    test,
};

/// One check, run without arguments.
type Check = fn() -> Outcome;

/// The gate: every step by name, in the order it runs.
const STEPS: &[(&str, Check)] = &[
    ("fmt", fmt::run),
    ("layers", layers::run),
    ("rows", rows::check_tree),
    ("doors", doors::run),
    ("lint", lint::run),
    ("alone", alone::run),
    ("test", test::default),
    ("heavy", test::heavy),
    ("loom", schedules::loom),
    ("shuttle", schedules::shuttle),
    ("specs", specs::run),
    ("mutants", mutants::run),
    ("doc-tests", test::doc_tests),
    ("doc", doc::run),
    ("examples", examples::run),
    ("package", package::run),
    ("deny", deny::run),
];

/// What `--fast` keeps.
const FAST: &[&str] = &["fmt", "layers", "rows", "doors", "lint"];

/// Runs the gate, or the part of it that `args` chooses.
///
/// # Errors
/// An argument is unknown, or a step failed.
pub(crate) fn run(args: &[String]) -> Outcome {
    let chosen = chosen(args)?;
    let lines: Vec<Line> = STEPS
        .iter()
        .filter(|(name, _)| chosen.contains(name))
        .map(|(name, check)| {
            let line = report::timed(name, check);
            if let Err(reason) = &line.outcome {
                eprintln!("{name}: {reason}");
            }
            line
        })
        .collect();
    println!("{}\n{}", report::slowest(&lines), report::table("ci", &lines));
    match report::count(&lines).1 {
        0 => Ok(Verdict::Passed),
        // The count above is the last line of the run, whatever it says.
        _ => Err(String::new()),
    }
}

/// The names of the steps that the arguments choose.
fn chosen(args: &[String]) -> Result<Vec<&'static str>, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let names: Vec<&str> = match words.as_slice() {
        [] => return Ok(STEPS.iter().map(|(name, _)| *name).collect()),
        ["--fast"] => return Ok(FAST.to_vec()),
        ["--only", list] => list.split(',').map(str::trim).collect(),
        other => return Err(format!("expected --fast or --only a,b, got `{}`", other.join(" "))),
    };
    names.into_iter().map(known).collect()
}

fn known(name: &str) -> Result<&'static str, String> {
    let found = STEPS.iter().map(|(known, _)| *known).find(|known| *known == name);
    found.ok_or_else(|| {
        let all: Vec<&str> = STEPS.iter().map(|(known, _)| *known).collect();
        format!("no such step: `{name}`; there are {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(args: &[&str]) -> Result<Vec<&'static str>, String> {
        chosen(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn no_argument_runs_every_step_and_fast_runs_known_ones() {
        assert_eq!(choose(&[]).unwrap().len(), STEPS.len());
        for name in choose(&["--fast"]).unwrap() {
            assert_eq!(known(name), Ok(name));
        }
    }

    #[test]
    fn only_takes_known_names_and_refuses_others() {
        assert_eq!(choose(&["--only", "lint, fmt"]).unwrap(), ["lint", "fmt"]);
        assert!(choose(&["--only", "lint,lnt"]).unwrap_err().contains("`lnt`"));
        assert!(choose(&["--fsat"]).is_err());
    }
}
