//! Reads the table of `docs/requirements.md`.

use std::fmt;

/// The largest row number; every number from 1 to it stands in the table once.
pub(super) const LAST: u32 = 350;

/// What is known about a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// A test, example or document proves it.
    Shown,
    /// Not proven yet.
    Open,
    /// Decided against; the text says why.
    Refused(String),
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The requirement's number.
    pub(super) number: u32,
    /// What is known about it.
    pub(super) state: State,
    /// What proves it.
    pub(super) proofs: Vec<Proof>,
}

/// A place in the tree that proves a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Proof {
    /// File, relative to the workspace root, with forward slashes.
    pub(super) path: String,
    /// The test's name; without one the file as a whole is the proof.
    pub(super) test: Option<String>,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Some(test) => write!(f, "{}::{test}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// Every row in the text, and everything wrong with the table itself.
pub(super) fn parse(text: &str) -> (Vec<Row>, Vec<String>) {
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match row(line) {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => {}
            Err(fault) => faults.push(format!("line {}: {fault}", index + 1)),
        }
    }
    for number in 1..=LAST {
        match rows.iter().filter(|row| row.number == number).count() {
            1 => {}
            0 => faults.push(format!("row {number} is missing")),
            n => faults.push(format!("row {number} stands in the table {n} times")),
        }
    }
    (rows, faults)
}

/// One line of the file; `None` when it is not a row of the table.
fn row(line: &str) -> Result<Option<Row>, String> {
    let line = line.trim();
    let Some(inside) = line.strip_prefix('|') else { return Ok(None) };
    let inside = inside.strip_suffix('|').ok_or("the row does not end with `|`")?;
    let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
    let heading = cells.first() == Some(&"n");
    let rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| "-:".contains(c)));
    if heading || rule {
        return Ok(None);
    }
    let [number, state, proof] = cells.as_slice() else {
        return Err(format!("expected 3 cells, found {}", cells.len()));
    };
    let number: u32 =
        number.parse().map_err(|_| format!("`{number}` is not the number of a row"))?;
    if !(1..=LAST).contains(&number) {
        return Err(format!("row {number} is not within 1 to {LAST}"));
    }
    let state = state_of(state).map_err(|fault| format!("row {number}: {fault}"))?;
    let proofs = proofs_of(proof).map_err(|fault| format!("row {number}: {fault}"))?;
    if state == State::Shown && proofs.is_empty() {
        return Err(format!("row {number} is shown but names no proof"));
    }
    Ok(Some(Row { number, state, proofs }))
}

fn state_of(cell: &str) -> Result<State, String> {
    match cell.split_once(':').map(|(word, why)| (word.trim(), why.trim())) {
        None if cell == "shown" => Ok(State::Shown),
        None if cell == "open" => Ok(State::Open),
        Some(("refused", why)) if !why.is_empty() => Ok(State::Refused(why.to_owned())),
        _ => Err(format!("`{cell}` is none of `shown`, `open`, `refused: reason`")),
    }
}

fn proofs_of(cell: &str) -> Result<Vec<Proof>, String> {
    let names = cell.split(',').map(|name| name.trim().trim_matches('`'));
    if cell.is_empty() {
        return Ok(Vec::new());
    }
    names
        .map(|name| {
            let (path, test) = match name.split_once("::") {
                Some((path, test)) => (path, Some(test)),
                None => (name, None),
            };
            let outside = path.starts_with('/') || path.split('/').any(|part| part == "..");
            let plain = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
            if outside || !plain(path) || !test.is_none_or(plain) {
                return Err(format!("`{name}` is not of the form `path::test` or `path`"));
            }
            Ok(Proof { path: path.to_owned(), test: test.map(str::to_owned) })
        })
        .collect()
}
