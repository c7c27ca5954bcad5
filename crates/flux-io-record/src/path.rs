//! Where a value lies in a record: `carrier`, `legs[2].from`, `["a.b"].c`.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A field of an object.
    Name(Box<str>),
    /// An item of an array, from 0.
    Index(usize),
}

/// A path to a value: names joined by dots, `[n]` for items, `["..."]` for names that hold dots,
/// brackets or blanks (inside, `\"` and `\\` are escapes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub(crate) first: Box<str>,
    pub(crate) rest: Vec<Step>,
    text: Box<str>,
}

/// A path that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("path `{path}`, character {}: {what}", at + 1)]
pub struct PathError {
    /// The path as given.
    pub path: String,
    /// Offset in bytes, from 0.
    pub at: usize,
    /// What is wrong and what to write.
    pub what: &'static str,
}

impl Path {
    /// The path to a field of the record itself, whatever characters its name has.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self { first: name.into(), rest: Vec::new(), text: name.into() }
    }

    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads a path.
    ///
    /// # Errors
    /// [`PathError`] when a name is empty or a bracket is not closed.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let fail = |at, what| Err(PathError { path: text.to_owned(), at, what });
        let mut steps = Vec::new();
        let mut i = 0;
        let b = text.as_bytes();
        while i < b.len() || steps.is_empty() {
            if b.get(i) == Some(&b'[') {
                let (step, end) = match bracket(text, i) {
                    Ok(x) => x,
                    Err(what) => return fail(i, what),
                };
                steps.push(step);
                i = end;
            } else {
                if !steps.is_empty() {
                    if b[i] != b'.' {
                        return fail(i, "expected `.` or `[` behind a bracket");
                    }
                    i += 1;
                }
                let end = b[i..].iter().position(|c| matches!(c, b'.' | b'[' | b']'));
                let end = end.map_or(b.len(), |n| i + n);
                if end == i {
                    return fail(i, "expected a field name");
                }
                steps.push(Step::Name(text[i..end].into()));
                i = end;
                if b.get(i) == Some(&b']') {
                    return fail(
                        i,
                        "`]` without `[`; write `[\"...\"]` around a name that holds it",
                    );
                }
            }
        }
        let mut steps = steps.into_iter();
        match steps.next() {
            Some(Step::Name(first)) => Ok(Self { first, rest: steps.collect(), text: text.into() }),
            _ => fail(0, "a record is an object: begin with a field name"),
        }
    }
}

/// The step in brackets at `i`, and where it ends.
fn bracket(text: &str, i: usize) -> Result<(Step, usize), &'static str> {
    let rest = &text[i + 1..];
    if let Some(quoted) = rest.strip_prefix('"') {
        let mut name = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if quoted[at + 1..].starts_with(']') => {
                    return Ok((Step::Name(name.into()), i + 2 + at + 2));
                }
                '"' => return Err("expected `]` behind the closing quote"),
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => name.push(c),
                    _ => return Err("only `\\\"` and `\\\\` are escapes in a quoted name"),
                },
                c => name.push(c),
            }
        }
        return Err("the quoted name is not closed by `\"]`");
    }
    let end = rest.find(']').ok_or("`[` is not closed by `]`")?;
    let index =
        rest[..end].parse().map_err(|_| "expected a number or a quoted name in brackets")?;
    Ok((Step::Index(index), i + 1 + end + 1))
}

impl FromStr for Path {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
