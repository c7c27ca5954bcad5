//! Rows as bytes into files, part files and writers. `lines` and `ndjson` make these sinks;
//! [`Rows`](crate::frames::Rows) or an [`Encode`] of one's own makes others.
//!
//! Rows are encoded where the sink is polled, bytes are written by blocking calls of 256 KiB or
//! more, one at a time, while the next ones are encoded. A sink holds at most two such buffers and
//! a batch.

mod buffered;
mod compress;
mod encode;
mod file;
mod names;
mod parts;
mod parts_target;
mod temp;
mod writer;

pub use crate::lines::RawLines;
pub use compress::Compression;
pub use encode::{Encode, EncodeError, LineColumn};
pub use file::FileSink;
pub use parts::PartsSink;
pub use writer::{WriterSink, is_closed_pipe};
