//! `layers`: proves from `cargo metadata` that the crates depend on each other, and on fenced
//! crates of others, only as `table` allows.
//!
//! Normal, build and dev dependencies are each judged, optional and platform-limited ones among
//! them. A crate unknown to the table fails, so a new crate gets its rank by a change here.

mod table;
#[cfg(test)]
mod tests;

use std::fs;

use crate::metadata::{self, Dependency, Kind, Package};
use crate::process::{cargo, stdout};
use crate::report::{self, Outcome};
use table::{FENCES, Rank};

/// The crate whose whole tree of dependencies is searched for fenced crates.
const CORE: &str = "flux-io-core";

/// Checks the workspace.
///
/// # Errors
/// An arrow, a fence or a manifest is wrong; each fault is printed.
pub(crate) fn run() -> Outcome {
    let members = metadata::members()?;
    let mut faults = Vec::new();
    for package in &members {
        let manifest = fs::read_to_string(&package.manifest)
            .map_err(|e| format!("cannot read {}: {e}", package.manifest.display()))?;
        faults.extend(judge(package, &manifest));
    }
    if members.iter().any(|package| package.name == CORE) {
        faults.extend(below_core(&core_tree()?));
    }
    let arrows: usize = members.iter().map(|p| inner(p, &members).count()).sum();
    println!("{} crates, {arrows} arrows between them", members.len());
    report::faults("layers", &faults)
}

fn inner<'a>(package: &'a Package, all: &'a [Package]) -> impl Iterator<Item = &'a Dependency> {
    package.dependencies.iter().filter(|d| all.iter().any(|member| member.name == d.name))
}

/// Everything wrong with one crate, seen from its own manifest.
fn judge(package: &Package, manifest: &str) -> Vec<String> {
    let name = &package.name;
    let Some(rank) = table::rank(name) else {
        return vec![format!("`{name}` has no rank: add it to xtask/src/layers/table.rs")];
    };
    let mut faults: Vec<String> =
        package.dependencies.iter().filter_map(|d| arrow_fault(name, rank, d)).collect();
    if package.description.as_deref().is_none_or(str::is_empty) {
        faults.push(format!("`{name}` has no description in its manifest"));
    }
    if rank != Rank::Tool && !inherits_lints(manifest) {
        faults.push(format!("`{name}` does not say `[lints] workspace = true`"));
    }
    faults
}

/// What is wrong with one dependency, if anything.
fn arrow_fault(from: &str, rank: Rank, dependency: &Dependency) -> Option<String> {
    let to = dependency.name.as_str();
    let form = form(dependency);
    // A crate that only looks like ours is judged as ours: no rank, no arrow.
    if table::rank(to).is_some() || to.starts_with("flux-io") {
        return (!table::allowed(rank, to, dependency.kind))
            .then(|| format!("`{from}` must not depend on `{to}` ({form})"));
    }
    let fence = FENCES.iter().find(|fence| fence.holds(to))?;
    (!fence.admits(from, dependency.kind, dependency.optional)).then(|| {
        let mut who = fence.named_by.join(", ");
        for name in fence.optional_in {
            who.push_str(&format!(", {name} (optional)"));
        }
        format!("`{from}` must not name `{to}` ({form}); only {who} may")
    })
}

/// The form of an arrow in words: its table, then whether optional and for which platform.
fn form(dependency: &Dependency) -> String {
    let mut form = match dependency.kind {
        Kind::Normal => "normal",
        Kind::Dev => "dev",
        Kind::Build => "build",
    }
    .to_owned();
    if dependency.optional {
        form.push_str(", optional");
    }
    if let Some(platform) = &dependency.platform {
        form.push_str(&format!(", on {platform}"));
    }
    form
}

/// Whether a manifest takes its lints from the workspace, in either of TOML's two spellings.
fn inherits_lints(manifest: &str) -> bool {
    let mut table = "";
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            table = line;
        }
        let entry: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        (table == "[lints]" && entry == "workspace=true") || entry == "lints.workspace=true"
    })
}

/// What core is built from, all features on: one `name vX.Y.Z` a line.
fn core_tree() -> Result<String, String> {
    let args = ["tree", "--package", CORE, "--edges", "normal,build", "--all-features"];
    let shape = ["--prefix", "none", "--format", "{p}"];
    // Offline first: it needs no lock on the registry's index and answers at once.
    let offline = stdout(cargo(args).args(shape).arg("--offline"));
    offline.or_else(|_| stdout(cargo(args).args(shape)))
}

/// Fenced crates in the tree below core.
fn below_core(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| FENCES.iter().any(|fence| fence.holds(name)))
        .map(|name| format!("`{CORE}` is built on `{name}`, which is fenced out of it"))
        .collect()
}
