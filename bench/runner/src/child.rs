//! One measurement: one child process, one JSON line.

use std::{
    env,
    io::{self, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bench_common::Line;

use crate::cases::{Case, PYTHON};

/// A child that takes longer is killed and counts as failed.
const TIME_LIMIT: Duration = Duration::from_secs(180);
/// How often the runner looks whether a child has ended; small beside a measurement, and rare
/// enough not to disturb it.
const POLL: Duration = Duration::from_millis(10);

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    /// The program is not there.
    #[error("cannot start {program}; build the whole bench workspace first, with --release")]
    Start {
        /// Which one.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system failed while the child ran.
    #[error("lost the child of {case}")]
    Wait {
        /// Which case.
        case: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It ran too long.
    #[error("{case} ran longer than {} s and was stopped", TIME_LIMIT.as_secs())]
    TooLong {
        /// Which case.
        case: String,
    },
    /// It ended with an error, or without a measurement.
    #[error("{case} gave no measurement: {said}")]
    NoMeasurement {
        /// Which case.
        case: String,
        /// Its standard error and output.
        said: String,
    },
}

/// The script of the Python peers.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../py/peers.py");

/// Whether a case can run here: a Python peer needs its package.
pub(crate) fn is_there(case: &Case) -> bool {
    case.program != PYTHON || run(PYTHON, &[SCRIPT, "--has", case.name]).is_ok()
}

/// Runs one case on `items` items.
pub(crate) fn measure(case: &Case, items: u64) -> Result<Line, ChildError> {
    let items = items.to_string();
    let args = [case.workload, case.name, "--items", &items];
    let said = if case.program == PYTHON {
        run(PYTHON, &[&[SCRIPT], args.as_slice()].concat())?
    } else {
        run(case.program, &args)?
    };
    let line = said.lines().find(|line| line.starts_with('{'));
    line.and_then(|line| serde_json::from_str(line).ok()).ok_or_else(|| ChildError::NoMeasurement {
        case: format!("{}.{}", case.workload, case.name),
        said,
    })
}

/// Runs a program of this workspace, which lies beside the runner, or Python, and gives its output.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String, ChildError> {
    let beside = || env::current_exe().map(|exe| exe.with_file_name(program)).unwrap_or_default();
    let path = if program == PYTHON { PathBuf::from(program) } else { beside() };
    let mut child = Command::new(&path)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ChildError::Start { program: path, source })?;
    let case = [&[program], args].concat().join(" ");
    let success = wait(&mut child, &case)?;
    // A child prints one line, far less than a pipe holds, so reading after its end cannot block.
    let mut said = String::new();
    let read = |from: Option<&mut dyn Read>, said: &mut String| match from {
        Some(from) => from.read_to_string(said).map(|_| ()),
        None => Ok(()),
    };
    read(child.stdout.as_mut().map(|s| s as &mut dyn Read), &mut said)
        .and_then(|()| read(child.stderr.as_mut().map(|s| s as &mut dyn Read), &mut said))
        .map_err(|source| ChildError::Wait { case: case.clone(), source })?;
    if success { Ok(said) } else { Err(ChildError::NoMeasurement { case, said }) }
}

/// Waits for the child's end and says whether it succeeded.
fn wait(child: &mut Child, case: &str) -> Result<bool, ChildError> {
    let fail = |source| ChildError::Wait { case: case.to_owned(), source };
    let deadline = Instant::now() + TIME_LIMIT;
    loop {
        if let Some(status) = child.try_wait().map_err(fail)? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            child.kill().map_err(fail)?;
            child.wait().map_err(fail)?;
            return Err(ChildError::TooLong { case: case.to_owned() });
        }
        thread::sleep(POLL);
    }
}
