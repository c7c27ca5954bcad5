//! Black-box tests of keyed accumulation.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic as tests do")]

mod bounds;
mod cases;
mod faults;
mod kit;
mod model;
mod output;
mod panics;
mod properties;
mod shares;
mod state;
mod subject;
