//! Finds test functions in Rust source by its lines: enough of the language for sources that
//! rustfmt has laid out, where a function's closing brace stands below the start of its `fn`.

use std::collections::BTreeSet;

use super::mention;

/// A function with everything that belongs to it.
#[derive(Debug)]
pub(super) struct Function<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Comments and attributes right above it.
    pub(super) head: String,
    /// Its signature and body.
    pub(super) body: String,
}

impl Function<'_> {
    /// The requirements it names, above itself or in its body.
    pub(super) fn rows(&self) -> BTreeSet<u32> {
        &mention::rows(&self.head) | &mention::rows(&self.body)
    }

    /// Whether an attribute makes it a test (`#[test]`, `#[tokio::test]`, ...).
    pub(super) fn is_test(&self) -> bool {
        let attributes = self.head.lines().map(str::trim).filter(|line| line.starts_with("#["));
        attributes.map(|line| line.trim_start_matches("#[")).any(|attribute| {
            let path = attribute.split(['(', ']', ' ']).next().unwrap_or_default();
            path.rsplit("::").next() == Some("test")
        })
    }
}

/// Every function in the source.
pub(super) fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(at, line)| Some((at, name_of(line)?)));
    starts
        .map(|(at, name)| Function {
            name,
            head: lines[head_start(&lines, at)..at].join("\n"),
            body: lines[at..=body_end(&lines, at)].join("\n"),
        })
        .collect()
}

/// The name of the function that starts in this line.
fn name_of(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let (before, after) = code.split_once("fn ")?;
    let modifiers = ["pub", "async", "unsafe", "const", "extern", "\"C\""];
    let only_modifiers =
        before.split_whitespace().all(|word| modifiers.contains(&word) || word.starts_with("pub("));
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (only_modifiers && end > 0).then(|| &after[..end])
}

/// The first of the comment and attribute lines right above line `at`.
fn head_start(lines: &[&str], at: usize) -> usize {
    let belongs = |line: &str| {
        let line = line.trim();
        line.starts_with("//") || !(line.is_empty() || line.ends_with(['{', '}', ';']))
    };
    (0..at).rev().take_while(|&above| belongs(lines[above])).last().unwrap_or(at)
}

/// The line that closes the function that starts at line `at`.
fn body_end(lines: &[&str], at: usize) -> usize {
    let first = lines[at];
    if first.trim_end().ends_with(['}', ';']) {
        return at;
    }
    let indent = &first[..first.len() - first.trim_start().len()];
    let closes = |line: &str| line.strip_prefix(indent).is_some_and(|rest| rest.trim_end() == "}");
    (at + 1..lines.len()).find(|&below| closes(lines[below])).unwrap_or(lines.len() - 1)
}
