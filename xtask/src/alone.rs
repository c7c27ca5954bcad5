//! `alone`: every library compiles by itself, so that no crate lives on a feature that another
//! one switched on: without features, with its default ones, and with each feature alone.

use crate::metadata::{self, Package};
use crate::process::{capture, cargo, has_cargo_tool};
use crate::report::{self, Outcome};

/// Checks every library of the workspace, with cargo-hack when it is installed.
///
/// # Errors
/// A combination does not compile, or compiles with a warning.
pub(crate) fn run() -> Outcome {
    let members = metadata::members()?;
    let libraries: Vec<&Package> = members.iter().filter(|p| p.is_library()).collect();
    let hack = has_cargo_tool("hack");
    if !hack {
        println!("cargo-hack is not installed: one cargo check per combination");
    }
    let mut faults = Vec::new();
    for package in libraries {
        let combinations = if hack { hack_arguments(package) } else { combinations(package) };
        println!("{}: {} runs", package.name, combinations.len());
        for args in combinations {
            faults.extend(check(&args)?);
        }
    }
    report::faults("alone", &faults)
}

/// One cargo-hack run that goes through the same combinations.
fn hack_arguments(package: &Package) -> Vec<Vec<String>> {
    let args = ["hack", "check", "--package", &package.name, "--lib", "--each-feature", "--quiet"];
    vec![args.map(str::to_owned).to_vec()]
}

/// The arguments of every `cargo check` a library needs.
fn combinations(package: &Package) -> Vec<Vec<String>> {
    let base = ["check", "--package", &package.name, "--lib", "--quiet"].map(str::to_owned);
    let with = |more: &[&str]| {
        base.iter().cloned().chain(more.iter().map(|&arg| arg.to_owned())).collect::<Vec<_>>()
    };
    let features = package.features.iter().filter(|feature| *feature != "default");
    [with(&["--no-default-features"]), with(&[])]
        .into_iter()
        .chain(features.map(|f| with(&["--no-default-features", "--features", f])))
        .collect()
}

/// Runs one combination. `RUSTFLAGS` would recompile everything below the crate, so warnings are
/// looked for in what cargo prints instead.
fn check(args: &[String]) -> Result<Option<String>, String> {
    let output = capture(&mut cargo(args))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let warned = errors.lines().any(|line| line.starts_with("warning"));
    if output.status.success() && !warned {
        return Ok(None);
    }
    eprint!("{errors}");
    let verdict = if output.status.success() { "warns" } else { "does not compile" };
    Ok(Some(format!("cargo {} {verdict}", args.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_checked_bare_by_default_and_with_each_feature_alone() {
        let json = r#"{"packages": [{"name": "x", "manifest_path": "Cargo.toml",
            "features": {"default": ["a"], "a": [], "b": ["a"]},
            "dependencies": [], "targets": [{"name": "x", "kind": ["lib"]}]}]}"#;
        let members = metadata::from_json(json).unwrap();
        let tails: Vec<String> =
            combinations(&members[0]).iter().map(|args| args[5..].join(" ")).collect();
        let alone = "--no-default-features --features";
        let expected = ["--no-default-features", "", &format!("{alone} a"), &format!("{alone} b")];
        assert_eq!(tails, expected);
    }
}
