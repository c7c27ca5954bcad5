//! `examples`: every example runs to its end on its small input and says what it should.
//!
//! An example's arguments and a text that its output must contain stand in its package's manifest:
//! `[package.metadata.examples.<name>]` with `args = [...]` and `expect = "..."`. One that needs
//! what a clean clone has not, or that writes into the tree, says `skip = "why"`; the run shows it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::metadata::{self, Package, Target};
use crate::process::{capture, cargo, run as run_command};
use crate::report::{self, Outcome, Verdict};
use crate::test::HEAVY_PROFILE;

/// Packages named so are examples as a whole: their programs run too.
const EXAMPLE_PACKAGE: &str = "flux-io-example-";

/// One example and how it wants to be run.
struct Example<'a> {
    package: &'a Package,
    target: &'a Target,
    /// `--example` or `--bin`.
    flag: &'static str,
    args: Vec<String>,
    expect: Option<String>,
    skip: Option<String>,
}

/// Runs every example of the workspace, optimised.
///
/// # Errors
/// An example fails, its output lacks the expected text, or a manifest describes no example.
pub(crate) fn run() -> Outcome {
    let members = metadata::members()?;
    let mut faults = Vec::new();
    let mut examples = Vec::new();
    for package in &members {
        let found = examples_of(package);
        faults.extend(strangers(package, &found));
        examples.extend(found);
    }
    if examples.is_empty() && faults.is_empty() {
        return Ok(Verdict::Skipped("the workspace has no example".to_owned()));
    }
    build(&examples);
    for example in &examples {
        let Example { package, target, skip, .. } = example;
        match skip {
            Some(why) => println!("{} {}: skipped ({why})", package.name, target.name),
            None => {
                println!("{} {}", package.name, target.name);
                faults.extend(try_out(example)?);
            }
        }
    }
    report::faults("examples", &faults)
}

fn examples_of(package: &Package) -> Vec<Example<'_>> {
    let whole = package.name.starts_with(EXAMPLE_PACKAGE);
    let programs = package.targets_of("bin").filter(|_| whole).map(|target| ("--bin", target));
    let examples = package.targets_of("example").map(|target| ("--example", target));
    let field = |target: &Target, name: &str| {
        package.extra.get("examples")?.get(&target.name)?.get(name).cloned()
    };
    let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    examples
        .chain(programs)
        .map(|(flag, target)| Example {
            package,
            target,
            flag,
            args: metadata::strings(field(target, "args").as_ref()),
            expect: text(field(target, "expect")),
            skip: text(field(target, "skip")),
        })
        .collect()
}

/// Descriptions in the manifest that belong to no example.
fn strangers(package: &Package, examples: &[Example<'_>]) -> Vec<String> {
    let described = package.extra.get("examples").and_then(Value::as_object);
    let names = described.into_iter().flat_map(|map| map.keys());
    names
        .filter(|name| !examples.iter().any(|example| example.target.name == **name))
        .map(|name| {
            format!("{}: the manifest describes example `{name}`, which is not there", package.name)
        })
        .collect()
}

/// Builds what will run, all that want the same features in one go: built one by one, each would
/// leave cores idle while it links.
fn build(examples: &[Example<'_>]) {
    let mut together: BTreeMap<(&str, &[String]), Vec<&Example<'_>>> = BTreeMap::new();
    for example in examples.iter().filter(|example| example.skip.is_none()) {
        let wants = (example.package.name.as_str(), example.target.required_features.as_slice());
        together.entry(wants).or_default().push(example);
    }
    for ((package, features), examples) in together {
        let mut command = cargo(["build", "--profile", HEAVY_PROFILE, "--package", package]);
        command.args(examples.iter().flat_map(|e| [e.flag, e.target.name.as_str()]));
        if !features.is_empty() {
            command.args(["--features", &features.join(",")]);
        }
        // One that does not compile fails again, by its name, when it is to run.
        run_command(&mut command).ok();
    }
}

fn try_out(example: &Example<'_>) -> Result<Option<String>, String> {
    let Example { package, target, flag, args, expect, .. } = example;
    let mut command = cargo(["run", "--profile", HEAVY_PROFILE, "--quiet"]);
    command.args(["--package", package.name.as_str()]);
    command.args([*flag, target.name.as_str()]);
    if !target.required_features.is_empty() {
        command.args(["--features", &target.required_features.join(",")]);
    }
    let output = capture(command.arg("--").args(args))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = if output.status.success() {
        expect
            .as_ref()
            .filter(|text| !said.contains(text.as_str()))
            .map(|text| format!("its output does not contain `{text}`"))
    } else {
        Some(output.status.to_string())
    };
    Ok(wrong.map(|wrong| {
        eprintln!("{said}{}", String::from_utf8_lossy(&output.stderr));
        format!("{} {}: {wrong}", package.name, target.name)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_expectation_come_from_the_manifest_and_strangers_are_named() {
        let json = r#"{"packages": [{"name": "flux-io-example-bare",
            "manifest_path": "Cargo.toml", "dependencies": [],
            "targets": [
                {"name": "bare", "kind": ["bin"]}, {"name": "totals", "kind": ["example"]}],
            "metadata": {"examples": {
                "totals": {"args": ["--rows", "10"], "expect": "10 rows"},
                "bare": {"skip": "writes"}, "gone": {}}}}]}"#;
        let members = metadata::from_json(json).unwrap();
        let found = examples_of(&members[0]);
        let shapes: Vec<_> =
            found.iter().map(|e| (e.flag, e.target.name.as_str(), e.args.len())).collect();
        assert_eq!(shapes, [("--example", "totals", 2), ("--bin", "bare", 0)]);
        assert_eq!(found[0].expect.as_deref(), Some("10 rows"));
        assert_eq!((found[0].skip.as_deref(), found[1].skip.as_deref()), (None, Some("writes")));
        let strangers = strangers(&members[0], &found);
        assert!(strangers.len() == 1 && strangers[0].contains("`gone`"), "{strangers:?}");
    }
}
