//! Sinks into what a program has at hand: memory, `futures` sinks.

mod collect;
#[cfg(feature = "futures")]
mod from_sink;
mod front;

pub use collect::{Collect, CollectColumn, Collected, CollectedColumn, collect, collect_column};
#[cfg(feature = "futures")]
pub use from_sink::{FromSink, from_sink};
pub(crate) use front::Front;
