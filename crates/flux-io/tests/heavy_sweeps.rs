//! Sweeps over every engine: panics in user code at every call, tasks and runs dropped at every
//! poll, drains and aborts at random steps. Nothing hangs, leaks or goes uncounted. Run optimised:
//! `cargo test --profile ci`.
#![cfg(test)]

mod sweeps;
