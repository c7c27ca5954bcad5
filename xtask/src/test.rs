//! `test`: the tests in three parts: the default ones, the heavy ones optimised, the doc-tests.
//!
//! cargo-nextest runs the first two when it is installed; otherwise `cargo test` does, and says so.

use std::collections::BTreeSet;
use std::process::Command;

use crate::metadata::{self, Package, Target};
use crate::process::{cargo, has_cargo_tool, run as run_command, run_counted};
use crate::report::{self, Outcome, Verdict};

/// Integration tests whose binary name starts so are built with `[profile.ci]`: optimised, with
/// assertions and overflow checks on. This is the only place that decides it.
const HEAVY_PREFIX: &str = "heavy";

/// Cargo profile of the heavy tests, and of the examples.
pub(crate) const HEAVY_PROFILE: &str = "ci";

/// The packages whose doc-tests run; each doc-test links a program of its own, so others keep
/// their examples in `tests/`.
const DOC_TESTED: &[&str] = &["flux-io-core", "flux-io"];

/// Number of cases per property, read by the property tests.
const CASES_VARIABLE: &str = "FLUX_IO_CASES";

/// All three parts, each run even when one before it failed.
///
/// # Errors
/// A part failed.
pub(crate) fn all() -> Outcome {
    let parts = [
        report::timed("test", default),
        report::timed("heavy", heavy),
        report::timed("doc-tests", doc_tests),
    ];
    println!("{}", report::table("test", &parts));
    match report::count(&parts).1 {
        0 => Ok(Verdict::Passed),
        n => Err(format!("{n} of {} parts", parts.len())),
    }
}

/// Unit and integration tests of the workspace with default features, the heavy ones left out.
///
/// # Errors
/// A test failed or did not compile.
pub(crate) fn default() -> Outcome {
    let members = metadata::members()?;
    let mut args = vec!["--workspace".to_owned(), "--lib".to_owned(), "--bins".to_owned()];
    args.extend(selection(&members, false));
    run_command(runner(None).args(args))
}

/// Integration tests named `heavy*`, optimised.
///
/// # Errors
/// A test failed or did not compile.
pub(crate) fn heavy() -> Outcome {
    heavy_with_cases(None)
}

/// The heavy tests with a given number of cases per property; without one, their own default.
///
/// # Errors
/// A test failed or did not compile.
pub(crate) fn heavy_with_cases(cases: Option<u32>) -> Outcome {
    let members = metadata::members()?;
    let mut args = selection(&members, true);
    if args.is_empty() {
        let reason = format!("no integration test is named {HEAVY_PREFIX}*");
        return Ok(Verdict::Skipped(reason));
    }
    for package in members.iter().filter(|p| p.targets_of("test").any(is_heavy)) {
        args.extend(["--package".to_owned(), package.name.clone()]);
    }
    let mut command = runner(Some(HEAVY_PROFILE));
    if let Some(cases) = cases {
        command.env(CASES_VARIABLE, cases.to_string());
    }
    run_command(command.args(args))
}

/// Doc-tests of the packages that have them.
///
/// # Errors
/// A doc-test failed.
pub(crate) fn doc_tests() -> Outcome {
    let members = metadata::members()?;
    let mut command = cargo(["test", "--doc"]);
    let present: Vec<&str> =
        DOC_TESTED.iter().copied().filter(|name| members.iter().any(|p| p.name == *name)).collect();
    if present.is_empty() {
        return Ok(Verdict::Skipped(format!("none of {} exists", DOC_TESTED.join(", "))));
    }
    for name in present {
        command.args(["--package", name]);
    }
    run_counted(&mut command, &["--", "--list"], "examples")
}

/// The test runner, with a cargo profile when the tests want one.
fn runner(profile: Option<&str>) -> Command {
    let nextest = has_cargo_tool("nextest");
    let (mut command, flag) = if nextest {
        (cargo(["nextest", "run", "--profile", "ci"]), "--cargo-profile")
    } else {
        println!("cargo-nextest is not installed: cargo test runs the tests");
        (cargo(["test", "--no-fail-fast"]), "--profile")
    };
    if let Some(profile) = profile {
        command.args([flag, profile]);
    }
    command
}

/// `--test` and `--features` arguments that name the heavy integration tests, or all others.
///
/// Naming them keeps cargo from compiling the ones that are not wanted. Features that a test
/// requires are switched on: cargo refuses to run a named test without them.
fn selection(members: &[Package], heavy: bool) -> Vec<String> {
    let mut names = BTreeSet::new();
    let mut features = BTreeSet::new();
    for package in members {
        for target in package.targets_of("test").filter(|target| is_heavy(target) == heavy) {
            names.insert(target.name.clone());
            let wanted = target.required_features.iter();
            features.extend(wanted.map(|feature| format!("{}/{feature}", package.name)));
        }
    }
    let names = names.into_iter().flat_map(|name| ["--test".to_owned(), name]);
    names.chain(features.into_iter().flat_map(|f| ["--features".to_owned(), f])).collect()
}

fn is_heavy(target: &Target) -> bool {
    target.name.starts_with(HEAVY_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [{
        "name": "flux-io-flow", "manifest_path": "Cargo.toml", "dependencies": [],
        "targets": [
            {"name": "it", "kind": ["test"]},
            {"name": "heavy_laws", "kind": ["test"], "required-features": ["laws"]},
            {"name": "heavy", "kind": ["example"]}
        ]}]}"#;

    #[test]
    fn heavy_tests_are_named_apart_from_the_others() {
        let members = metadata::from_json(METADATA).unwrap();
        assert_eq!(selection(&members, false), ["--test", "it"]);
        let heavy = ["--test", "heavy_laws", "--features", "flux-io-flow/laws"];
        assert_eq!(selection(&members, true), heavy);
    }
}
