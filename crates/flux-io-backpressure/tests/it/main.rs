//! The state machines against tables of cases, their models, and the known faults.
#![cfg(test)]

mod breaker;
#[path = "../model/mod.rs"]
mod model;
