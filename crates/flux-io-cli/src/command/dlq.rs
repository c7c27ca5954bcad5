//! `dlq`: dead letters, listed and read again.

mod letter;
mod retry;

use crate::cli::{Dlq, DlqCommand, Letters};
use crate::console::{Exit, Outcome, print};
use crate::json::Object;
use letter::{Letter, read};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Places of a kind of letter that are shown.
const SHOWN: usize = 3;

pub(super) fn dlq(args: &Dlq, json: bool) -> Outcome {
    match &args.command {
        DlqCommand::Ls(args) => list(args, json),
        DlqCommand::Retry(args) => retry::retry(args, json),
    }
}

/// Letters of one reason and stage.
#[derive(Debug, Default)]
struct Kind<'a> {
    count: u64,
    places: Vec<String>,
    first: &'a str,
}

fn list(args: &Letters, json: bool) -> Outcome {
    let letters = read(&args.letters)?;
    let mut kinds: BTreeMap<(&str, &str), Kind<'_>> = BTreeMap::new();
    for letter in &letters {
        let kind = kinds.entry((&letter.reason, &letter.stage)).or_default();
        kind.count += 1;
        if kind.places.len() < SHOWN {
            kind.places.push(letter.place());
        }
        if kind.count == 1 {
            kind.first = &letter.what;
        }
    }
    let originals = letters.iter().filter(|l| !l.originals.is_empty()).count();
    print(&if json {
        events(&kinds, &letters, originals)
    } else {
        table(&kinds, &letters, originals)
    })?;
    Ok(Exit::Done)
}

type Kinds<'a> = BTreeMap<(&'a str, &'a str), Kind<'a>>;

fn table(kinds: &Kinds<'_>, letters: &[Letter], originals: usize) -> String {
    let wide = |f: fn(&(&str, &str)) -> usize| kinds.keys().map(f).max().unwrap_or(0).max(6);
    let (reasons, stages) = (wide(|k| k.0.chars().count()), wide(|k| k.1.chars().count()));
    let mut t = String::new();
    // Writing to a string does not fail.
    if !kinds.is_empty() {
        let _ = writeln!(t, "{:<reasons$}  {:<stages$}  letters  first", "reason", "stage");
    }
    for ((reason, stage), kind) in kinds {
        let places = kind.places.join(", ");
        let _ = writeln!(
            t,
            "{reason:<reasons$}  {stage:<stages$}  {:>7}  {places}: {}",
            kind.count, kind.first
        );
    }
    let _ = write!(t, "{} dead letters, {originals} with what they were", letters.len());
    t
}

fn events(kinds: &Kinds<'_>, letters: &[Letter], originals: usize) -> String {
    let mut t = String::new();
    for ((reason, stage), kind) in kinds {
        let event = Object::event("dead_letters")
            .text("reason", reason)
            .text("stage", stage)
            .plain("letters", kind.count)
            .texts("first", kind.places.iter().map(String::as_str))
            .text("what", kind.first);
        let _ = writeln!(t, "{}", event.line());
    }
    let total = Object::event("total").plain("letters", letters.len());
    t.push_str(&total.plain("with_originals", originals).line());
    t
}
