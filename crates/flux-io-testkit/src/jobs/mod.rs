//! The two jobs that must always run, and the models that grade them.
//!
//! | module | what |
//! |---|---|
//! | [`outcome`] | the outcome line and the digest: what every engine must reproduce |
//! | [`flights`] | a month of real flights: file, orders of arrival, the week cut from it |
//! | [`orders`] | TPC-H orders at any scale, with seeded chaos, in three orders of arrival |
//! | [`fragment`] | one input line read slowly and surely |
//! | [`naive`] | keys in a map, no time: the oracle of the digest |
//! | [`reference`](mod@reference) | keyed accumulation with event time: the oracle of every policy |
//! | [`expected`] | the published numbers |
//! | [`lines`], [`rng`], [`time`] | arena of lines, seeded shuffle, civil dates |

pub mod expected;
pub mod flights;
pub mod fragment;
pub mod lines;
pub mod naive;
pub mod orders;
pub mod outcome;

pub mod reference;
pub mod rng;
pub mod time;

use std::path::PathBuf;

/// The folder `examples/data` of the repository this crate was built in.
///
/// It is found from the crate's own folder at build time, so it holds for tests and benches that
/// run where they were built, not for installed programs.
#[must_use]
pub fn data_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/data")
}
