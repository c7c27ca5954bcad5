//! What a small program needs around its job: arguments, the two ways to fail, and exit codes.

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;

/// Why a program did not do its job.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was called wrongly: exit code 2.
    Usage(String),
    /// It was called rightly and could not do it: exit code 1.
    Job(String),
}

impl<E: Error> From<E> for Failure {
    /// An error with all its causes on one line.
    fn from(error: E) -> Self {
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        Self::Job(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }
}

/// Arguments that nobody has asked for yet.
#[derive(Debug)]
pub(crate) struct Args(Vec<String>);

impl Args {
    /// Whether `--name` is there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|arg| arg == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    /// The value behind `--name`, or the default.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, Failure> {
        let Some(at) = self.0.iter().position(|arg| arg == name) else { return Ok(default) };
        self.0.remove(at);
        if at >= self.0.len() {
            return Err(Failure::Usage(format!("{name} needs a value behind it")));
        }
        let text = self.0.remove(at);
        text.parse().map_err(|_| Failure::Usage(format!("{name} does not take `{text}`")))
    }

    /// What is left: at most one argument without a name.
    pub(crate) fn last(mut self) -> Result<Option<String>, Failure> {
        let unknown = |arg: &String| Failure::Usage(format!("`{arg}` is not understood"));
        let file = if self.0.is_empty() { None } else { Some(self.0.remove(0)) };
        let option = file.as_ref().filter(|arg| arg.starts_with("--"));
        match option.or_else(|| self.0.first()) {
            Some(arg) => Err(unknown(arg)),
            None => Ok(file),
        }
    }
}

/// Runs a program: 0 when its job is done, 1 when it failed, 2 when it was called wrongly.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]
pub(crate) fn run(usage: &str, job: impl FnOnce(Args) -> Result<(), Failure>) -> ExitCode {
    let mut args = Args(std::env::args().skip(1).collect());
    if args.flag("--help") {
        println!("{usage}");
        return ExitCode::SUCCESS;
    }
    match job(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Job(what)) => {
            eprintln!("error: {what}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(what)) => {
            eprintln!("error: {what}\n{usage}");
            ExitCode::from(2)
        }
    }
}
