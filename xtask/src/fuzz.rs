//! `fuzz`: the readers under cargo-fuzz, seeded with the fixtures of the bad-input catalogue.
//!
//! cargo-fuzz and a nightly toolchain are optional; without them the step is skipped. What it would
//! find first is found without it too: the `spoilt_*` tests run in the gate.

use std::path::Path;

use crate::process::{capture, cargo, has_cargo_tool, root, run as run_command};
use crate::report::{Outcome, Verdict};

/// The targets of `fuzz/`.
const TARGETS: &[&str] = &["ndjson", "csv", "frames", "expression", "pipeline"];

/// Crates whose tests write seeds when `FLUX_IO_SEEDS` names a directory.
const SEEDED_BY: &[&str] = &["flux-io-record", "flux-io-cli"];

/// Seconds a target, unless `--seconds` says otherwise.
const SECONDS: u32 = 60;

/// Fuzzes each target for a while.
///
/// # Errors
/// An argument is unknown, or a target failed.
pub(crate) fn run(args: &[String]) -> Outcome {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => all(SECONDS),
        ["--seconds", n] => all(n.parse().map_err(|_| format!("`{n}` are no seconds"))?),
        other => Err(format!("expected --seconds N, got `{}`", other.join(" "))),
    }
}

/// Fuzzes each target for `seconds`.
///
/// # Errors
/// A target failed.
pub(crate) fn all(seconds: u32) -> Outcome {
    if !has_cargo_tool("fuzz") {
        return Ok(Verdict::Skipped("cargo-fuzz is not installed".to_owned()));
    }
    let nightly =
        capture(std::process::Command::new("rustup").args(["run", "nightly", "rustc", "-V"]));
    if !nightly.is_ok_and(|output| output.status.success()) {
        return Ok(Verdict::Skipped("cargo-fuzz needs a nightly toolchain".to_owned()));
    }
    let seeds = root().join("target/seeds");
    for package in SEEDED_BY {
        let mut command = cargo(["test", "--quiet", "--test", "it", "-p", package, "seeds"]);
        run_command(command.env("FLUX_IO_SEEDS", &seeds))?;
    }
    TARGETS.iter().try_for_each(|target| one(target, &seeds, seconds))?;
    Ok(Verdict::Passed)
}

fn one(target: &str, seeds: &Path, seconds: u32) -> Result<(), String> {
    // A target without seeds of its own starts from those of NDJSON: lines are frames.
    let own = seeds.join(target);
    let from = if own.is_dir() { own } else { seeds.join("ndjson") };
    let corpus = root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)
        .map_err(|e| format!("cannot make {}: {e}", corpus.display()))?;
    let mut command = std::process::Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", "run", target]).arg(corpus).arg(from);
    command.args(["--", &format!("-max_total_time={seconds}"), "-max_len=65536"]);
    run_command(command.current_dir(root())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_file_and_an_entry() {
        let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        for target in TARGETS {
            assert!(root().join(format!("fuzz/fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        }
    }
}
