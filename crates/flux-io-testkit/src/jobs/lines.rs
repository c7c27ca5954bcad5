//! Lines of input in one arena, and the reader of files that may be gzip.
//!
//! A million lines as a million vectors would cost more than the work they are for; here they lie
//! one behind the other, each closed by a line feed, so that the arena is itself a valid NDJSON
//! document.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// The first two bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Lines in an order, without their line feeds, held in one buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// Every line followed by one line feed.
    bytes: Vec<u8>,
    /// Where each line ends, behind its line feed.
    ends: Vec<usize>,
}

impl Lines {
    /// No lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No lines, with room for `lines` lines of together `bytes` bytes.
    #[must_use]
    pub fn with_capacity(lines: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes + lines), ends: Vec::with_capacity(lines) }
    }

    /// Splits a document at its line feeds; a last line without one counts too.
    #[must_use]
    pub fn from_ndjson(bytes: Vec<u8>) -> Self {
        let mut bytes = bytes;
        if bytes.last().is_some_and(|&last| last != b'\n') {
            bytes.push(b'\n');
        }
        let ends = bytes.iter().enumerate().filter(|&(_, &b)| b == b'\n').map(|(i, _)| i + 1);
        let ends = ends.collect();
        Self { bytes, ends }
    }

    /// Reads a file, gunzipping it when its first bytes say so (the name does not matter).
    ///
    /// # Errors
    /// Whatever opening, reading or inflating the file gives.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::from_ndjson(read_maybe_gzip(path)?))
    }

    /// Appends a line (without a line feed of its own).
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The line number `index`, counted from 0, without its line feed.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start =
            index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start..end - 1)
    }

    /// The lines in their order, without line feeds.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// The document: every line with its line feed.
    #[must_use]
    pub fn as_ndjson(&self) -> &[u8] {
        &self.bytes
    }

    /// The lines as separate vectors, for a test that wants to own them.
    #[must_use]
    pub fn to_vecs(&self) -> Vec<Vec<u8>> {
        self.iter().map(<[u8]>::to_vec).collect()
    }

    /// The lines that `order` names by number, in its order; numbers may repeat or be left out.
    #[must_use]
    pub fn picked(&self, order: &[u32]) -> Self {
        let mut out = Self::with_capacity(order.len(), self.bytes.len());
        for line in order.iter().filter_map(|&index| self.get(index as usize)) {
            out.push(line);
        }
        out
    }
}

impl<'a> FromIterator<&'a [u8]> for Lines {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(lines: I) -> Self {
        let mut out = Self::new();
        lines.into_iter().for_each(|line| out.push(line));
        out
    }
}

fn read_maybe_gzip(path: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    File::open(path)?.read_to_end(&mut raw)?;
    if !raw.starts_with(&GZIP_MAGIC) {
        return Ok(raw);
    }
    let mut plain = Vec::with_capacity(raw.len() * 8);
    MultiGzDecoder::new(raw.as_slice()).read_to_end(&mut plain)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_line_feeds_and_keeps_empty_lines() {
        let lines = Lines::from_ndjson(b"a\n\nbc".to_vec());
        assert_eq!(lines.to_vecs(), [b"a".to_vec(), b"".to_vec(), b"bc".to_vec()]);
        assert_eq!(lines.as_ndjson(), b"a\n\nbc\n");
        assert_eq!(lines.get(3), None);
        assert!(Lines::from_ndjson(Vec::new()).is_empty());
    }

    #[test]
    fn push_and_split_agree() {
        let pushed: Lines = [b"a".as_slice(), b"", b"bc"].into_iter().collect();
        assert_eq!(pushed, Lines::from_ndjson(b"a\n\nbc\n".to_vec()));
        assert_eq!(pushed.picked(&[2, 0, 0]).as_ndjson(), b"bc\na\na\n");
    }
}
