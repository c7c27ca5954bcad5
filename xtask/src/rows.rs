//! `rows`: `docs/requirements.md` against the tree. Every numbered requirement stands in its table
//! once, and every proof it names exists, runs, and names the requirement back.
//!
//! It also lists which of the faults B1 to B112 have tests: functions named `b028_what_happens`.

mod mention;
mod proof;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::process;
use crate::report::{self, Outcome, Verdict};
use table::{Proof, Row, State};

/// The table, below the workspace root.
const TABLE: &str = "docs/requirements.md";

/// The largest number of a fault; their tests are named by it.
const LAST_FAULT: u32 = 112;

/// Checks the table, or with `--found` prints the rows that the tree's tests name.
///
/// # Errors
/// An argument is unknown, or the table or a proof is wrong.
pub(crate) fn run(args: &[String]) -> Outcome {
    match args {
        [] => check_tree(),
        [flag] if flag == "--found" => print_found(&process::root()),
        _ => Err(format!("expected --found or nothing, got `{}`", args.join(" "))),
    }
}

/// Checks the table of the workspace.
///
/// # Errors
/// The table or a proof is wrong; each fault is printed.
pub(crate) fn check_tree() -> Outcome {
    let root = process::root();
    let text =
        fs::read_to_string(root.join(TABLE)).map_err(|e| format!("cannot read {TABLE}: {e}"))?;
    let (rows, mut faults) = judge(&root, &text);
    let tests = fault_tests(&sources(&root)?);
    faults.extend(strange_tests(&tests));
    println!("{}", counts(&rows));
    println!("{}", coverage(&tests));
    report::faults("rows", &faults)
}

/// The rows of a table, and every fault in it or in a proof below `root`.
fn judge(root: &Path, text: &str) -> (Vec<Row>, Vec<String>) {
    let (rows, mut faults) = table::parse(text);
    for row in &rows {
        let wrong = row.proofs.iter().filter_map(|proof| proof::fault(root, row.number, proof));
        faults.extend(wrong.map(|fault| format!("row {}: {fault}", row.number)));
    }
    (rows, faults)
}

/// How many rows are in which state.
fn counts(rows: &[Row]) -> String {
    let shown = rows.iter().filter(|row| row.state == State::Shown).count();
    let open = rows.iter().filter(|row| row.state == State::Open).count();
    let refused = rows.len() - shown - open;
    format!("rows: {shown} shown, {open} open, {refused} refused")
}

/// A Rust file of the crates: its path below the root, with forward slashes, and its text.
type Source = (String, String);

/// Every Rust file below the folders that hold tests of requirements.
fn sources(root: &Path) -> Result<Vec<Source>, String> {
    let mut found = Vec::new();
    for folder in ["crates", "examples", "bench", "fuzz"] {
        if root.join(folder).is_dir() {
            collect(root, &root.join(folder), &mut found)?;
        }
    }
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(failed)?;
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            let below = path.strip_prefix(root).unwrap_or(&path);
            found.push((below.to_string_lossy().replace('\\', "/"), text));
        }
    }
    Ok(())
}

/// Tests named after a fault: its number, then where each test is.
fn fault_tests(sources: &[Source]) -> BTreeMap<u32, Vec<String>> {
    let mut tests: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (path, text) in sources {
        for function in source::functions(text) {
            if let Some(number) = fault_number(function.name) {
                tests.entry(number).or_default().push(format!("{path}::{}", function.name));
            }
        }
    }
    tests
}

/// The number in `b028_what_happens`.
fn fault_number(name: &str) -> Option<u32> {
    let (digits, _) = name.strip_prefix('b')?.split_once('_')?;
    let three = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if three { digits.parse().ok() } else { None }
}

/// Tests named after a fault that does not exist.
fn strange_tests(tests: &BTreeMap<u32, Vec<String>>) -> Vec<String> {
    let strange = tests.iter().filter(|(number, _)| !(1..=LAST_FAULT).contains(*number));
    strange
        .flat_map(|(number, places)| {
            places
                .iter()
                .map(move |place| format!("{place}: B{number} is not within B1 to B{LAST_FAULT}"))
        })
        .collect()
}

/// Which faults have tests, runs of numbers written as ranges.
fn coverage(tests: &BTreeMap<u32, Vec<String>>) -> String {
    let known: BTreeSet<u32> =
        tests.keys().copied().filter(|number| (1..=LAST_FAULT).contains(number)).collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in &known {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = ranges.iter().map(|&(first, last)| match first == last {
        true => format!("B{first}"),
        false => format!("B{first}-B{last}"),
    });
    let text = text.collect::<Vec<_>>().join(", ");
    let colon = if text.is_empty() { "" } else { ": " };
    format!("faults: {} of {LAST_FAULT} have tests{colon}{text}", known.len())
}

/// Prints a table row for each requirement that a test in the tree names.
fn print_found(root: &Path) -> Outcome {
    for (number, proofs) in found(&sources(root)?) {
        let proofs: Vec<String> = proofs.iter().map(Proof::to_string).collect();
        println!("| {number} | shown | {} |", proofs.join(", "));
    }
    Ok(Verdict::Passed)
}

/// The tests that name a requirement, by its number.
fn found(sources: &[Source]) -> BTreeMap<u32, BTreeSet<Proof>> {
    let mut rows: BTreeMap<u32, BTreeSet<Proof>> = BTreeMap::new();
    for (path, text) in sources {
        for function in source::functions(text).iter().filter(|function| function.is_test()) {
            for number in function.rows() {
                let test = Some(function.name.to_owned());
                rows.entry(number).or_default().insert(Proof { path: path.clone(), test });
            }
        }
    }
    rows
}
