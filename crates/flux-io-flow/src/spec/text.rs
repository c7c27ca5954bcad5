//! The text of a stored graph.

use super::data::{GraphSpec, VERSION};
use serde::Deserialize;

/// Why a text is no stored graph, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("graph spec, line {line}, column {column}: {what}; {fix}")]
pub struct SpecError {
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// The nearest fix.
    pub fix: String,
}

impl GraphSpec {
    /// The canonical text: JSON with two spaces of indent and a final newline. Equal specs give
    /// equal bytes, in whatever order their stages and edges stand.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with text keys are always JSON; a number that is not finite
        // becomes null.
        let text = serde_json::to_string_pretty(&self.clone().sorted());
        text.map(|t| t + "\n").unwrap_or_default()
    }

    /// Reads a text that [`GraphSpec::to_json`] wrote, or a person.
    ///
    /// # Errors
    /// Another version, a field that is not known or missing, a value of the wrong type, or no
    /// JSON: with its place. Nothing is guessed.
    pub fn from_json(text: &str) -> Result<Self, SpecError> {
        #[derive(Deserialize)]
        struct Head {
            version: u64,
        }
        let head: Head = serde_json::from_str(text).map_err(|e| fault(&e))?;
        if head.version != u64::from(VERSION) {
            let (line, column) = place(text, "\"version\"");
            return Err(SpecError {
                line,
                column,
                what: format!("version {} is not known here", head.version),
                fix: format!(
                    "this release reads version {VERSION}; store the graph again with it, or read \
                     it with the release that wrote it"
                ),
            });
        }
        serde_json::from_str(text).map_err(|e| fault(&e))
    }
}

/// Line and column of the first place where `word` stands.
fn place(text: &str, word: &str) -> (usize, usize) {
    let before = text.find(word).and_then(|at| text.get(..at)).unwrap_or_default();
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn fault(e: &serde_json::Error) -> SpecError {
    let text = e.to_string();
    let at = format!(" at line {} column {}", e.line(), e.column());
    let what = text.strip_suffix(&at).unwrap_or(&text).to_owned();
    let fix = match what.split(' ').next().unwrap_or_default() {
        "unknown" => "correct the name or take it out",
        "missing" => "add it",
        "invalid" => "give a value of that type",
        "duplicate" => "keep one of them",
        _ => "correct the JSON there",
    };
    SpecError { line: e.line(), column: e.column(), what, fix: fix.to_owned() }
}
