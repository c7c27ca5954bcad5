//! The stream of choices of a run: drawn, recorded, replayed.

use flux_io_core::{ChoiceKind, Choices, Draws};

/// One choice that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What was decided.
    pub kind: ChoiceKind,
    /// How many ways there were.
    pub of: u32,
    /// Which was taken.
    pub taken: u32,
}

/// Makes choices and remembers them.
#[derive(Debug)]
pub struct Recorder {
    source: From,
    made: Vec<Choice>,
}

#[derive(Debug)]
enum From {
    /// Always the first way; nothing is recorded.
    Plain,
    Seed(Draws),
    Replay(std::vec::IntoIter<u32>),
}

impl Recorder {
    /// Always the first way, unrecorded.
    #[must_use]
    pub const fn plain() -> Self {
        Self { source: From::Plain, made: Vec::new() }
    }

    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self.source, From::Plain)
    }

    /// Drawn from a seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { source: From::Seed(Draws(seed)), made: Vec::new() }
    }

    /// As recorded; 0 beyond the end of the record.
    #[must_use]
    pub fn replay(choices: Vec<u32>) -> Self {
        Self { source: From::Replay(choices.into_iter()), made: Vec::new() }
    }

    /// What was chosen so far.
    #[must_use]
    pub fn into_choices(self) -> Vec<Choice> {
        self.made
    }
}

impl Choices for Recorder {
    fn choose(&mut self, kind: ChoiceKind, n: u32) -> u32 {
        let taken = match &mut self.source {
            From::Plain => return 0,
            From::Seed(d) => d.below(n),
            // A shrunk record may name a way that is not there: the nearest one is taken.
            From::Replay(r) => r.next().unwrap_or(0).min(n.saturating_sub(1)),
        };
        self.made.push(Choice { kind, of: n, taken });
        taken
    }
}
