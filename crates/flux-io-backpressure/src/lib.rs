//! Flow control as pure state machines: they are told the time and what happened, and answer. No
//! clock, no chance, no lock; whoever drives them has those.
//!
//! - [`Breaker`]: stops calls to something that fails, and lets them through again on evidence.

mod breaker;

pub use breaker::{
    Answer, Breaker, BreakerCounts, BreakerPolicy, BreakerState, Change, Permit, PolicyError, Why,
};
