//! What the tests of flux-io share.
//!
//! The heart is [`jobs`]: the two standing jobs (flights, orders) with their data, the one digest
//! that grades them, a naive model that is checked against the published numbers, and an
//! executable specification of keyed accumulation with event time. Nothing here knows an engine or
//! an accumulator, so what is compared with it cannot share its mistakes.
//!
//! [`conformance`] holds the laws of every contract of `flux-io-core` as functions that whoever
//! implements one calls from a test; [`doubles`] are the small real implementations those laws,
//! and tests elsewhere, run on; [`plans`] builds execution plans by hand.

pub mod conformance;
pub mod dag;
pub mod doubles;
#[cfg(feature = "jobs")]
pub mod jobs;
pub mod plans;
