//! What happened, as a hash of the order of polls, choices and batches, and as text for people.

use flux_io_core::Moment;
use std::fmt;

/// Something that happened in a simulated run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The step, from 1.
    pub step: u64,
    /// The engine's time.
    pub at: Moment,
    /// What happened, for people: `poll key#0`, `fault: crash at a step`.
    pub what: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} at {}ns: {}", self.step, self.at.0, self.what)
    }
}

impl Event {
    /// The event as one line of JSON: `{"step":1,"at_ns":0,"what":"poll key#0"}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut what = String::with_capacity(self.what.len());
        for c in self.what.chars() {
            match c {
                '"' | '\\' => what.extend(['\\', c]),
                c if c < ' ' => what.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => what.push(c),
            }
        }
        format!("{{\"step\":{},\"at_ns\":{},\"what\":\"{what}\"}}", self.step, self.at.0)
    }
}

/// Hash of a run; lines are kept only when asked for.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<Event>>,
    step: u64,
}

impl Trace {
    pub(crate) const fn quiet() -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: None, step: 0 }
    }

    pub(crate) const fn told() -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: Some(Vec::new()), step: 0 }
    }

    /// Mixes a word in: multiply and shift, both halves of the product folded (as FNV, on words).
    pub(crate) const fn mix(&mut self, word: u64) {
        let x = (self.hash ^ word ^ 0x5851_F42D_4C95_7F2D) as u128 * 0x9E37_79B9_7F4A_7C15_u128;
        self.hash = (x >> 64) as u64 ^ x as u64;
    }

    pub(crate) const fn choice(&mut self, of: u32, taken: u32) {
        self.mix((of as u64) << 32 | taken as u64);
    }

    pub(crate) const fn step(&mut self, thing: usize, now: u64) {
        self.step += 1;
        self.mix(thing as u64);
        self.mix(now);
    }

    pub(crate) fn line(&mut self, now: u64, text: impl FnOnce() -> String) {
        if let Some(l) = &mut self.lines {
            l.push(Event { step: self.step, at: Moment(now), what: text() });
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<Event> {
        self.lines.unwrap_or_default()
    }
}
