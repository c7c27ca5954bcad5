//! The naive model of the two jobs: every fragment in a map by key, judged at the end.
//!
//! It knows no time, no batch, no cap and no order, so there is little in it that could be wrong.
//! It is checked against the published digests; then everything else is checked against it.

use std::collections::BTreeMap;

use super::fragment::{DeadCause, Fragment, Job};
use super::outcome::{OutcomeLine, Tally};

/// A job's whole input in maps.
#[derive(Debug, Clone)]
pub struct Naive {
    job: Job,
    keys: BTreeMap<String, Key>,
    input_lines: u64,
    duplicates: u64,
    dead_letters: BTreeMap<DeadCause, u64>,
}

/// What is known of one key.
#[derive(Debug, Clone, Default)]
struct Key {
    /// Canonical JSON of the present fragments by bit.
    present: BTreeMap<u32, Vec<u8>>,
    declares: Option<u32>,
}

/// What the naive model says of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Lines that were read, dead letters and copies included.
    pub input_lines: u64,
    /// Keys that have at least one fragment.
    pub keys: u64,
    /// Fragments whose variable their key had already.
    pub duplicates: u64,
    /// Lines that no key took, by cause; a cause without lines is not in the map.
    pub dead_letters: BTreeMap<DeadCause, u64>,
    /// Fragments inside complete keys.
    pub in_complete: u64,
    /// Fragments inside partial keys.
    pub in_partial: u64,
    /// One line a key, in the order of the keys' bytes.
    pub outcomes: Vec<OutcomeLine>,
    /// Counts and digest of the outcomes.
    pub tally: Tally,
}

impl Report {
    /// Whether each line is in exactly one class.
    #[must_use]
    pub fn balanced(&self) -> bool {
        let dead: u64 = self.dead_letters.values().sum();
        self.input_lines == self.in_complete + self.in_partial + self.duplicates + dead
    }
}

impl Naive {
    /// An empty model of `job`.
    #[must_use]
    pub fn new(job: Job) -> Self {
        Self {
            job,
            keys: BTreeMap::new(),
            input_lines: 0,
            duplicates: 0,
            dead_letters: BTreeMap::new(),
        }
    }

    /// Takes one line (without its line feed).
    pub fn line(&mut self, line: &[u8]) {
        self.input_lines += 1;
        match self.job.parse(line) {
            Ok(fragment) => self.fragment(fragment),
            Err(cause) => *self.dead_letters.entry(cause).or_default() += 1,
        }
    }

    /// The first fragment of a variable counts; a second one is a duplicate whatever it holds,
    /// since its variable is its identity.
    fn fragment(&mut self, fragment: Fragment) {
        let key = self.keys.entry(fragment.key).or_default();
        if key.present.contains_key(&fragment.bit) {
            self.duplicates += 1;
            return;
        }
        key.declares = key.declares.or(fragment.declares);
        key.present.insert(fragment.bit, fragment.canonical);
    }

    /// Judges every key.
    #[must_use]
    pub fn report(&self) -> Report {
        let (mut in_complete, mut in_partial) = (0, 0);
        let mut outcomes = Vec::with_capacity(self.keys.len());
        for (name, key) in &self.keys {
            let missing = self.job.missing(key.declares, |bit| key.present.contains_key(&bit));
            let line = OutcomeLine::new(name, missing, key.present.values());
            let class = if line.complete { &mut in_complete } else { &mut in_partial };
            *class += key.present.len() as u64;
            outcomes.push(line);
        }
        Report {
            input_lines: self.input_lines,
            keys: self.keys.len() as u64,
            duplicates: self.duplicates,
            dead_letters: self.dead_letters.clone(),
            in_complete,
            in_partial,
            tally: Tally::of(&outcomes),
            outcomes,
        }
    }
}

/// What the naive model says of `lines`.
pub fn run<'a>(job: Job, lines: impl IntoIterator<Item = &'a [u8]>) -> Report {
    let mut naive = Naive::new(job);
    lines.into_iter().for_each(|line| naive.line(line));
    naive.report()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_a_small_input_by_hand() {
        let lines = [
            r#"{"order":1,"kind":"received","line":1,"ts":"1992-01-03","flag":"N"}"#,
            r#"{"order":2,"kind":"shipped","line":1,"ts":"1992-01-02"}"#,
            r#"{"order":1,"kind":"shipped","line":1,"ts":"1992-01-02"}"#,
            r#"{"ts":"1992-01-02","order":2,"kind":"shipped","line":1}"#,
            r#"{"order":1,"kind":"header","ts":"1992-01-01","lines":1}"#,
            r#"{"order":3,"#,
        ];
        let report = run(Job::Orders, lines.iter().map(|line| line.as_bytes()));
        assert!(report.balanced());
        assert_eq!((report.keys, report.duplicates), (2, 1));
        assert_eq!((report.in_complete, report.in_partial), (3, 1));
        let dead = BTreeMap::from([(DeadCause::Poison, 1)]);
        assert_eq!(report.dead_letters, dead);
        assert_eq!((report.tally.complete, report.tally.partial), (1, 1));
        assert!(report.outcomes[1].to_string().starts_with("2\tpartial\theader\t"));
    }
}
