//! `checks`: takes checks of inputs away, one after another, and sees that a bad-input fixture
//! notices each time.
//!
//! The checks are found in the source: every place that reports a fault of a plan or of a pipeline
//! file, and every fault of the record readers. Ten are drawn; the seed is the day unless given.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{cargo, root};
use crate::report::{self, Outcome};

/// How many are drawn.
const DRAWN: usize = 10;

/// A crate whose fixtures notice, and where its checks are.
struct Readers {
    package: &'static str,
    /// Files or folders below the crate's `src`.
    sources: &'static [&'static str],
    /// What a line holds that reports a fault.
    sites: &'static [&'static str],
    /// Enumerations of which each variant is a fault.
    faults: &'static [&'static str],
}

const READERS: &[Readers] = &[
    Readers { package: "flux-io-flow", sources: &["validate"], sites: &["found.at("], faults: &[] },
    Readers {
        package: "flux-io-record",
        sources: &["scan.rs", "csv.rs"],
        sites: &[],
        faults: &["JsonFault", "CsvFault"],
    },
    Readers {
        package: "flux-io-cli",
        sources: &["config"],
        sites: &["log.add(", "self.add("],
        faults: &[],
    },
];

/// One check that can be taken away.
#[derive(Debug, Clone)]
struct Check {
    package: &'static str,
    /// As the library names it: a file and line, or a fault.
    name: String,
}

/// Takes ten checks away, or all with `--all`; `--seed N` draws others.
///
/// # Errors
/// An argument is unknown, the fixtures do not build or do not pass, or no fixture noticed.
pub(crate) fn run(args: &[String]) -> Outcome {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (all, seed) = match words.as_slice() {
        [] => (false, today()),
        ["--all"] => (true, 0),
        ["--seed", n] => (false, n.parse().map_err(|_| format!("`{n}` is no seed"))?),
        other => return Err(format!("expected --all or --seed N, got `{}`", other.join(" "))),
    };
    let known = known()?;
    let drawn = if all { known.clone() } else { draw(&known, seed) };
    let packages: BTreeSet<&str> = drawn.iter().map(|check| check.package).collect();
    let mut faults = Vec::new();
    for package in packages {
        let fixtures = build(package)?;
        if !passes(&fixtures, None)? {
            return Err(format!("the fixtures of {package} fail with every check in place"));
        }
        for check in drawn.iter().filter(|check| check.package == package) {
            let noticed = !passes(&fixtures, Some(&check.name))?;
            println!("{} {}", if noticed { "noticed  " } else { "UNNOTICED" }, check.name);
            if !noticed {
                faults.push(format!("no fixture of {package} notices without {}", check.name));
            }
        }
    }
    println!("{} of {} checks, seed {seed}", drawn.len(), known.len());
    report::faults("checks", &faults)
}

#[expect(clippy::disallowed_methods, reason = "each day draws other checks; the seed is printed")]
fn today() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |t| t.as_secs() / 86_400)
}

/// Ten different ones.
fn draw(known: &[Check], seed: u64) -> Vec<Check> {
    let mut left = known.to_vec();
    let mut state = seed;
    let mut drawn = Vec::new();
    while drawn.len() < DRAWN && !left.is_empty() {
        // splitmix64
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let index = (z % left.len() as u64) as usize;
        drawn.push(left.swap_remove(index));
    }
    drawn
}

fn known() -> Result<Vec<Check>, String> {
    let mut known = Vec::new();
    for readers in READERS {
        let folder = PathBuf::from("crates").join(readers.package).join("src");
        for source in readers.sources {
            for file in files(&folder.join(source))? {
                let shown = file.display();
                let text = std::fs::read_to_string(root().join(&file))
                    .map_err(|e| format!("cannot read {shown}: {e}"))?;
                let mut names = sites(&text, readers.sites)
                    .into_iter()
                    .map(|line| format!("{shown}:{line}"))
                    .collect::<Vec<_>>();
                readers.faults.iter().for_each(|e| names.extend(variants(&text, e)));
                let package = readers.package;
                known.extend(names.into_iter().map(|name| Check { package, name }));
            }
        }
    }
    if known.is_empty() { Err("no check was found in the sources".into()) } else { Ok(known) }
}

/// The Rust files of a file or folder, in order.
fn files(path: &PathBuf) -> Result<Vec<PathBuf>, String> {
    let whole = root().join(path);
    if whole.is_file() {
        return Ok(vec![path.clone()]);
    }
    let fail = |e| format!("cannot read {}: {e}", path.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&whole).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let inner = path.join(entry.file_name());
        if entry.path().is_dir() || inner.extension().is_some_and(|e| e == "rs") {
            found.extend(files(&inner)?);
        }
    }
    found.sort();
    Ok(found)
}

/// The lines, from 1, that report a fault.
fn sites(text: &str, marks: &[&str]) -> Vec<usize> {
    let reports = |line: &str| {
        !line.trim_start().starts_with("//") && marks.iter().any(|mark| line.contains(mark))
    };
    text.lines().enumerate().filter(|(_, line)| reports(line)).map(|(n, _)| n + 1).collect()
}

/// `Name::Variant` for each variant of the public enumeration `name`.
fn variants(text: &str, name: &str) -> Vec<String> {
    let head = format!("pub enum {name} {{");
    let body = text.lines().skip_while(|line| *line != head).skip(1);
    body.take_while(|line| *line != "}")
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next())
        .map(|variant| format!("{name}::{variant}"))
        .collect()
}

/// The test programs of a package, built so that checks can be taken away.
fn build(package: &str) -> Result<PathBuf, String> {
    let mut command = cargo(["test", "--no-run", "--test", "it", "--message-format", "json", "-p"]);
    command.arg(package).env("RUSTFLAGS", "--cfg flux_io_mutants");
    command.env("CARGO_TARGET_DIR", root().join("target/mutants"));
    let told = crate::process::stdout(&mut command)?;
    let mut programs = told.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    programs.next_back().ok_or_else(|| format!("{package} has no test program `it`"))
}

/// Whether the fixtures pass, with one check taken away.
fn passes(fixtures: &PathBuf, without: Option<&str>) -> Result<bool, String> {
    let mut command = Command::new(fixtures);
    command.arg("catalogue").current_dir(root());
    if let Some(check) = without {
        command.env("FLUX_IO_SKIP_CHECK", check);
    }
    Ok(crate::process::capture(&mut command)?.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_and_variants_are_found() {
        let text = "// found.at(\n  found.at(\"P001\", x);\npub enum E {\n    /// doc\n    One,\n    Two(usize),\n    Three {\n        n: usize,\n    },\n}\n    Other,\n";
        assert_eq!(sites(text, &["found.at("]), [2]);
        assert_eq!(variants(text, "E"), ["E::One", "E::Two", "E::Three"]);
    }

    #[test]
    fn ten_different_ones_are_drawn() {
        let known: Vec<Check> =
            (0..30).map(|n| Check { package: "p", name: n.to_string() }).collect();
        let names = |seed| draw(&known, seed).into_iter().map(|c| c.name).collect::<BTreeSet<_>>();
        assert_eq!(names(1).len(), DRAWN);
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
    }

    #[test]
    fn the_tree_has_checks_in_every_reader() {
        let known = known().unwrap();
        for readers in READERS {
            assert!(known.iter().filter(|c| c.package == readers.package).count() > 10);
        }
    }
}
