//! Frames of bytes: a stream of bytes cut into rows, and rows written as a stream of bytes.
//!
//! | what | is |
//! |---|---|
//! | [`Inputs`] | where bytes come from: [`Files`], [`Found`] (globs, directories), [`Reader`] |
//! | [`Framing`] | where a frame ends: [`LineFraming`], [`Delimited`], [`LengthPrefix`], [`CsvFraming`], or one's own |
//! | [`Decode`] | what a frame means: [`AsBytes`], or a wire format of one's own |
//! | [`Framed`] | the source made of the three; see [`read`] |
//! | [`Rows`] | the other direction: rows of bytes through a [`Framing`] into any sink of `output` |
//!
//! ```
//! use flux_io_connect::frames::{self, CsvFraming, Found};
//! let orders = frames::read(Found::glob("orders/*.csv"), CsvFraming::default());
//! ```

mod blocks;
mod csv;
mod decode;
mod delimited;
mod encode;
mod feed;
mod found;
mod framing;
mod input;
mod length;
mod line;
mod meter;
mod pattern;
mod source;
mod split;
mod token;
mod told;

pub use csv::CsvFraming;
pub use decode::{AsBytes, Decode};
pub use delimited::{Delimited, DelimiterError};
pub use encode::Rows;
pub use found::Found;
pub use framing::{Cut, Framing, Place};
pub use input::{Files, Inputs, Reader};
pub use length::{LengthKind, LengthPrefix};
pub use line::LineFraming;
pub use meter::Meter;
pub use source::{Framed, read};

/// Bytes read or written by one blocking call.
pub const BLOCK_BYTES: usize = 256 * 1024;
/// Bytes a frame may have unless the source says otherwise.
pub const RECORD_LIMIT: usize = 1024 * 1024;
