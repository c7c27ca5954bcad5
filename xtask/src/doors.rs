//! `doors`: a library names locks, atomics and threads in its `src/sync.rs` alone, so that a
//! checker of schedules can stand behind everything that is synchronised by hand.
//!
//! Looked at is shipped code: not comments, not tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::metadata;
use crate::process::root;
use crate::report::{self, Outcome};

/// The file that may name everything.
const DOOR: &str = "sync.rs";

/// Libraries without a door, and why.
const WITHOUT: &[&str] = &[
    // Test doubles: their locks are never held where another task could run.
    "flux-io-testkit",
    // One thread runs everything, and it makes every choice itself.
    "flux-io-sim",
    // The program: its threads draw a progress line and wait for signals, beside the engine.
    "flux-io-cli",
];

/// What is named through the door.
const BEHIND: &[&str] = &[
    "std::sync::",
    "core::sync::",
    "std::thread::",
    "parking_lot::",
    "crossbeam",
    "loom::",
    "shuttle::",
];

/// What of it may be named anywhere: nothing waits in it for another thread's next step.
const FREE: &[&str] =
    &["Arc", "Weak", "OnceLock", "LazyLock", "available_parallelism", "panicking", "LocalKey"];

/// Checks every library of the workspace.
///
/// # Errors
/// A library goes around its door; each place is printed.
pub(crate) fn run() -> Outcome {
    let members = metadata::members()?;
    let guarded = |name: &str| !WITHOUT.contains(&name);
    let mut faults = Vec::new();
    for package in members.iter().filter(|p| p.is_library() && guarded(&p.name)) {
        let Some(folder) = package.manifest.parent() else { continue };
        let mut files = Vec::new();
        collect(&folder.join("src"), &mut files)?;
        for file in files {
            let text = fs::read_to_string(&file)
                .map_err(|e| format!("cannot read {}: {e}", file.display()))?;
            let path = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
            let place = |(line, what): (usize, String)| {
                format!("{path}:{line}: `{what}` goes around src/{DOOR}")
            };
            faults.extend(around(&text).into_iter().map(place));
        }
    }
    report::faults("doors", &faults)
}

/// The source files of shipped code below `folder`, without the door.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.ends_with("tests") {
            collect(&path, files)?;
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != DOOR {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// Line numbers and names of what a source file takes past the door.
fn around(text: &str) -> Vec<(usize, String)> {
    let mut lines = text.lines().enumerate().peekable();
    let mut found = Vec::new();
    while let Some((at, line)) = lines.next() {
        // Tests stand at the end of a file.
        let next = lines.peek().map_or("", |(_, next)| next.trim());
        if line.trim() == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{') {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for prefix in BEHIND {
            for (start, _) in code.match_indices(prefix) {
                let names = names(&code[start + prefix.len()..]);
                let refused = names.into_iter().filter(|name| !FREE.contains(name));
                found.extend(refused.map(|name| (at + 1, format!("{prefix}{name}"))));
            }
        }
    }
    found
}

/// What a path goes on with: the names of a group `{A, B}`, or one name.
fn names(rest: &str) -> Vec<&str> {
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    match rest.strip_prefix('{') {
        Some(group) => {
            group.split('}').next().unwrap_or_default().split(',').map(str::trim).collect()
        }
        None => vec![rest.split(ends).next().unwrap_or_default()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_code_names_locks_through_the_door_alone() {
        let text = "\
use std::sync::{Arc, Mutex};
use std::sync::Arc;
// std::sync::Mutex
let n = std::thread::spawn(|| {}) + std::thread::available_parallelism();
use std::sync::atomic::AtomicU8;
#[cfg(test)]
mod tests {
    use std::sync::Mutex;
}
";
        let found: Vec<_> =
            around(text).into_iter().map(|(n, what)| format!("{n} {what}")).collect();
        assert_eq!(found, ["1 std::sync::Mutex", "4 std::thread::spawn", "5 std::sync::atomic"]);
    }
}
