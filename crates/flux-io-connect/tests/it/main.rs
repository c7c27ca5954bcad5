//! Black-box tests of the connectors, on a small host with a manual clock.

mod channel;
mod collect;
#[cfg(feature = "lines")]
mod disk;
mod driving;
#[cfg(feature = "futures")]
mod futures;
#[cfg(feature = "gzip")]
mod gzip;
mod host;
#[cfg(feature = "lines")]
mod lines;
#[cfg(feature = "lines")]
mod output;
#[cfg(feature = "ndjson")]
mod parse;
#[cfg(feature = "lines")]
mod parts;
#[cfg(feature = "lines")]
mod positions;
mod sources;
