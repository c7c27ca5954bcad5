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

/// Runs the gate and every long run, then says how each ended.
///
/// # Errors
/// The gate or a long run failed.
pub(crate) fn run() -> Outcome {
    let mut lines: Vec<Line> =
        vec![report::timed("ci", || ci::run(&[]).map_err(|_| "see its table".to_owned()))];
    for (name, work) in LONG_RUNS {
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
