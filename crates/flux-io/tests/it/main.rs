//! The facade as its users see it: one pipeline on every engine, stopped, inspected, extended.
#![cfg(test)]

mod accumulating;
mod branching;
mod calls;
#[cfg(feature = "backpressure")]
mod circuits;
mod composing;
mod control;
mod effects;
mod extending;
mod faults;
mod framing;
mod graphs;
mod held;
mod holding;
mod hybrid;
mod hybrid_laws;
mod joining;
mod models;
#[cfg(all(feature = "ndjson", feature = "accumulate"))]
mod outside;
mod parity;
mod shares;
mod standing;
#[cfg(feature = "futures")]
mod streams;
mod watching;
