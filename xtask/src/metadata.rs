//! The part of `cargo metadata` the commands ask about, with the JSON left behind.

use std::path::PathBuf;

use serde_json::Value;

use crate::process;

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    /// Package name.
    pub(crate) name: String,
    /// Path of its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    /// `description`, when the manifest has one.
    pub(crate) description: Option<String>,
    /// False when the manifest says `publish = false`.
    pub(crate) published: bool,
    /// Libraries, binaries, tests, examples, benches.
    pub(crate) targets: Vec<Target>,
    /// Feature names in byte order, `default` included when it exists.
    pub(crate) features: Vec<String>,
    /// Direct dependencies of every kind.
    pub(crate) dependencies: Vec<Dependency>,
    /// The `[package.metadata]` table; null when there is none.
    pub(crate) extra: Value,
}

/// One compile target of a package.
#[derive(Debug)]
pub(crate) struct Target {
    /// Target name.
    pub(crate) name: String,
    /// `lib`, `proc-macro`, `bin`, `test`, `example`, `bench`, `custom-build`, ...
    pub(crate) kinds: Vec<String>,
    /// Features without which cargo leaves the target out.
    pub(crate) required_features: Vec<String>,
}

/// When a dependency is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[dependencies]`
    Normal,
    /// `[dev-dependencies]`
    Dev,
    /// `[build-dependencies]`
    Build,
}

/// One direct dependency as the manifest declares it.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The depended-on package's own name, whatever it is renamed to.
    pub(crate) name: String,
    /// Which table it stands in.
    pub(crate) kind: Kind,
    /// Whether a feature switches it on.
    pub(crate) optional: bool,
    /// The platform it is limited to (`cfg(unix)`), when it is.
    pub(crate) platform: Option<String>,
}

impl Package {
    /// Targets of one kind.
    pub(crate) fn targets_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Target> {
        self.targets.iter().filter(move |target| target.kinds.iter().any(|k| k == kind))
    }

    /// Whether other packages can depend on it.
    pub(crate) fn is_library(&self) -> bool {
        self.targets_of("lib").chain(self.targets_of("proc-macro")).next().is_some()
    }
}

/// The members of this workspace in the order of their names.
///
/// # Errors
/// Cargo refuses the workspace, or answers with something that is not its metadata.
pub(crate) fn members() -> Result<Vec<Package>, String> {
    let args = ["metadata", "--format-version", "1", "--no-deps"];
    from_json(&process::stdout(&mut process::cargo(args))?)
}

/// Reads what `cargo metadata --format-version 1 --no-deps` prints.
///
/// # Errors
/// The text is not JSON, or a field that metadata always has is missing.
pub(crate) fn from_json(text: &str) -> Result<Vec<Package>, String> {
    let root: Value =
        serde_json::from_str(text).map_err(|e| format!("cargo metadata is not JSON: {e}"))?;
    let packages = array(&root, "packages")?;
    let mut packages = packages.iter().map(package).collect::<Result<Vec<_>, _>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn package(value: &Value) -> Result<Package, String> {
    let features = value.get("features").and_then(Value::as_object);
    Ok(Package {
        name: text(value, "name")?,
        manifest: PathBuf::from(text(value, "manifest_path")?),
        description: value.get("description").and_then(Value::as_str).map(str::to_owned),
        published: value.get("publish").and_then(Value::as_array).is_none_or(|l| !l.is_empty()),
        targets: array(value, "targets")?.iter().map(target).collect::<Result<_, _>>()?,
        features: features.map(|map| map.keys().cloned().collect()).unwrap_or_default(),
        dependencies: array(value, "dependencies")?
            .iter()
            .map(dependency)
            .collect::<Result<_, _>>()?,
        extra: value.get("metadata").cloned().unwrap_or(Value::Null),
    })
}

fn target(value: &Value) -> Result<Target, String> {
    Ok(Target {
        name: text(value, "name")?,
        kinds: strings(value.get("kind")),
        required_features: strings(value.get("required-features")),
    })
}

fn dependency(value: &Value) -> Result<Dependency, String> {
    let kind = match value.get("kind").and_then(Value::as_str) {
        None => Kind::Normal,
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        Some(other) => return Err(format!("cargo metadata: dependency kind `{other}` is new")),
    };
    Ok(Dependency {
        name: text(value, "name")?,
        kind,
        optional: value.get("optional").and_then(Value::as_bool).unwrap_or(false),
        platform: value.get("target").and_then(Value::as_str).map(str::to_owned),
    })
}

/// The strings of a JSON array; none when it is absent.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text(value: &Value, field: &str) -> Result<String, String> {
    let found = value.get(field).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("cargo metadata: no `{field}` where expected"))
}

fn array<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, String> {
    let found = value.get(field).and_then(Value::as_array);
    found.ok_or_else(|| format!("cargo metadata: no `{field}` where expected"))
}
