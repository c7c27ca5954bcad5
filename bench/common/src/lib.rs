//! What every bench binary shares, so that two sides of a comparison differ only in the code
//! under test: input generators, checksums, timing, peak memory, one JSON line a run, and the
//! global allocator.

mod arrivals;
mod blocks;
mod burn;
mod chain;
mod error;
mod fragments;
mod orders;
mod records;
mod report;
mod rng;
mod task;
mod texts;

pub use arrivals::{Arrivals, Latencies};
pub use blocks::{for_each_block, parts};
pub use burn::burn;
pub use chain::{keep, map_first, map_second};
pub use error::BenchError;
pub use fragments::{
    Fragment, VALUE_BYTES, VARIABLES, WINDOW_BITS, fragment_at, key_and_variable, record_sum,
    value64,
};
pub use orders::{ORDERS, OrdersInput, data_dir, digest_of_outcomes, out_dir};
pub use records::digest_of_records;
pub use report::{Line, Measured, report, timed};
pub use rng::{Rng, mix};
pub use task::{Task, run_child};
pub use texts::{MEASURES, Spread, WORDS_PER_LINE, input_file, keys_of, row_of, word_sum};

/// The allocator of every binary that links this crate, as the table names it.
pub const ALLOCATOR: &str = "mimalloc (crate 0.1, default features off)";

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Items of a hand-off batch in W2 and of the default batch elsewhere.
pub const BATCH_ITEMS: usize = 1024;
