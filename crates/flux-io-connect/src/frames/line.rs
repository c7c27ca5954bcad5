//! Lines.

use super::framing::{Cut, Framing, Place};

/// UTF-8's byte order mark; skipped at the start of an input and nowhere else.
pub(super) const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// Bytes of a text frame that are not content: a mark before, a carriage return and a line feed
/// behind.
pub(super) const TEXT_OVERHEAD: usize = BOM.len() + 2;

/// A line ends with LF or CRLF; the last one needs no end. Lines without content are skipped. A
/// byte order mark is skipped at the start of an input, nowhere else.
///
/// Writing refuses content that holds a line feed: it would be read back as two. A carriage return
/// at its end is lost on reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineFraming;

impl Framing for LineFraming {
    fn kind(&self) -> &'static str {
        "lines"
    }

    #[inline]
    fn overhead(&self) -> usize {
        TEXT_OVERHEAD
    }

    fn reset(&mut self, _first: bool) {}

    #[inline]
    fn find(&mut self, bytes: &[u8]) -> Cut {
        memchr::memchr(b'\n', bytes).map_or(Cut::More, |i| Cut::End(i + 1))
    }

    #[inline]
    fn trim(&self, frame: &[u8], first: bool) -> (usize, usize) {
        around_text(frame, first)
    }

    fn end(&mut self, _len: u64) -> Result<(), String> {
        Ok(())
    }

    #[inline]
    fn skips_empty(&self) -> bool {
        true
    }

    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        if memchr::memchr(b'\n', content).is_some() {
            return Err("it holds a line feed; escape it or write another format".to_owned());
        }
        to.extend_from_slice(content);
        to.push(b'\n');
        Ok(())
    }

    fn describe(&self, at: Place) -> String {
        format!("line {} (byte {})", at.line + 1, at.offset)
    }
}

/// The mark in front of a text frame and the line end behind it.
#[inline]
pub(super) fn around_text(frame: &[u8], first: bool) -> (usize, usize) {
    let head = if first && frame.starts_with(&BOM) { BOM.len() } else { 0 };
    let feed = usize::from(frame.last() == Some(&b'\n'));
    let before = frame.len() - feed;
    let back = usize::from(before > head && frame[before - 1] == b'\r');
    (head, feed + back)
}
