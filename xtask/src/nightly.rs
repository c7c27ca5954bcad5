//! `nightly`: the gate, then the runs too long for it, each with its amount written down.

use crate::report::{self, Line, Outcome, Verdict};
use crate::{bench, checks, ci, fuzz, mutants, schedules, test};

/// One long run.
enum Work {
    /// The `heavy*` test binaries with this many cases per property (`FLUX_IO_CASES`).
    Heavy {
        /// Cases per property.
        cases: u32,
    },
    /// Every known fault against the unit tests.
    Mutants,
    /// The loom models with at most this many preemptions.
    Loom {
        /// Preemptions of running threads.
        preemptions: u32,
    },
    /// The shuttle scenarios.
    Shuttle {
        /// Schedules in all.
        schedules: u32,
    },
    /// The measurements with these arguments.
    Bench(&'static [&'static str]),
    /// Ten checks of inputs are taken away; fixtures must notice.
    Checks,
    /// Each reader is fuzzed for so many seconds.
    Fuzz {
        /// Seconds a target.
        seconds: u32,
    },
}

/// What runs after the gate, in order.
const LONG_RUNS: &[(&str, Work)] = &[
    ("properties", Work::Heavy { cases: 200_000 }),
    ("mutants", Work::Mutants),
    ("loom", Work::Loom { preemptions: 3 }),
    ("shuttle", Work::Shuttle { schedules: 5_000_000 }),
    ("checks", Work::Checks),
    ("fuzz", Work::Fuzz { seconds: 300 }),
    ("bench", Work::Bench(&["--full"])),
];

/// The name of the gate among them.
const GATE: &str = "ci";

/// Runs the gate and every long run, or those that `args` choose, then says how each ended.
///
/// # Errors
/// An argument is unknown, or what was run failed.
pub(crate) fn run(args: &[String]) -> Outcome {
    let chosen = chosen(args)?;
    let mut lines: Vec<Line> = Vec::new();
    if chosen.contains(&GATE) {
        let gate = || ci::run(&[]).map_err(|_| "see its table".to_owned());
        lines.push(report::timed(GATE, gate));
    }
    for (name, work) in LONG_RUNS.iter().filter(|(name, _)| chosen.contains(name)) {
        lines.push(report::timed(name, || match work {
            Work::Heavy { cases } => test::heavy_with_cases(Some(*cases)),
            Work::Mutants => mutants::survive(),
            Work::Loom { preemptions } => schedules::loom_with(*preemptions),
            Work::Shuttle { schedules: n } => schedules::shuttle_with(*n),
            Work::Checks => checks::run(&[]),
            Work::Fuzz { seconds } => fuzz::all(*seconds),
            Work::Bench(args) => {
                bench::run(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
            }
        }));
    }
    println!("{}", report::table("nightly", &lines));
    match report::count(&lines).1 {
        0 => Ok(Verdict::Passed),
        _ => Err(String::new()),
    }
}

/// The names of the runs that the arguments choose.
fn chosen(args: &[String]) -> Result<Vec<&'static str>, String> {
    let all = || std::iter::once(GATE).chain(LONG_RUNS.iter().map(|(name, _)| *name));
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let list = match words.as_slice() {
        [] => return Ok(all().collect()),
        ["--only", list] => list,
        other => return Err(format!("expected --only a,b, got `{}`", other.join(" "))),
    };
    let known = |name: &str| {
        let names = || all().collect::<Vec<_>>().join(", ");
        all().find(|n| *n == name).ok_or_else(|| format!("no run `{name}`; there are {}", names()))
    };
    list.split(',').map(|name| known(name.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_known_runs_and_refuses_others() {
        let choose =
            |args: &[&str]| chosen(&args.iter().map(|&a| a.to_owned()).collect::<Vec<_>>());
        assert_eq!(choose(&[]).unwrap().len(), 1 + LONG_RUNS.len());
        assert_eq!(choose(&["--only", "ci, bench"]).unwrap(), ["ci", "bench"]);
        assert!(choose(&["--only", "cii"]).unwrap_err().contains("`cii`"));
        assert!(choose(&["ci"]).is_err());
    }
}
