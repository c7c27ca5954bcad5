//! `specs`: the protocols in `specs/`, explored in full. A model whose first line says
//! `\* Must fail: Name` must fail by that name, so that a check which can no longer fail is seen.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::process::{capture, root};
use crate::report::{self, Outcome, Verdict};

/// What begins the first line of a model with a planted fault.
const MUST_FAIL: &str = "\\* Must fail: ";

/// Checks every model with `tla` (the package `tla-checker`), when it is on the path.
///
/// # Errors
/// A model does not end as it must, or a specification lacks a model of either kind.
pub(crate) fn run() -> Outcome {
    if !capture(Command::new("tla").arg("--version")).is_ok_and(|o| o.status.success()) {
        return Ok(Verdict::Skipped("tla is not installed".to_owned()));
    }
    let mut faults = Vec::new();
    // By specification: models that must pass, and that must fail.
    let mut models: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for file in files()? {
        let Some((spec, kind)) = file.split_once('.') else { continue };
        let counted = models.entry(spec.to_owned()).or_default();
        if kind == "tla" {
            continue;
        }
        let path = root().join("specs").join(&file);
        let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {file}: {e}"))?;
        let fails_by = must_fail(&text);
        counted[usize::from(fails_by.is_some())] += 1;
        let mut command = Command::new("tla");
        command.current_dir(root().join("specs")).arg(format!("{spec}.tla"));
        let output = capture(command.args(["--config", &file, "--check-liveness"]))?;
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        match judge(output.status.success(), &said, fails_by) {
            Ok(how) => println!("{file:<34} {how}"),
            Err(fault) => {
                println!("{said}");
                faults.push(format!("{file} {fault}"));
            }
        }
    }
    let lacking = models.iter().filter(|(_, counted)| counted.contains(&0));
    faults.extend(
        lacking.map(|(spec, _)| format!("{spec} needs a model that passes and one that fails")),
    );
    report::faults("specs", &faults)
}

/// The specifications and models, in order.
fn files() -> Result<Vec<String>, String> {
    let failed = |e: std::io::Error| format!("cannot read specs: {e}");
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join("specs")).map_err(failed)? {
        files.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    files.retain(|name| name.ends_with(".tla") || name.ends_with(".cfg"));
    files.sort();
    Ok(files)
}

/// The name by which a model must fail, if it must.
fn must_fail(model: &str) -> Option<&str> {
    model.lines().next()?.strip_prefix(MUST_FAIL)?.split(' ').next()
}

/// How a model ended, or why that is wrong.
fn judge(passed: bool, said: &str, fails_by: Option<&str>) -> Result<String, String> {
    match (passed, fails_by) {
        (true, None) => Ok("holds".to_owned()),
        (false, None) => Err("does not hold".to_owned()),
        (true, Some(name)) => Err(format!("holds, but must fail by {name}")),
        (false, Some(name)) => {
            let told = [
                format!("{name} detected"),
                format!("({name}) violated"),
                format!("violated: {name}"),
            ];
            if told.iter().any(|told| said.contains(told.as_str())) {
                Ok(format!("fails by {name}, as it must"))
            } else {
                Err(format!("fails, but not by {name}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_fault_must_be_found_by_its_own_name() {
        let fails_by = must_fail("\\* Must fail: Counted (rows are lost).\nSPECIFICATION Spec\n");
        assert_eq!(fails_by, Some("Counted"));
        assert!(judge(false, "Invariant 2 (Counted) violated!", fails_by).is_ok());
        assert!(judge(false, "Deadlock detected!", fails_by).is_err());
        assert!(judge(true, "", fails_by).is_err());
        assert!(judge(true, "", None).is_ok());
    }
}
