//! What a `join` is told: how rows are found, when it is content, what it holds.

use super::held::Hold;
use super::leftover::Leftover;
use std::fmt;
use std::time::Duration;

/// What the flows of a join gave for one id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Joined<T> {
    /// The place, the sequence number, or what the closure said.
    pub id: u64,
    /// The row of each flow, in the order of the flows.
    pub parts: Vec<Option<T>>,
    /// The strategy was content; otherwise the id was given up with what was there.
    pub complete: bool,
}

type IdOf<T> = dyn FnMut(&T) -> u64 + Send;
type Content<T> = dyn FnMut(&[Option<T>]) -> bool + Send;

/// How the rows that belong together are found.
pub(super) enum By<T> {
    Place,
    Seq,
    Id(Box<IdOf<T>>),
}

/// When a join is content.
pub enum JoinStrategy<T> {
    /// With the first row; what the other flows give for the same id is counted as superseded.
    FirstWins,
    /// With a row of every flow.
    AllComplete,
    /// With rows of this many flows.
    Quorum(usize),
    /// With a row of every flow, or with what is there so long after the first, by the engine's
    /// clock. It makes the stage schedule-dependent.
    Timeout(Duration),
    /// When the closure says so of what is there; it is asked after each row.
    Custom(Box<Content<T>>),
}

impl<T> JoinStrategy<T> {
    /// A strategy of one's own.
    #[must_use]
    pub fn custom(content: impl FnMut(&[Option<T>]) -> bool + Send + 'static) -> Self {
        Self::Custom(Box::new(content))
    }
}

impl<T> fmt::Debug for JoinStrategy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstWins => f.write_str("first wins"),
            Self::AllComplete => f.write_str("all complete"),
            Self::Quorum(k) => write!(f, "quorum of {k}"),
            Self::Timeout(d) => write!(f, "all complete, or after {d:?}"),
            Self::Custom(_) => f.write_str("custom"),
        }
    }
}

/// What a join does: how rows are found, when it is content, what it holds, what is left over.
pub struct Join<T> {
    pub(super) by: By<T>,
    pub(super) strategy: JoinStrategy<T>,
    pub(super) rest: Leftover,
    pub(super) partial: bool,
    pub(super) hold: Hold<T>,
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Join({}, {:?}, {:?})", self.by.as_str(), self.strategy, self.hold)
    }
}

impl<T> By<T> {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Seq => "sequence number",
            Self::Id(_) => "id",
        }
    }
}

impl<T> Join<T> {
    fn by(by: By<T>, strategy: JoinStrategy<T>) -> Self {
        Self { by, strategy, rest: Leftover::Drop, partial: false, hold: Hold::default() }
    }

    /// The n-th row of each flow. A flow that drops or doubles rows shifts all that follow.
    #[must_use]
    pub fn by_place(strategy: JoinStrategy<T>) -> Self {
        Self::by(By::Place, strategy)
    }

    /// Rows with the same sequence number: flows that branched from one source. Each flow gives
    /// its numbers in order, each once. What a flow has dropped is known at once: branches say how
    /// far they have come ([`Control::Passed`](flux_io_core::Control::Passed)), and stages that keep
    /// numbers pass it on; behind one that does not, and of flows that did not branch, it is known
    /// by the number behind it, and the plan notes what may wait for that.
    #[must_use]
    pub fn by_seq(strategy: JoinStrategy<T>) -> Self {
        Self::by(By::Seq, strategy)
    }

    /// Rows with the same id, in any order; each flow gives an id once. (For keys that come many
    /// times there are accumulators.) An id leaves when it is whole, when every flow that has not
    /// given it has ended, or when it is the oldest and [`Join::hold`] has no room for a new one.
    #[must_use]
    pub fn by_id(id: impl FnMut(&T) -> u64 + Send + 'static, strategy: JoinStrategy<T>) -> Self {
        Self::by(By::Id(Box::new(id)), strategy)
    }

    /// What becomes of rows of ids that were given up, counted under "incomplete", and of rows that
    /// came when their id was over, counted under "superseded".
    #[must_use]
    pub const fn rest(mut self, rest: Leftover) -> Self {
        self.rest = rest;
        self
    }

    /// Ids that are given up go out with what is there, as [`Joined`] that is not complete.
    #[must_use]
    pub const fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// What is held: ids in all, and bytes with what is needed to find them; patience, and a codec.
    ///
    /// By place and number, a full join takes only the flows that the first id misses. By id, flows
    /// that branched from one another are taken in step, so that what is found within the hold is a
    /// function of the data. Other flows are taken as they come until the hold is half full, and then
    /// only those that the oldest id misses; what these bring fills the other half, and then pushes
    /// the oldest id out, which is counted (see [`Join::rest`]). A flow that gives nothing is waited
    /// for while it lives, unless patience is over, or it may be the join that keeps it from giving
    /// something: then, after 5 s without any row, the older half of the ids is given up, and the
    /// plan says so. Whole ids that a flow has not given yet are held, too. At most as many ids that
    /// were given up are remembered, so that a late row does not open them again.
    #[must_use]
    pub fn hold(mut self, hold: Hold<T>) -> Self {
        self.hold = hold;
        self
    }

    pub(super) fn exact_seq(&self) -> bool {
        matches!(self.by, By::Seq)
    }

    pub(super) fn params(&self) -> [(&'static str, String); 3] {
        let rest = if self.partial { "partial" } else { self.rest.as_str() };
        [
            ("by", self.by.as_str().to_owned()),
            ("strategy", format!("{:?}", self.strategy)),
            ("rest", rest.to_owned()),
        ]
    }
}
