//! Black-box tests of the connectors, on a small host with a manual clock.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]
#![cfg_attr(not(feature = "lines"), expect(dead_code, reason = "part of the host serves files"))]

#[cfg(feature = "lines")]
mod catalogue;
mod channel;
mod collect;
#[cfg(feature = "gzip")]
mod compress;
#[cfg(feature = "lines")]
mod disk;
mod driving;
#[cfg(feature = "lines")]
mod found;
#[cfg(feature = "lines")]
mod frames;
#[cfg(feature = "futures")]
mod futures;
#[cfg(feature = "gzip")]
mod gzip;
mod host;
mod hybrid;
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
mod reactive;
#[cfg(feature = "lines")]
mod registry;
mod sources;
mod spoilt;
#[cfg(all(feature = "lines", unix))]
mod waits;
#[cfg(feature = "zstd")]
mod zstd;
