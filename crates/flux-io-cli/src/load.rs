//! The pipeline file from disk or standard input, checked.

use crate::config::{self, Code, MAX_BYTES, Pipeline, Problem, Problems, SourceKind};
use crate::console::{Exit, Failure};
use crate::job::DescribeError;
use crate::support;
use flux_io::core::PlanFault;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// A pipeline file that passed every check, with its text for later messages.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) file: Pipeline,
}

impl Loaded {
    /// Problems found later than in the check, shown in the file.
    pub(crate) fn problems(&self, list: Vec<Problem>) -> Box<Problems> {
        Box::new(Problems::new(&self.name, &self.text, list))
    }

    /// One such problem.
    pub(crate) fn problem(
        &self,
        code: Code,
        at: Range<usize>,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Box<Problems> {
        self.problems(vec![Problem::new(code, at, what, why, fix)])
    }

    /// A file that passed every check and gives no plan all the same.
    pub(crate) fn refused(&self, error: &DescribeError) -> Failure {
        let whole = 0..0;
        let list = match error {
            DescribeError::Plan(faults) => {
                let fault = |f: &PlanFault| {
                    let why = format!("{} at {}", f.code, f.path.join(" -> "));
                    Problem::new(Code::Refused, whole.clone(), &f.what, why, &f.fix)
                };
                faults.0.iter().map(fault).collect()
            }
            DescribeError::Part(what) => {
                let why = "the check let something through that cannot be used";
                vec![Problem::new(Code::Refused, whole, what, why, "please report the file")]
            }
        };
        Failure::Problems(self.problems(list), Exit::Usage)
    }
}

/// Reads the pipeline file at `path`; `-` is standard input.
pub(crate) fn load(path: &Path) -> Result<Loaded, Failure> {
    let stdin = path.as_os_str() == "-";
    let name = if stdin { "stdin".to_owned() } else { path.display().to_string() };
    let bytes = read(path, stdin).map_err(|e| unreadable(&name, &e))?;
    let env = |name: &str| std::env::var(name).ok();
    let usage = |problems| Failure::Problems(Box::new(problems), Exit::Usage);
    let file = config::parse(&name, &bytes, &env, crate::checks()).map_err(usage)?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let text = String::from_utf8_lossy(bytes).into_owned();
    let loaded = Loaded { name, text, file };
    let unsupported = support::problems(&loaded.file);
    if !unsupported.is_empty() {
        return Err(Failure::Problems(loaded.problems(unsupported), Exit::Usage));
    }
    let twice = loaded.file.sources.iter().find(|s| stdin && s.kind == SourceKind::Stdin);
    match twice {
        Some(source) => {
            let what = "standard input is the pipeline file and a source of it";
            let why = "standard input can be read once";
            let fix = "give the pipeline file by its path";
            let found = loaded.problem(Code::Shared, source.name.at.clone(), what, why, fix);
            Err(Failure::Problems(found, Exit::Usage))
        }
        None => Ok(loaded),
    }
}

/// At most a byte more than a pipeline file may have, so that the check can say it has too many.
fn read(path: &Path, stdin: bool) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES as u64 + 4;
    if stdin {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn unreadable(name: &str, e: &io::Error) -> Failure {
    let fix = match e.kind() {
        io::ErrorKind::NotFound => "check the path; `flux-io new` writes a file to start from",
        io::ErrorKind::IsADirectory => "give the pipeline file inside it",
        _ => "check that the file can be read",
    };
    let problem =
        Problem::new(Code::NoFile, 0..0, "the pipeline file cannot be read", e.to_string(), fix);
    Failure::Problems(Box::new(Problems::new(name, "", vec![problem])), Exit::Usage)
}
