//! Child processes: cargo, always from the workspace root, and the optional tools beside it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::report::{Outcome, Verdict};

/// The workspace root: the folder above this package.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}

/// `cargo <args>` in the workspace root, free of what the outer cargo told this program about
/// itself (build scripts that watch those variables would run again for nothing).
pub(crate) fn cargo<I: IntoIterator<Item = S>, S: Into<OsString>>(args: I) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args.into_iter().map(Into::into)).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Shows the command, runs it with this program's terminal, and passes when it exits with 0.
///
/// # Errors
/// The command could not be started, or did not exit with 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    let status = command.status().map_err(|e| format!("cannot start `{}`: {e}", shown(command)))?;
    if status.success() {
        Ok(Verdict::Passed)
    } else {
        Err(format!("{status}: {}", shown(command)))
    }
}

/// Runs the command with its output kept.
///
/// # Errors
/// The command could not be started.
pub(crate) fn capture(command: &mut Command) -> Result<Output, String> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot start `{}`: {e}", shown(command)))
}

/// The standard output of a command that must exit with 0.
///
/// # Errors
/// The command could not be started, or did not exit with 0 (its error output is in the text).
pub(crate) fn stdout(command: &mut Command) -> Result<String, String> {
    let output = capture(command)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}\n{}", output.status, shown(command), errors.trim_end()))
    }
}

/// Runs a command of libtest's, and tells in its verdict how many tests it had; they are counted by
/// listing them, which builds nothing anew. `list` are the words that make it do so.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_counted(command: &mut Command, list: &[&str], what: &str) -> Outcome {
    let verdict = run(command)?;
    let listed = stdout(command.args(list)).unwrap_or_default();
    match listed.lines().filter(|line| line.ends_with(": test")).count() {
        0 => Ok(verdict),
        n => Ok(Verdict::PassedAll(format!("{n} {what}"))),
    }
}

/// Whether `cargo <name>` is there: asked by its version, so that nothing is built.
pub(crate) fn has_cargo_tool(name: &str) -> bool {
    capture(&mut cargo([name, "--version"])).is_ok_and(|output| output.status.success())
}

/// The command as one would type it, variables set for it included.
fn shown(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={:?}", name.to_string_lossy(), value.to_string_lossy()))
    });
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = command.get_args().map(|arg| {
        let arg = arg.to_string_lossy();
        if arg.contains(' ') { format!("'{arg}'") } else { arg.into_owned() }
    });
    set.chain([program.to_string_lossy().into_owned()]).chain(words).collect::<Vec<_>>().join(" ")
}
