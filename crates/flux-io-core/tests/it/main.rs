//! Black-box tests of the data contracts (what moves, what it carries, how it fails, what is
//! counted) and of the driver on the smallest host. Engines have tests of their own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic as tests do")]

mod batches;
mod columns;
mod deadlines;
mod driver;
mod edges;
mod envelopes;
mod errors;
mod graphs;
mod keys;
mod kit;
mod memory;
mod runs;
mod schedulers;
mod shapes;
mod slices;
mod stages;
