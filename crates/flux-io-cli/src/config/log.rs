//! Problems as they are found, and what the reader may ask of its surroundings.

use super::Checks;
use super::env::expand;
use super::problem::{Code, Problem};
use flux_io::core::skip::skips;
use std::cell::RefCell;
use std::ops::Range;
use std::panic::Location;

pub(super) struct Log<'e> {
    found: RefCell<Vec<Problem>>,
    env: &'e dyn Fn(&str) -> Option<String>,
    pub(super) checks: Checks,
}

impl<'e> Log<'e> {
    pub(super) fn new(env: &'e dyn Fn(&str) -> Option<String>, checks: Checks) -> Self {
        Self { found: RefCell::default(), env, checks }
    }

    #[track_caller]
    pub(super) fn add(
        &self,
        code: Code,
        at: Range<usize>,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let check = Location::caller();
        if !skips(format_args!("{}:{}", check.file(), check.line())) {
            self.found.borrow_mut().push(Problem::new(code, at, what, why, fix));
        }
    }

    /// What the TOML reader said.
    pub(super) fn syntax(&self, text: &str, message: &str, span: Option<Range<usize>>) {
        let mut at = span.unwrap_or(text.len()..text.len());
        while !text.is_char_boundary(at.start.min(text.len())) {
            at.start -= 1;
        }
        let message = message.lines().next().unwrap_or("not TOML").trim();
        if message.contains("duplicate key") {
            let why =
                "in TOML a key or table stands once; which of the two counts would be a guess";
            let name = text.get(at.clone()).unwrap_or("this");
            let what = format!("`{name}` stands twice");
            self.add(Code::Duplicate, at, what, why, "keep one of them");
        } else {
            let fix = mend_syntax(text, message);
            self.add(Code::Syntax, at, format!("not TOML: {message}"), "the file is TOML", fix);
        }
    }

    /// `text` with the environment filled in; `None` when that failed.
    pub(super) fn expand(&self, text: &str, at: &Range<usize>) -> Option<String> {
        match expand(text, self.env) {
            Ok(text) => Some(text),
            Err((_, what, fix)) => {
                let why = "texts of a pipeline file may take values from the environment";
                self.add(Code::Environment, at.clone(), what, why, fix);
                None
            }
        }
    }

    /// The problems. In a torn file what is missing may only have been cut off, and a line that is
    /// no TOML says nothing else; so only the rest is told then.
    pub(super) fn into_problems(self, text: &str, torn: bool) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        if torn {
            let line = |p: &Problem| {
                text.as_bytes()[..p.at.start.min(text.len())]
                    .iter()
                    .filter(|&&c| c == b'\n')
                    .count()
            };
            let is_syntax = |p: &Problem| matches!(p.code, Code::Syntax | Code::Duplicate);
            let broken: Vec<usize> = found.iter().filter(|p| is_syntax(p)).map(line).collect();
            let derived = |p: &Problem| {
                matches!(p.code, Code::Missing | Code::Reference | Code::Conflict | Code::Empty)
            };
            found.retain(|p| is_syntax(p) || !(derived(p) || broken.contains(&line(p))));
            // One message a line: what follows from the first is noise.
            let mut told = Vec::new();
            found.retain(|p| {
                let first = !is_syntax(p) || !told.contains(&line(p));
                told.push(line(p));
                first
            });
        }
        found
    }
}

/// What to do about what the TOML reader said.
fn mend_syntax(text: &str, message: &str) -> &'static str {
    let known = [
        ("must be quoted", "write a value behind `=`, a text in quotes: name = \"value\""),
        ("key with no value", "write `name = value`"),
        ("expected key", "write `name = value`"),
        ("unexpected key or value", "begin a new line"),
        ("missing comma", "close the list with `]`, or put a comma between its items"),
        ("unclosed array", "close the list with `]`"),
        ("unclosed table", "close the table's name with `]`"),
        ("unclosed inline table", "close the table with `}`"),
        ("leading zero", "write the number without the zero"),
        ("recursion", "a pipeline file needs no such depth: flatten it"),
        ("escaped value", "write `\\\\` for a backslash, or the text in single quotes"),
        ("expected `\"`", "close the text with `\"`"),
    ];
    if text.trim_start().starts_with('{') {
        return "write TOML, not JSON: `version = 1`, then [source.some_name]";
    }
    let found = known.iter().find(|(part, _)| message.contains(part));
    found.map_or("see https://toml.io for how values, keys and tables are written", |(_, fix)| fix)
}
