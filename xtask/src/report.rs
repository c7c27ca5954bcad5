//! What a step says about itself, and the table of steps a run ends with.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How a step that did not fail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The step ran and found nothing wrong.
    Passed,
    /// The step ran and found nothing wrong in what the text says.
    PassedAll(String),
    /// The step did not run; the text says why.
    Skipped(String),
}

/// A step's verdict, or the reason it failed; an empty reason has been printed already.
pub(crate) type Outcome = Result<Verdict, String>;

/// One finished step.
#[derive(Debug)]
pub(crate) struct Line {
    /// The step's name, as `--only` takes it.
    pub(crate) name: String,
    /// Wall time the step took.
    pub(crate) took: Duration,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

/// Runs `step` between a heading and a verdict line, and measures it.
pub(crate) fn timed(name: &str, step: impl FnOnce() -> Outcome) -> Line {
    println!("== {name}");
    let (outcome, took) = stopwatch(step);
    let line = Line { name: name.to_owned(), took, outcome };
    println!("-- {}\n", verdict_text(&line));
    line
}

#[expect(clippy::disallowed_methods, reason = "the one place that measures how long a step took")]
fn stopwatch<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

fn verdict_text(line: &Line) -> String {
    let seconds = line.took.as_secs_f64();
    match &line.outcome {
        Ok(Verdict::Passed) => format!("{:<10} {seconds:>8.1} s  passed", line.name),
        Ok(Verdict::PassedAll(what)) => {
            format!("{:<10} {seconds:>8.1} s  passed ({what})", line.name)
        }
        Ok(Verdict::Skipped(why)) => {
            format!("{:<10} {seconds:>8.1} s  skipped ({why})", line.name)
        }
        Err(why) => {
            let first = why.lines().next().unwrap_or_default();
            format!("{:<10} {seconds:>8.1} s  FAILED ({first})", line.name)
        }
    }
}

/// The table of steps with its total, then the one-line count `name: N passed, ...`.
pub(crate) fn table(name: &str, lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", verdict_text(line));
    }
    let total: Duration = lines.iter().map(|line| line.took).sum();
    let _ = writeln!(text, "{:<10} {:>8.1} s", "total", total.as_secs_f64());
    let (passed, failed, skipped) = count(lines);
    let _ = write!(text, "{name}: {passed} passed, {failed} failed, {skipped} skipped");
    text
}

/// Steps that [`slowest`] names.
const SLOWEST: usize = 5;

/// The steps that took longest, the longest first, with their share of the whole.
pub(crate) fn slowest(lines: &[Line]) -> String {
    let total: Duration = lines.iter().map(|line| line.took).sum();
    let mut by_time: Vec<&Line> = lines.iter().collect();
    by_time.sort_by_key(|line| std::cmp::Reverse(line.took));
    let each = by_time.iter().take(SLOWEST).map(|line| {
        let share = line.took.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        format!("{} {:.0} s ({:.0} %)", line.name, line.took.as_secs_f64(), share * 100.0)
    });
    format!("slowest: {}", each.collect::<Vec<_>>().join(", "))
}

/// How many steps passed, failed and were skipped, in this order.
pub(crate) fn count(lines: &[Line]) -> (usize, usize, usize) {
    let passed = |line: &&Line| matches!(line.outcome, Ok(Verdict::Passed | Verdict::PassedAll(_)));
    let passed = lines.iter().filter(passed).count();
    let failed = lines.iter().filter(|line| line.outcome.is_err()).count();
    (passed, failed, lines.len() - passed - failed)
}

/// Prints every fault under a heading; fails with their number unless there is none.
pub(crate) fn faults(what: &str, faults: &[String]) -> Outcome {
    for fault in faults {
        eprintln!("{what}: {fault}");
    }
    match faults.len() {
        0 => Ok(Verdict::Passed),
        1 => Err("1 fault".to_owned()),
        n => Err(format!("{n} faults")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, outcome: Outcome) -> Line {
        Line { name: name.to_owned(), took: Duration::from_millis(1500), outcome }
    }

    #[test]
    fn table_counts_every_kind_of_verdict_and_sums_the_time() {
        let lines = [
            line("fmt", Ok(Verdict::Passed)),
            line("lint", Err("exit status 101\nmore".to_owned())),
            line("deny", Ok(Verdict::Skipped("cargo-deny is not installed".to_owned()))),
        ];
        let expected = "\
fmt             1.5 s  passed
lint            1.5 s  FAILED (exit status 101)
deny            1.5 s  skipped (cargo-deny is not installed)
total           4.5 s
ci: 1 passed, 1 failed, 1 skipped";
        assert_eq!(table("ci", &lines), expected);
    }

    #[test]
    fn the_slowest_steps_are_named_the_longest_first() {
        let took = |name: &str, seconds| {
            let outcome = Ok(Verdict::PassedAll("3 models".to_owned()));
            Line { took: Duration::from_secs(seconds), ..line(name, outcome) }
        };
        let steps = [("a", 1), ("b", 40), ("c", 2), ("d", 30), ("e", 20), ("f", 7)];
        let lines = steps.map(|(name, seconds)| took(name, seconds));
        let expected =
            "slowest: b 40 s (40 %), d 30 s (30 %), e 20 s (20 %), f 7 s (7 %), c 2 s (2 %)";
        assert_eq!(slowest(&lines), expected);
        assert!(table("ci", &lines).contains("f               7.0 s  passed (3 models)"));
        assert_eq!(count(&lines), (6, 0, 0));
    }
}
