//! What can be wrong with a name, an option or an address.

use flux_io_core::StageError;
use std::fmt;

/// Why a registry gave no connector, or took none.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistryError {
    /// No scheme, format or option has this name.
    Unknown {
        /// What was looked for: "source scheme", "format", …
        kind: &'static str,
        /// The name.
        name: String,
        /// The known name nearest to it, when one is near.
        near: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// An option's value is refused.
    Option {
        /// The format it belongs to.
        format: String,
        /// Which, and why.
        what: String,
    },
    /// The name has an owner already.
    Taken {
        /// What it names.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The name cannot be one.
    Name {
        /// It.
        name: String,
    },
    /// The scheme refused the address.
    Refused(StageError),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { kind, name, near: Some(near), .. } => {
                write!(f, "no {kind} is called `{name}`; did you mean `{near}`?")
            }
            Self::Unknown { kind, name, known, .. } if known.is_empty() => {
                write!(f, "no {kind} is called `{name}`; there are none")
            }
            Self::Unknown { kind, name, known, .. } => {
                write!(f, "no {kind} is called `{name}`; known are {}", known.join(", "))?;
                if kind.ends_with("scheme") {
                    write!(f, "; a file of that name is written `./{name}:...`")?;
                }
                Ok(())
            }
            Self::Option { format, what } => write!(f, "format `{format}`: {what}"),
            Self::Taken { kind, name } => {
                write!(f, "there is a {kind} called `{name}` already; choose another name")
            }
            Self::Name { name } => write!(
                f,
                "`{name}` cannot be a name; use two or more of a-z, 0-9, `+`, `-`, `.`, a letter \
                 first"
            ),
            Self::Refused(e) => f.write_str(&e.what),
        }
    }
}

impl std::error::Error for RegistryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(e) => std::error::Error::source(e),
            _ => None,
        }
    }
}

pub(super) fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> RegistryError {
    let known: Vec<String> = known.map(str::to_owned).collect();
    let near = known.iter().map(|k| (distance(name, k), k)).min();
    // At most a third of the longer word is wrong.
    let near = near.filter(|(d, k)| d * 3 <= name.chars().count().max(k.len()).max(3));
    let near = near.map(|(_, k)| k.clone());
    RegistryError::Unknown { kind, name: name.to_owned(), near, known }
}

/// Optimal string alignment distance: insertions, deletions, replacements, neighbours swapped.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut next = vec![i + 1];
        for j in 0..b.len() {
            let replaced = row[j] + usize::from(a[i] != b[j]);
            let mut d = replaced.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                d = d.min(before[j - 1] + 1);
            }
            next.push(d);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}
