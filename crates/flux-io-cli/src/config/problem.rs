//! What is wrong in a pipeline file, shown so that a person can mend it: code, place, line and
//! caret, why, and what to write instead.

use std::error::Error;
use std::fmt;
use std::ops::Range;

macro_rules! codes { ($($(#[$doc:meta])* $name:ident = $n:literal,)*) => {
    /// The number of a kind of problem; `docs/errors.md` has a section for each.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Code { $($(#[$doc])* $name = $n,)* }
    impl Code {
        /// All of them, in order.
        pub const ALL: &'static [Self] = &[$(Self::$name,)*];
    }
} }

codes! {
    /// The bytes are not UTF-8.
    NotText = 1,
    /// The file is over the limit.
    TooLarge = 2,
    /// It is not TOML.
    Syntax = 3,
    /// A key stands twice.
    Duplicate = 4,
    /// There is nothing in it.
    Empty = 5,
    /// Its version is missing or unknown.
    Version = 6,
    /// A key that the language does not have.
    UnknownKey = 10,
    /// A key that must be there is not.
    Missing = 11,
    /// A value of the wrong type.
    Type = 12,
    /// A word that is none of the choices.
    Choice = 13,
    /// A number outside its range.
    Range = 14,
    /// Not a duration.
    Duration = 15,
    /// Not a size.
    Size = 16,
    /// An environment variable that is not set, or a reference that is not well formed.
    Environment = 17,
    /// A field, template, filter or jq program that cannot be read.
    Expression = 18,
    /// A name that cannot be one.
    Name = 19,
    /// A required variable or a bound that cannot be read.
    Required = 20,
    /// A reference to something the file does not have.
    Reference = 21,
    /// Settings that contradict each other.
    Conflict = 22,
    /// Two sinks that would write to one place, or two things of one name.
    Shared = 23,
    /// Something the language has and this program cannot do.
    Unsupported = 24,
    /// The pipeline file cannot be read.
    NoFile = 25,
    /// An input is not there or cannot be read.
    NoInput = 26,
    /// An output cannot be written.
    NoOutput = 27,
    /// The planner refused the pipeline.
    Refused = 28,
    /// A file of dead letters that is none.
    Letters = 29,
    /// Reading stopped the run.
    ReadFailed = 101,
    /// Writing stopped the run.
    WriteFailed = 102,
    /// A record or key stopped the run, as the file wants it.
    Stopped = 103,
    /// What was counted does not add up.
    Unbalanced = 104,
    /// The run could not go on.
    Stalled = 105,
}

/// Codes from here on are of runs.
const RUN: u16 = 100;

impl Code {
    /// Whether the text of the file alone shows it, without a look at the program or the world.
    #[must_use]
    pub const fn is_of_the_text(self) -> bool {
        (self as u16) < Self::Unsupported as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self as u16 {
            n if n > RUN => write!(f, "FLX-R{:03}", n - RUN),
            n => write!(f, "FLX-C{n:03}"),
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// Where, as offsets in bytes into the text behind a byte order mark.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// Why it is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(
        code: Code,
        at: Range<usize>,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { code, at, what: what.into(), why: why.into(), fix: fix.into() }
    }
}

/// All problems of a file, in its order, with the text to show them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    /// The problems of `file`, whose text is `text`; sorted by place.
    #[must_use]
    pub fn new(file: &str, text: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|p| (p.at.start, p.code));
        let file = file.chars().map(plain).collect();
        Self { file, text: text.to_owned(), list }
    }

    /// The name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Line and column of a problem, both from 1; columns count characters.
    #[must_use]
    pub fn place(&self, problem: &Problem) -> (usize, usize) {
        let (line, start) = line_of(&self.text, problem.at.start);
        let before = self.text.get(start..problem.at.start).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    fn show(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.place(problem);
        let Problem { code, at, what, why, fix } = problem;
        writeln!(f, "{code} {}:{line}:{column}: {what}", self.file)?;
        let (_, start) = line_of(&self.text, at.start);
        let full = self.text[start..].lines().next().unwrap_or("");
        if !full.is_empty() {
            let skip = column.saturating_sub(80);
            let shown: String = full.chars().skip(skip).take(120).map(plain).collect();
            let end = at.end.min(start + full.len()).max(at.start);
            let width = self.text.get(at.start..end).map_or(1, |s| s.chars().count()).max(1);
            let room = 120usize.saturating_sub(column - 1 - skip).max(1);
            let carets = "^".repeat(width.min(room));
            writeln!(f, "{line:>5} | {shown}")?;
            writeln!(f, "      | {}{carets}", " ".repeat(column - 1 - skip))?;
        }
        writeln!(f, "  why: {why}")?;
        writeln!(f, "  fix: {fix}")
    }
}

/// The number of the line that `at` lies in, and where it starts.
fn line_of(text: &str, at: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|&&c| c == b'\n').count() + 1;
    (line, before.iter().rposition(|&c| c == b'\n').map_or(0, |n| n + 1))
}

/// A character as a terminal may get it.
fn plain(c: char) -> char {
    if c == '\t' {
        ' '
    } else if c.is_control() {
        '\u{fffd}'
    } else {
        c
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().try_for_each(|problem| self.show(problem, f))?;
        let n = self.list.len();
        let s = if n == 1 { "" } else { "s" };
        write!(f, "{n} problem{s} in {}", self.file)
    }
}

impl Error for Problems {}
