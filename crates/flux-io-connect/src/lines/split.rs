//! Cuts blocks of bytes into lines, whatever the blocks' borders.
//!
//! A pure state machine: it keeps the unfinished line (at most the record limit) and the scan
//! never looks at a byte twice.

use flux_io_core::ByteColumn;

/// Bytes of an oversize record that are kept as a sample.
pub(crate) const SAMPLE: usize = 256;
/// UTF-8's byte order mark; skipped at the start of a stream and nowhere else.
const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// What a record within the limit may have around it: a mark before, a carriage return behind.
const SLACK: usize = BOM.len() + 1;

/// Where a line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Lines before it, in this stream.
    pub(crate) line: u64,
    /// Uncompressed bytes before it, in this stream.
    pub(crate) offset: u64,
}

/// What a call of [`Splitter::step`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No line ends in the block: it was taken in whole.
    Unfinished,
    /// A record of so many bytes was appended.
    Record(usize),
    /// A line without content was skipped.
    Empty,
    /// A record over the limit was left out.
    Oversize {
        /// Where it began.
        at: Place,
        /// Its length in bytes.
        bytes: u64,
        /// Its first bytes.
        sample: Vec<u8>,
    },
}

/// The state between two blocks.
#[derive(Debug)]
pub(crate) struct Splitter {
    limit: usize,
    /// The unfinished line; only its sample once it is `over` the limit.
    carry: Vec<u8>,
    over: bool,
    /// Bytes of the unfinished line.
    len: u64,
    /// Whether its last byte is a carriage return (needed when `over`).
    cr: bool,
    place: Place,
}

impl Splitter {
    pub(crate) const fn new(limit: usize, place: Place) -> Self {
        Self { limit, carry: Vec::new(), over: false, len: 0, cr: false, place }
    }

    /// Where the next line begins: behind everything found so far.
    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Bytes held for the unfinished line.
    pub(crate) const fn held(&self) -> usize {
        self.carry.capacity()
    }

    /// Takes bytes up to the end of one line. Returns how many and what they were.
    pub(crate) fn step(&mut self, block: &[u8], out: &mut ByteColumn) -> (usize, Found) {
        let Some(end) = memchr::memchr(b'\n', block) else {
            self.hold(block);
            return (block.len(), Found::Unfinished);
        };
        let found = if self.len == 0 {
            let first = self.place.offset == 0;
            let record = content(&block[..end], first);
            if record.len() <= self.limit {
                let found = deliver(record, out);
                self.len = end as u64;
                found
            } else {
                self.hold(&block[..end]);
                self.finish(out)
            }
        } else {
            self.hold(&block[..end]);
            self.finish(out)
        };
        self.next_line(1);
        (end + 1, found)
    }

    /// The stream has ended: the last line needs no line end.
    pub(crate) fn end(&mut self, out: &mut ByteColumn) -> Found {
        if self.len == 0 {
            return Found::Unfinished;
        }
        let found = self.finish(out);
        self.next_line(0);
        found
    }

    fn hold(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        self.len += bytes.len() as u64;
        self.cr = last == b'\r';
        if self.over {
            return;
        }
        if self.len > (self.limit + SLACK) as u64 {
            self.over = true;
            let more = SAMPLE.saturating_sub(self.carry.len()).min(bytes.len());
            self.carry.extend_from_slice(&bytes[..more]);
            self.carry.truncate(SAMPLE);
            self.carry.shrink_to(SAMPLE);
        } else {
            self.grow(bytes.len());
            self.carry.extend_from_slice(bytes);
        }
    }

    /// Room for `more` bytes: doubles, but never beyond the limit.
    fn grow(&mut self, more: usize) {
        let want = self.carry.len() + more;
        if want > self.carry.capacity() {
            let room = (2 * self.carry.capacity()).min(self.limit + SLACK).max(want);
            self.carry.reserve_exact(room - self.carry.len());
        }
    }

    fn finish(&mut self, out: &mut ByteColumn) -> Found {
        let first = self.place.offset == 0;
        let record = content(&self.carry, first);
        if !self.over && record.len() <= self.limit {
            return deliver(record, out);
        }
        let mark = first && self.carry.starts_with(&BOM);
        let around = if mark { BOM.len() as u64 } else { 0 } + u64::from(self.cr);
        let record = if mark { &self.carry[BOM.len()..] } else { &self.carry };
        let sample = record[..record.len().min(SAMPLE)].to_vec();
        Found::Oversize { at: self.place, bytes: self.len - around, sample }
    }

    fn next_line(&mut self, line_end: u64) {
        self.place.line += 1;
        self.place.offset += self.len + line_end;
        self.carry.clear();
        self.over = false;
        self.len = 0;
        self.cr = false;
    }
}

fn deliver(record: &[u8], out: &mut ByteColumn) -> Found {
    if record.is_empty() {
        return Found::Empty;
    }
    out.push(record);
    Found::Record(record.len())
}

/// The line without a carriage return at its end and, at the start of the stream, without a mark.
fn content(line: &[u8], first: bool) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if first { line.strip_prefix(&BOM).unwrap_or(line) } else { line }
}
