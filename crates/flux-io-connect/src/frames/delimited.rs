//! Frames that end with a delimiter of one's own.

use super::framing::{Cut, Framing};
use memchr::memmem;
use std::fmt;

/// Bytes a delimiter may have.
const MOST: usize = 256;

/// A delimiter that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelimiterError {
    /// Its bytes.
    pub bytes: usize,
}

impl fmt::Display for DelimiterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a delimiter has 1 to {MOST} bytes, this one {}", self.bytes)
    }
}

impl std::error::Error for DelimiterError {}

/// A frame ends with a delimiter, which is not content; the last one needs none. Frames may be
/// empty, nothing is trimmed. Writing refuses content that would be cut by the delimiter.
#[derive(Clone, Debug)]
pub struct Delimited {
    finder: memmem::Finder<'static>,
    /// For each number of bytes matched, the length of the longest shorter prefix of the delimiter
    /// that they end with (Knuth, Morris, Pratt, "Fast pattern matching in strings", 1977).
    shorter: Vec<usize>,
    /// Bytes of the delimiter seen at the end of the last call.
    matched: usize,
}

impl Delimited {
    /// Frames that end with `delimiter`, of 1 to 256 bytes.
    ///
    /// # Errors
    /// [`DelimiterError`] when it is empty or longer.
    pub fn new(delimiter: &[u8]) -> Result<Self, DelimiterError> {
        if delimiter.is_empty() || delimiter.len() > MOST {
            return Err(DelimiterError { bytes: delimiter.len() });
        }
        let mut shorter = vec![0; delimiter.len()];
        for i in 1..delimiter.len() {
            shorter[i] = advance(delimiter, &shorter, shorter[i - 1], delimiter[i]);
        }
        let finder = memmem::Finder::new(delimiter).into_owned();
        Ok(Self { finder, shorter, matched: 0 })
    }

    fn delimiter(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Feeds bytes one by one while part of the delimiter is matched; how many were fed.
    fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && self.matched < self.delimiter().len() {
            self.matched = advance(self.delimiter(), &self.shorter, self.matched, bytes[at]);
            at += 1;
            if self.matched == 0 {
                break;
            }
        }
        at
    }
}

/// How much of the delimiter is matched behind `byte`, when `matched` bytes of it were before.
fn advance(delimiter: &[u8], shorter: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && delimiter[matched] != byte {
        matched = shorter[matched - 1];
    }
    matched + usize::from(delimiter[matched] == byte)
}

impl Framing for Delimited {
    fn kind(&self) -> &'static str {
        "delimited frames"
    }

    fn overhead(&self) -> usize {
        self.delimiter().len()
    }

    fn reset(&mut self, _first: bool) {
        self.matched = 0;
    }

    fn find(&mut self, bytes: &[u8]) -> Cut {
        let mut at = 0;
        if self.matched > 0 {
            at = self.feed(bytes);
            if self.matched == self.delimiter().len() {
                self.matched = 0;
                return Cut::End(at);
            }
        }
        if self.matched > 0 {
            return Cut::More;
        }
        if let Some(i) = self.finder.find(&bytes[at..]) {
            return Cut::End(at + i + self.delimiter().len());
        }
        // What may be the delimiter's beginning stands at the very end.
        at = at.max(bytes.len().saturating_sub(self.delimiter().len() - 1));
        while at < bytes.len() {
            at += self.feed(&bytes[at..]);
        }
        Cut::More
    }

    fn trim(&self, frame: &[u8], _first: bool) -> (usize, usize) {
        (0, if frame.ends_with(self.delimiter()) { self.delimiter().len() } else { 0 })
    }

    fn end(&mut self, _len: u64) -> Result<(), String> {
        Ok(())
    }

    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        let start = to.len();
        to.extend_from_slice(content);
        to.extend_from_slice(self.delimiter());
        let first = self.finder.find(&to[start..]);
        if first != Some(content.len()) {
            return Err("it would be cut by the delimiter; choose another one".to_owned());
        }
        Ok(())
    }
}
