//! What the program says, and how it ends: the one place that writes to the terminal.

use crate::config::Problems;
use crate::json::Object;
use std::io::{self, Write};
use std::process::ExitCode;

/// The signal of a reader that went away (signal(7)), whose exit code shells know.
const SIGPIPE: u8 = 13;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked to: 0.
    Done,
    /// The run failed: 1.
    Failed,
    /// It was called wrongly, or with a file that cannot be used: 2.
    Usage,
    /// A signal ended it: 128 and its number.
    Signal(u8),
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Signal(n) => 128 + n,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Problems of the pipeline file, or of a run of it.
    Problems(Box<Problems>, Exit),
    /// The reader of standard output went away: a quiet end.
    ClosedPipe,
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::Output(e) }
    }
}

/// What a command gives.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Writes a text to standard output, with a line end if it has none.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a text to standard error. Nobody can be told when that fails.
pub(crate) fn say(text: &str) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{}", text.trim_end_matches('\n'));
}

/// Tells a failure, as text or as lines of JSON, and says how the program ends.
pub(crate) fn tell(failure: &Failure, json: bool) -> Exit {
    match failure {
        Failure::Problems(problems, exit) => {
            if json {
                problems.list().iter().for_each(|p| say(&problem_line(problems, p)));
            } else {
                say(&problems.to_string());
            }
            *exit
        }
        Failure::ClosedPipe => Exit::Signal(SIGPIPE),
        Failure::Output(e) => {
            let what = format!("standard output cannot be written: {e}");
            say(&if json {
                Object::event("error").text("what", &what).line()
            } else {
                format!("error: {what}")
            });
            Exit::Failed
        }
    }
}

fn problem_line(problems: &Problems, p: &crate::config::Problem) -> String {
    let (line, column) = problems.place(p);
    Object::event("error")
        .text("code", &p.code.to_string())
        .text("file", problems.file())
        .plain("line", line)
        .plain("column", column)
        .text("what", &p.what)
        .text("why", &p.why)
        .text("fix", &p.fix)
        .line()
}
