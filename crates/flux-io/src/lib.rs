//! Streaming and batch pipelines whose heart is **keyed accumulation**: fragments of a thing arrive
//! late, twice and out of order; flux-io holds them by key until the thing is complete and emits a
//! typed result that says complete, partial (with what is missing and why) or late.
//!
//! One pipeline runs unchanged on every engine, with the same output.
//!
#![doc = include_str!("../docs/first.md")]
//!
//! # Crates behind it
//! This crate holds no algorithm: it joins the parts and is where features are chosen. Each part
//! depends on [`core`] alone and can be used without the others.

pub use flux_io_core as core;
pub use flux_io_flow as flow;

#[cfg(feature = "accumulate")]
pub mod accumulate;
#[cfg(feature = "backpressure")]
pub mod backpressure;
pub mod engine;
pub mod prelude;
#[cfg(feature = "futures")]
pub mod stream;
#[cfg(feature = "backpressure")]
mod sync;

#[cfg(feature = "connect")]
pub use flux_io_connect as connect;
#[cfg(feature = "connect")]
#[doc(no_inline)]
pub use flux_io_connect::{sink, source};
#[cfg(feature = "record")]
pub use flux_io_record as record;

pub use engine::RunError;

/// The example of the project's front page is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So is the tutorial of the simulator.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/chaos.md")]
struct Chaos;

/// So is the page of the cookbook about services.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/cookbook/embed.md")]
struct Embed;
