//! From blocks of bytes to records: the contract that every decoder keeps, and the cutting of
//! blocks into records that the built-in ones share.

use crate::column::RecordColumn;
use flux_io_core::RowError;
use memchr::{memchr, memchr_iter};

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number in the stream, from 1; blank lines and a header are not counted.
    pub record: u64,
    /// Its line, from 1.
    pub line: u64,
    /// Its offset in the stream, in bytes from 0.
    pub offset: u64,
}

/// A record that could not be read.
#[derive(Debug)]
pub struct Rejected<'a> {
    /// Where it begins.
    pub place: Place,
    /// What is wrong with it; the text names line and byte, the caller knows the file.
    pub error: RowError,
    /// Its bytes, without the line's end; of a record over the limit only the first 4,096.
    pub original: &'a [u8],
}

/// Bytes in, records out, across any borders of blocks: a protocol's parser.
///
/// # Laws
/// - The records and rejections, and their order, do not depend on how the input is cut.
/// - It keeps at most one record's limit of bytes between calls.
/// - A rejected record costs itself alone, unless it makes those after it unreadable; then each of
///   those is rejected too.
pub trait Decode: Send {
    /// Reads records from the front of `block` into `out` until the block is used up or `out` has
    /// `rows` rows; returns how many bytes of the block were used, to be called again with the
    /// rest.
    fn decode(
        &mut self,
        block: &[u8],
        out: &mut RecordColumn,
        rows: usize,
        bad: &mut dyn FnMut(Rejected<'_>),
    ) -> usize;
    /// The input has ended: reads what was held back. At most one record; the decoder is then at
    /// the start of a new input.
    fn finish(&mut self, out: &mut RecordColumn, bad: &mut dyn FnMut(Rejected<'_>));
    /// Where the next record begins. Bytes before its offset are dealt with for good, so that a
    /// checkpoint may go on from there.
    fn place(&self) -> Place;
}

/// Bytes of an over-long record that are kept to recognise it.
const HEAD: usize = 4096;

/// Cuts blocks into records and keeps the torn end of a block.
#[derive(Clone, Debug)]
pub(crate) struct Cutter {
    limit: usize,
    tail: Vec<u8>,
    skipping: bool,
    pub(crate) place: Place,
}

/// What the front of a block is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The whole block belongs to a record that goes on, or to one that is being skipped.
    More,
    /// A record ends after so many bytes of the block; its bytes are there alone or in the tail.
    Record { used: usize, in_tail: bool },
    /// The record is over the limit; its rest will be skipped.
    TooLong { used: usize },
    /// The rest of a record over the limit ended here.
    Skipped { used: usize },
}

impl Cutter {
    pub(crate) const fn new(limit: usize) -> Self {
        let place = Place { record: 1, line: 1, offset: 0 };
        Self { limit, tail: Vec::new(), skipping: false, place }
    }

    /// Looks for the next record's end in `block`; `find` gives the length up to behind the line
    /// feed that ends it, and remembers its own state between calls.
    pub(crate) fn cut(
        &mut self,
        block: &[u8],
        mut find: impl FnMut(&[u8]) -> Option<usize>,
    ) -> Cut {
        if self.skipping {
            let end = memchr(b'\n', block);
            let used = end.map_or(block.len(), |n| n + 1);
            self.place.offset += used as u64;
            if end.is_none() {
                return Cut::More;
            }
            self.skipping = false;
            self.place.line += 1;
            return Cut::Skipped { used };
        }
        // Two bytes more than the limit, for the line's end.
        let room = (self.limit + 2).saturating_sub(self.tail.len());
        let window = &block[..block.len().min(room)];
        match find(window) {
            Some(used) if self.tail.is_empty() => Cut::Record { used, in_tail: false },
            Some(used) => {
                self.tail.extend_from_slice(&window[..used]);
                Cut::Record { used, in_tail: true }
            }
            None => {
                self.tail.extend_from_slice(window);
                if self.tail.len() < self.limit + 2 {
                    return Cut::More;
                }
                self.skipping = true;
                Cut::TooLong { used: window.len() }
            }
        }
    }

    pub(crate) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// The tail, to be given back when its record was read.
    pub(crate) fn take_tail(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.tail)
    }

    pub(crate) fn give_tail(&mut self, tail: Vec<u8>) {
        if tail.capacity() > 0 {
            self.tail = tail;
        }
    }

    /// The first bytes of a record over the limit.
    pub(crate) fn head(bytes: &[u8]) -> &[u8] {
        &bytes[..bytes.len().min(HEAD)]
    }

    /// The record that was cut is dealt with.
    pub(crate) fn done(&mut self, bytes: usize, lines: u64, counts: bool) {
        self.tail.clear();
        self.place.offset += bytes as u64;
        self.place.line += lines;
        self.place.record += u64::from(counts);
    }

    /// What is left at the end of input; afterwards the cutter is as new.
    pub(crate) fn take_rest(&mut self) -> (Place, Vec<u8>) {
        let rest = std::mem::take(&mut self.tail);
        let place = self.place;
        *self = Self::new(self.limit);
        (place, rest)
    }
}

/// How many lines end in `bytes`.
pub(crate) fn lines_in(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// `bytes` without the line's end: a line feed and one carriage return before it.
pub(crate) fn without_end(bytes: &[u8]) -> &[u8] {
    let Some(bytes) = bytes.strip_suffix(b"\n") else { return bytes };
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
