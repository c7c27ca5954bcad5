//! The program as its users meet it: a process, files in, files out.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program.
pub(crate) fn flux_io() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flux-io"));
    command.current_dir(root()).env_remove("FLUX_IO_BUDGET").env_remove("FLUX_IO_ENGINE");
    command
}

/// The root of the repository, from which examples are run.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An empty directory of one's own.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// What a process said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it wrote to standard output.
pub(crate) fn wrote(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lines of JSON.
pub(crate) fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The closing summary among events.
pub(crate) fn summary(text: &str) -> Value {
    let found = events(text).into_iter().find(|e| e["event"] == "summary");
    found.unwrap_or_else(|| panic!("no summary in {text}"))
}

/// The lines of a file of results.
pub(crate) fn results(path: &Path) -> Vec<Value> {
    events(&std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}
