//! The stream of choices: drawn from a seed, recorded, replayed, and written as short text.
//!
//! Every choice is a number below a bound, and 0 always means the plain way: the fair next task,
//! whole batches, no fault, default sizes. A stream that ends early goes on with zeros, so cutting
//! a stream short or zeroing parts of it gives a calmer run, never an invalid one. That is what
//! makes shrinking work.

use flux_io_core::{ChoiceKind, Draws};
use std::fmt::Write;

/// What was decided by a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A size or a switch of this run, drawn before it starts.
    Swarm,
    /// Which of the things that can run does.
    Next,
    /// Rows a source may give.
    Split,
    /// Which of the timers due at one moment fires.
    TimerTie,
    /// Whether a fault happens, or which.
    Fault,
    /// How long something takes.
    Delay,
    /// Seed of the key hashes.
    HashSeed,
    /// Steps until something happens from outside.
    Gap,
    /// Something else that core asked for.
    Other,
}

impl From<ChoiceKind> for Kind {
    fn from(k: ChoiceKind) -> Self {
        match k {
            ChoiceKind::NextTask => Self::Next,
            ChoiceKind::BatchSplit => Self::Split,
            ChoiceKind::TimerTie => Self::TimerTie,
            ChoiceKind::Fault => Self::Fault,
            ChoiceKind::Delay => Self::Delay,
            ChoiceKind::HashSeed => Self::HashSeed,
            _ => Self::Other,
        }
    }
}

/// One choice that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What was decided.
    pub kind: Kind,
    /// How many ways there were; at least 2.
    pub of: u32,
    /// Which was taken.
    pub taken: u32,
}

/// Where choices come from, and what was chosen so far.
#[derive(Debug)]
pub(crate) struct Recorder {
    from: Origin,
    made: Vec<Choice>,
}

#[derive(Debug)]
enum Origin {
    Seed(Draws),
    Replay(std::vec::IntoIter<u32>),
    /// A prefix, then as the caller picks where it does, else 0.
    Guided(std::vec::IntoIter<u32>),
}

impl Recorder {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self { from: Origin::Seed(Draws(seed)), made: Vec::new() }
    }

    /// As recorded; 0 beyond the end.
    pub(crate) fn replay(stream: Vec<u32>) -> Self {
        Self { from: Origin::Replay(stream.into_iter()), made: Vec::new() }
    }

    /// As recorded; beyond the end what the caller of [`Recorder::choose_by`] picks, else 0.
    pub(crate) fn guided(prefix: Vec<u32>) -> Self {
        Self { from: Origin::Guided(prefix.into_iter()), made: Vec::new() }
    }

    pub(crate) fn made(&self) -> &[Choice] {
        &self.made
    }

    /// One of `n` ways, each as likely as the others. With one way or none nothing is recorded.
    pub(crate) fn choose(&mut self, kind: Kind, n: u32) -> u32 {
        self.choose_by(kind, n, |d| d.map_or(0, |d| d.below(n)))
    }

    /// Yes with `permille` in a thousand; recorded as 0 or 1.
    pub(crate) fn happens(&mut self, kind: Kind, permille: u32) -> bool {
        permille > 0 && self.draw(kind, permille) == 1
    }

    fn draw(&mut self, kind: Kind, permille: u32) -> u32 {
        self.choose_by(kind, 2, |d| d.map_or(0, |d| u32::from(d.below(1000) < permille)))
    }

    /// One of `n` ways as `pick` says; a replay does not ask it.
    pub(crate) fn choose_by(
        &mut self,
        kind: Kind,
        n: u32,
        pick: impl FnOnce(Option<&mut Draws>) -> u32,
    ) -> u32 {
        if n <= 1 {
            return 0;
        }
        let taken = match &mut self.from {
            Origin::Seed(d) => pick(Some(d)),
            Origin::Guided(r) => r.next().unwrap_or_else(|| pick(None)),
            Origin::Replay(r) => r.next().unwrap_or(0),
        };
        // A shrunk stream may name a way that is not there: the nearest one is taken.
        let taken = taken.min(n - 1);
        self.made.push(Choice { kind, of: n, taken });
        taken
    }

    pub(crate) fn into_made(self) -> Vec<Choice> {
        self.made
    }
}

/// A stream as text: numbers, with runs of zeros as `zN` and the zeros at its end left out.
///
/// ```
/// use flux_io_sim::{stream_from_text, stream_to_text};
/// let text = stream_to_text(&[0, 0, 0, 7, 1, 0]);
/// assert_eq!(text, "z3 7 1");
/// assert_eq!(stream_from_text(&text), Ok(vec![0, 0, 0, 7, 1]));
/// ```
#[must_use]
pub fn stream_to_text(stream: &[u32]) -> String {
    let mut out = String::new();
    let mut zeros = 0usize;
    for &x in stream {
        if x == 0 {
            zeros += 1;
            continue;
        }
        if zeros > 0 {
            let _ = write!(out, "z{zeros} ");
            zeros = 0;
        }
        let _ = write!(out, "{x} ");
    }
    out.truncate(out.trim_end().len());
    out
}

/// The text is not a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{word}` at word {at} of the stream is neither a number nor a run of zeros like z12; paste the text as it was printed"
)]
pub struct StreamError {
    /// Which word, from 0.
    pub at: usize,
    /// The word.
    pub word: String,
}

/// Longest run of zeros that a text may ask for.
const LONGEST_RUN: usize = 1 << 20;

/// The stream that [`stream_to_text`] wrote.
///
/// # Errors
/// [`StreamError`] names the first word that is not part of a stream.
pub fn stream_from_text(text: &str) -> Result<Vec<u32>, StreamError> {
    let mut out = Vec::new();
    for (at, word) in text.split_whitespace().enumerate() {
        let bad = || StreamError { at, word: word.to_owned() };
        if let Some(run) = word.strip_prefix('z') {
            let n: usize = run.parse().map_err(|_| bad())?;
            if n > LONGEST_RUN {
                return Err(bad());
            }
            out.resize(out.len() + n, 0);
        } else {
            out.push(word.parse().map_err(|_| bad())?);
        }
    }
    Ok(out)
}
