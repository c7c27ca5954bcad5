//! Sources and sinks of flux-io: NDJSON files, stdin and stdout, iterators, channels, streams.
//!
//! One module per connector. What needs another crate stands behind a feature:
//!
//! | feature | brings |
//! |---|---|
//! | none | [`source`], [`sink`], [`channel`], [`duplex`], [`hybrid`], [`forward`], [`reactive`] |
//! | `lines` | `frames`: files, globs, directories and readers cut into lines, CSV records, delimited or length-prefixed frames; `lines`; `output`: files written whole or not at all, part files, writers; `disk`: what they stand on; `registry`: all of it by name |
//! | `gzip` | gzip input, recognised by its content, and output |
//! | `zstd` | the same for zstd, in pure Rust |
//! | `ndjson` (default) | `ndjson`: JSON lines in and out |
//! | `futures` | `source::stream`, `source::into_stream`, `sink::from_sink`, receivers as streams, senders as sinks, a run as a stream (`channel::run_stream`) |
//!
//! No connector here names a runtime: whatever blocks goes through
//! [`IoCx::blocking`](flux_io_core::IoCx::blocking), and every wait is a plain future.

pub mod channel;
#[cfg(feature = "lines")]
pub mod disk;
pub mod duplex;
mod forward;
#[cfg(feature = "lines")]
pub mod frames;
pub mod hybrid;
#[cfg(feature = "lines")]
pub mod lines;
#[cfg(feature = "ndjson")]
pub mod ndjson;
#[cfg(feature = "lines")]
mod offload;
#[cfg(feature = "lines")]
pub mod output;
pub mod reactive;
#[cfg(feature = "lines")]
pub mod registry;
pub mod sink;
pub mod source;
mod sync;

pub use forward::forward;
