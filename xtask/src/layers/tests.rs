//! Wrong arrows seeded in every form a manifest has for them; each must be seen.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// Metadata of one crate with one dependency, given as JSON fields.
fn with_dependency(from: &str, dependency: &str) -> Vec<String> {
    let json = format!(
        r#"{{"packages": [{{"name": "{from}", "manifest_path": "Cargo.toml",
            "description": "d", "targets": [], "dependencies": [{{{dependency}}}]}}]}}"#
    );
    let members = metadata::from_json(&json).unwrap();
    judge(&members[0], "[lints]\nworkspace = true\n")
}

fn right(from: &str, dependency: &str) {
    assert_eq!(with_dependency(from, dependency), Vec::<String>::new());
}

fn wrong(from: &str, dependency: &str, form: &str) {
    let faults = with_dependency(from, dependency);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains(&format!("({form})")), "{faults:?}");
}

/// Rows 331, 332. A part that reaches for another part is seen in every form of the arrow.
#[test]
fn wrong_arrow_fails_in_each_form() {
    let from = "flux-io-flow";
    let to = r#""name": "flux-io-accumulate""#;
    wrong(from, to, "normal");
    wrong(from, &format!(r#"{to}, "kind": "dev""#), "dev");
    wrong(from, &format!(r#"{to}, "kind": "build""#), "build");
    wrong(from, &format!(r#"{to}, "optional": true"#), "normal, optional");
    wrong(from, &format!(r#"{to}, "target": "cfg(unix)""#), "normal, on cfg(unix)");
    let dev_on_unix = format!(r#"{to}, "kind": "dev", "target": "cfg(unix)""#);
    wrong(from, &dev_on_unix, "dev, on cfg(unix)");
    let renamed = format!(r#"{to}, "rename": "serde""#);
    wrong(from, &renamed, "normal");
}

/// Rows 331, 332. Each rank has the arrows the table gives it and no other.
#[test]
fn each_rank_has_its_own_arrows() {
    let on = |name: &str| format!(r#""name": "{name}""#);
    let dev = |name: &str| format!(r#""name": "{name}", "kind": "dev""#);
    right("flux-io-core", &on("flux-io-derive"));
    right("flux-io-core", &dev("flux-io-testkit"));
    right("flux-io-sim", &on("flux-io-core"));
    right("flux-io-sim", &dev("flux-io-testkit"));
    right("flux-io-testkit", &on("flux-io-core"));
    right("flux-io", &on("flux-io-accumulate"));
    right("flux-io-cli", &on("flux-io"));
    right("flux-io-example-bare", &on("flux-io-accumulate"));
    wrong("flux-io-core", &on("flux-io-flow"), "normal");
    wrong("flux-io-core", &dev("flux-io-flow"), "dev");
    wrong("flux-io-core", &on("flux-io-testkit"), "normal");
    wrong("flux-io-derive", &dev("flux-io-core"), "dev");
    wrong("flux-io-sim", &on("flux-io-testkit"), "normal");
    wrong("flux-io-sim", &on("flux-io-derive"), "normal");
    wrong("flux-io-sim", &dev("flux-io"), "dev");
    wrong("flux-io", &on("flux-io-testkit"), "normal");
    wrong("flux-io", &on("flux-io-cli"), "normal");
    wrong("flux-io-cli", &on("flux-io-core"), "normal");
    wrong("flux-io-example-bare", &on("flux-io-flow"), "normal");
    wrong("flux-io-example-bare", &dev("flux-io-testkit"), "dev");
    wrong("xtask", &on("flux-io-core"), "normal");
    wrong("flux-io-sim", r#""name": "flux-io-core", "kind": "build""#, "build");
}

#[test]
fn unknown_crate_fails_on_either_end_of_an_arrow() {
    wrong("flux-io-flow", r#""name": "flux-io-common""#, "normal");
    let faults = with_dependency("flux-io-common", r#""name": "bytes""#);
    assert!(faults.len() == 1 && faults[0].contains("no rank"), "{faults:?}");
}

/// Row 331. No concrete engine library is named outside the crates it is fenced into.
#[test]
fn fenced_crates_are_named_by_their_owners_only() {
    right("flux-io-engine-tokio", r#""name": "tokio""#);
    right("flux-io-connect", r#""name": "tokio", "optional": true"#);
    right("flux-io-connect", r#""name": "tokio", "kind": "dev""#);
    right("flux-io-engine-rayon", r#""name": "rayon""#);
    right("flux-io-flow", r#""name": "tokiota""#);
    wrong("flux-io-connect", r#""name": "tokio""#, "normal");
    wrong("flux-io-core", r#""name": "tokio", "optional": true"#, "normal, optional");
    wrong("flux-io-engine-hybrid", r#""name": "tokio-util""#, "normal");
    wrong("flux-io-engine-hybrid", r#""name": "rayon-core", "kind": "dev""#, "dev");
    wrong("flux-io-core", r#""name": "memmap2", "target": "cfg(unix)""#, "normal, on cfg(unix)");
    wrong("flux-io", r#""name": "opentelemetry_sdk""#, "normal");
}

/// Row 331. A fenced crate below core is seen however far down it stands.
#[test]
fn fenced_crate_in_the_tree_below_core_is_found() {
    let clean = "flux-io-core v0.1.0 (path)\nbytes v1.12.1\n\nthiserror v2.0.21\n";
    assert_eq!(below_core(clean), Vec::<String>::new());
    let faults = below_core(&format!("{clean}tokio-util v0.7.0 (*)\n"));
    assert!(faults.len() == 1 && faults[0].contains("`tokio-util`"), "{faults:?}");
}

#[test]
fn manifest_needs_description_and_the_workspace_lints() {
    let json = r#"{"packages": [{"name": "flux-io-flow", "manifest_path": "Cargo.toml",
        "targets": [], "dependencies": []}]}"#;
    let members = metadata::from_json(json).unwrap();
    assert_eq!(judge(&members[0], "[dependencies]\nworkspace = true\n").len(), 2);
    assert!(inherits_lints("[package]\n\n[lints]\nworkspace=true"));
    assert!(inherits_lints("[package]\nlints.workspace = true"));
    assert!(!inherits_lints("[lints]\n[package]\nworkspace = true"));
    assert!(!inherits_lints("[lints]\n# workspace = true"));
}

/// A workspace on disk that goes away with its value.
struct Seeded(PathBuf);

impl Seeded {
    /// Two parts, flow with the given extra text in its manifest, and core.
    fn new(extra: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xtask-layers-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let core = "[dependencies]\nflux-io-core = { path = \"../flux-io-core\" }\n";
        write(&root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n");
        member(&root, "flux-io-core", "");
        member(&root, "flux-io-accumulate", core);
        member(&root, "flux-io-flow", &format!("{core}{extra}"));
        Self(root)
    }

    /// What the real cargo says about it, judged.
    fn faults(&self) -> Vec<String> {
        let manifest = self.0.join("Cargo.toml");
        let args = ["metadata", "--offline", "--no-deps", "--format-version", "1"];
        let json = stdout(cargo(args).arg("--manifest-path").arg(manifest)).unwrap();
        let members = metadata::from_json(&json).unwrap();
        assert_eq!(members.len(), 3);
        let judged = members
            .iter()
            .flat_map(|package| judge(package, &fs::read_to_string(&package.manifest).unwrap()));
        judged.collect()
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn member(root: &Path, name: &str, rest: &str) {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         description = \"d\"\nlints.workspace = true\n{rest}"
    );
    write(&root.join(name).join("Cargo.toml"), &manifest);
    write(&root.join(name).join("src/lib.rs"), "");
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Rows 331, 332. The real `cargo metadata` shows a dev arrow for one platform, and it fails.
#[test]
fn wrong_arrow_on_disk_fails_and_the_tree_without_it_passes() {
    assert_eq!(Seeded::new("").faults(), Vec::<String>::new());
    let arrow = "[target.'cfg(windows)'.dev-dependencies]\n\
                 other = { package = \"flux-io-accumulate\", path = \"../flux-io-accumulate\" }\n";
    let faults = Seeded::new(arrow).faults();
    let expected = "`flux-io-flow` must not depend on `flux-io-accumulate` \
                    (dev, on cfg(windows))";
    assert_eq!(faults, [expected]);
}
