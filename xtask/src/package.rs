//! `package`: what each published crate would ship, in files and bytes, and that nothing is
//! missing from it or too large for it.

use std::path::Path;

use crate::metadata::{self, Package};
use crate::process::{cargo, stdout};
use crate::report::{self, Outcome, Verdict};

/// Largest file a crate may ship, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Lists and measures every published crate.
///
/// # Errors
/// A crate ships a file over 1 MiB, or lacks its manifest or its source root.
pub(crate) fn run() -> Outcome {
    let members = metadata::members()?;
    let published: Vec<&Package> = members.iter().filter(|package| package.published).collect();
    if published.is_empty() {
        return Ok(Verdict::Skipped("no crate is published".to_owned()));
    }
    let mut faults = Vec::new();
    for package in published {
        let mut command = cargo(["package", "--list", "--allow-dirty", "--package", &package.name]);
        let listed = stdout(&mut command)?;
        let folder = package.manifest.parent().unwrap_or(Path::new(""));
        let files: Vec<(&str, u64)> =
            listed.lines().map(|file| (file, bytes_of(folder, file))).collect();
        let total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        println!("{:<28} {:>4} files {total:>9} bytes", package.name, files.len());
        faults.extend(judge(&files).into_iter().map(|fault| format!("{}: {fault}", package.name)));
    }
    report::faults("package", &faults)
}

/// Size of a listed file; those that cargo itself writes into the archive count as empty.
fn bytes_of(folder: &Path, file: &str) -> u64 {
    folder.join(file).metadata().map_or(0, |meta| meta.len())
}

fn judge(files: &[(&str, u64)]) -> Vec<String> {
    let has = |name: &str| files.iter().any(|(file, _)| *file == name);
    let mut faults: Vec<String> = files
        .iter()
        .filter(|(_, bytes)| *bytes > MOST_BYTES)
        .map(|(file, bytes)| format!("{file} has {bytes} bytes, more than {MOST_BYTES}"))
        .collect();
    if !has("Cargo.toml") {
        faults.push("ships no Cargo.toml".to_owned());
    }
    if !has("src/lib.rs") && !has("src/main.rs") {
        faults.push("ships neither src/lib.rs nor src/main.rs".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_manifest_and_root_passes_at_the_limit() {
        let files = [("Cargo.toml", 300), ("src/lib.rs", MOST_BYTES)];
        assert_eq!(judge(&files), Vec::<String>::new());
    }

    #[test]
    fn missing_and_large_files_are_each_named() {
        let faults = judge(&[("src/data.bin", MOST_BYTES + 1)]);
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("src/data.bin"));
    }
}
