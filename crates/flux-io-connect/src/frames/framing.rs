//! Where frames end: the contract that built-in framings and those of users keep.

use std::fmt;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Frames with content before it, in this input.
    pub record: u64,
    /// Lines before it, in this input; of framings without lines, frames.
    pub line: u64,
    /// Uncompressed bytes before it, in this input.
    pub offset: u64,
}

/// What [`Framing::find`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All bytes belong to a frame that goes on.
    More,
    /// The frame ends behind so many of the bytes (at least 1).
    End(usize),
    /// No frame can begin or go on here, so what follows cannot be told apart: the text says why.
    /// The source fails with it.
    Lost(String),
}

/// How a stream of bytes is cut into frames.
///
/// A state machine over bytes that come in any pieces: it keeps a few words of state and no bytes,
/// since the source holds the unfinished frame (at most the record limit). A protocol of one's own
/// implements the required methods; see [`LengthPrefix`](super::LengthPrefix) for a small one.
///
/// # Laws
/// - F1: where frames end does not depend on how the bytes are cut into calls.
/// - F2: [`trim`](Self::trim) looks at the first and the last [`overhead`](Self::overhead) bytes of
///   a frame alone, and removes no more than that many in all.
/// - F3: what [`write`](Self::write) appended is read as exactly that frame, unless it is empty and
///   the framing [skips those](Self::skips_empty).
pub trait Framing: Send + fmt::Debug + 'static {
    /// The format, for people: "lines", "csv".
    fn kind(&self) -> &'static str;

    /// Bytes of a frame, at most, that are not content: marks, lengths, delimiters.
    fn overhead(&self) -> usize;

    /// Goes to the start of a frame; `first` at the start of an input.
    fn reset(&mut self, first: bool);

    /// Looks for the end of the frame in `bytes`, which follow those of the last call. Behind an
    /// end it stands at the start of the next frame.
    fn find(&mut self, bytes: &[u8]) -> Cut;

    /// Bytes in front of and behind the content of a whole frame; `first` as in
    /// [`reset`](Self::reset). The last frame of an input may lack its end.
    fn trim(&self, frame: &[u8], first: bool) -> (usize, usize);

    /// The input has ended inside a frame of `len` bytes.
    ///
    /// # Errors
    /// What is missing, when it is no frame without that.
    fn end(&mut self, len: u64) -> Result<(), String>;

    /// The frame is over the record limit: where it makes sense, look for a place to begin anew.
    fn over(&mut self) {}

    /// Line feeds in the frame that ended last, beside its own end.
    fn inner_lines(&self) -> u64 {
        0
    }

    /// Whether frames without content are left out (and counted) when reading.
    fn skips_empty(&self) -> bool {
        false
    }

    /// Appends `content` as one frame.
    ///
    /// # Errors
    /// Why it cannot be one; what was appended is taken back by the caller.
    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String>;

    /// The place in words, for messages.
    fn describe(&self, at: Place) -> String {
        format!("frame {} (byte {})", at.record + 1, at.offset)
    }
}

impl<F: Framing + ?Sized> Framing for Box<F> {
    fn kind(&self) -> &'static str {
        (**self).kind()
    }
    fn overhead(&self) -> usize {
        (**self).overhead()
    }
    fn reset(&mut self, first: bool) {
        (**self).reset(first);
    }
    fn find(&mut self, bytes: &[u8]) -> Cut {
        (**self).find(bytes)
    }
    fn trim(&self, frame: &[u8], first: bool) -> (usize, usize) {
        (**self).trim(frame, first)
    }
    fn end(&mut self, len: u64) -> Result<(), String> {
        (**self).end(len)
    }
    fn over(&mut self) {
        (**self).over();
    }
    fn inner_lines(&self) -> u64 {
        (**self).inner_lines()
    }
    fn skips_empty(&self) -> bool {
        (**self).skips_empty()
    }
    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        (**self).write(content, to)
    }
    fn describe(&self, at: Place) -> String {
        (**self).describe(at)
    }
}
