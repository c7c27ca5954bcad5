//! Who may send: bounded edges, and policies above them.
//!
//! An edge has slots. Above them a [`FlowControl`] may keep a balance of cost; a batch moves when
//! both allow it. Control items never ask.

use crate::context::Cost;
use crate::time::Moment;

/// What happens to a batch when its edge has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// The sender waits: nothing is lost, pressure travels upstream.
    #[default]
    Block,
    /// The oldest waiting batch is dropped and counted; the new one goes in.
    DropOldest,
    /// The new batch is dropped and counted.
    DropNewest,
}

impl WhenFull {
    /// The cause under which drops are counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::DropOldest => "drop_oldest",
            Self::DropNewest => "drop_newest",
        }
    }
}

/// A policy's answer to "may this be sent now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes; its cost is taken from the balance.
    Admit,
    /// Not before something returns.
    Wait,
    /// Not before this moment.
    WaitUntil(Moment),
    /// Never: drop it and count it as `shed`.
    Shed,
}

/// A flow-control policy of one edge: a pure state machine.
///
/// # Laws
/// - Costs are conserved: what was admitted and not yet returned, plus the balance, is constant.
/// - With nothing outstanding, `admit` never answers `Wait` (no batch waits for itself; B40).
pub trait FlowControl: Send {
    /// May a batch of this cost be sent at `now`?
    fn admit(&mut self, cost: Cost, now: Moment) -> Admission;
    /// The receiver took a batch of this cost.
    fn release(&mut self, cost: Cost, now: Moment);
    /// The balance, where the policy has one.
    fn balance(&self) -> Option<i64> {
        None
    }
}
