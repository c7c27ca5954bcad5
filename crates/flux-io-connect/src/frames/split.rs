//! Cuts blocks of bytes into frames, whatever the blocks' borders.
//!
//! It keeps the unfinished frame, at most the record limit, and no byte is searched twice.

use super::framing::{Cut, Framing, Place};

/// Bytes of an oversize frame that are kept as a sample.
pub(super) const SAMPLE: usize = 256;

/// What a call of [`Splitter::settle`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// No frame ends in the block: it was taken in.
    Unfinished,
    /// A frame's content, and where the frame began.
    Frame { at: Place, content: &'a [u8] },
    /// A frame without content was skipped.
    Empty,
    /// A frame over the limit was left out.
    Oversize { at: Place, bytes: u64, sample: Vec<u8> },
    /// The input ended inside a frame, of which so much content is there.
    Torn { at: Place, what: String, rest: &'a [u8] },
    /// What follows cannot be told apart.
    Lost { at: Place, what: String },
}

/// The state between two blocks.
#[derive(Debug)]
pub(super) struct Splitter<F> {
    pub(super) framing: F,
    limit: usize,
    /// The unfinished frame; only its beginning once it is `over` the limit.
    carry: Vec<u8>,
    /// Whether `carry` is of a frame that has been given out.
    stale: bool,
    over: bool,
    /// The last bytes of a frame that is `over`.
    last: Vec<u8>,
    /// Bytes of the unfinished frame.
    len: u64,
    place: Place,
}

impl<F: Framing> Splitter<F> {
    pub(super) fn new(framing: F, limit: usize) -> Self {
        let (carry, last, place) = (Vec::new(), Vec::new(), Place::default());
        let mut new =
            Self { framing, limit, carry, stale: false, over: false, last, len: 0, place };
        new.start(place);
        new
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Goes to a place, in an input of its own.
    pub(super) fn start(&mut self, place: Place) {
        self.place = place;
        self.framing.reset(place.offset == 0);
        (self.len, self.over, self.stale) = (0, false, true);
    }

    /// Where the next frame begins: behind everything found so far.
    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// Bytes held for the unfinished frame.
    pub(super) const fn held(&self) -> usize {
        self.carry.capacity()
    }

    /// Takes bytes up to the end of one frame, when it lies in the block from its beginning and is
    /// as most frames are. Returns how many, where it began, and its content; otherwise what was
    /// cut, which [`Splitter::settle`] must be given.
    #[inline(always)]
    pub(super) fn whole<'b>(&mut self, block: &'b [u8]) -> Result<(usize, Place, &'b [u8]), Cut> {
        match self.framing.find(&block[..self.window(block)]) {
            Cut::End(used) if self.len == 0 => {
                let frame = &block[..used];
                let (head, tail) = self.framing.trim(frame, self.place.offset == 0);
                let content = &frame[head..used - tail];
                if self.counts(content.len()) && content.len() <= self.limit {
                    return Ok((used, self.pass(used as u64, true), content));
                }
                Err(Cut::End(used))
            }
            cut => Err(cut),
        }
    }

    /// Bytes of the block that are looked at: no more than the limit before the framing is told of
    /// it, so that what follows does not depend on the blocks.
    #[inline(always)]
    fn window(&self, block: &[u8]) -> usize {
        let room = if self.over { block.len() } else { self.most() - self.len as usize };
        block.len().min(room)
    }

    /// The most bytes of a frame within the limit.
    #[inline(always)]
    fn most(&self) -> usize {
        self.limit + self.framing.overhead()
    }

    /// Takes what was cut from the block. Returns how many bytes and what they were.
    #[inline(never)]
    pub(super) fn settle<'a>(&'a mut self, cut: Cut, block: &'a [u8]) -> (usize, Found<'a>) {
        self.tidy();
        match cut {
            Cut::End(used) => {
                self.hold(&block[..used]);
                (used, self.finish())
            }
            Cut::More => {
                let window = &block[..self.window(block)];
                if !self.over && self.len as usize + window.len() == self.most() {
                    self.go_over();
                }
                self.hold(window);
                (window.len(), Found::Unfinished)
            }
            Cut::Lost(what) => (block.len(), Found::Lost { at: self.place, what }),
        }
    }

    /// The input has ended.
    pub(super) fn end(&mut self) -> Found<'_> {
        self.tidy();
        if self.len == 0 {
            return Found::Unfinished;
        }
        match self.framing.end(self.len) {
            Err(what) if !self.over => {
                let (head, tail) = self.framing.trim(&self.carry, self.place.offset == 0);
                let at = self.pass(self.len, true);
                (self.len, self.stale) = (0, true);
                Found::Torn { at, what, rest: &self.carry[head..self.carry.len() - tail] }
            }
            _ => self.finish(),
        }
    }

    /// Lets go of a frame that was given out.
    fn tidy(&mut self) {
        if self.stale {
            self.carry.clear();
            self.last.clear();
            self.stale = false;
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if self.over {
            self.sample(bytes);
            return;
        }
        // Room doubles, but never beyond the limit.
        let want = self.carry.len() + bytes.len();
        if want > self.carry.capacity() {
            let room = (2 * self.carry.capacity()).min(self.most() - 1).max(want);
            self.carry.reserve_exact(room - self.carry.len());
        }
        self.carry.extend_from_slice(bytes);
    }

    /// From here on the frame's first and last bytes are kept alone.
    fn go_over(&mut self) {
        self.over = true;
        self.framing.over();
        let held = std::mem::take(&mut self.carry);
        self.sample(&held);
    }

    fn sample(&mut self, bytes: &[u8]) {
        let overhead = self.framing.overhead();
        let first = (SAMPLE + overhead).saturating_sub(self.carry.len()).min(bytes.len());
        self.carry.extend_from_slice(&bytes[..first]);
        self.last.extend_from_slice(&bytes[bytes.len().saturating_sub(overhead)..]);
        self.last.drain(..self.last.len().saturating_sub(overhead));
    }

    /// The frame that was held is whole.
    fn finish(&mut self) -> Found<'_> {
        let first = self.place.offset == 0;
        let (len, over) = (self.len, std::mem::take(&mut self.over));
        (self.len, self.stale) = (0, true);
        if !over {
            let (head, tail) = self.framing.trim(&self.carry, first);
            let content = head..self.carry.len() - tail;
            let counts = self.counts(content.len());
            let at = self.pass(len, counts);
            let content = &self.carry[content];
            if !counts {
                return Found::Empty;
            }
            if content.len() > self.limit {
                let sample = content[..content.len().min(SAMPLE)].to_vec();
                return Found::Oversize { at, bytes: content.len() as u64, sample };
            }
            return Found::Frame { at, content };
        }
        let ends = [self.carry.as_slice(), &self.last].concat();
        let (head, tail) = self.framing.trim(&ends, first);
        let bytes = len - (head + tail) as u64;
        let at = self.pass(len, true);
        let sample = self.carry[head..].iter().take(SAMPLE.min(bytes as usize)).copied().collect();
        Found::Oversize { at, bytes, sample }
    }

    /// Whether a frame of so much content is one.
    #[inline(always)]
    fn counts(&self, content: usize) -> bool {
        content > 0 || !self.framing.skips_empty()
    }

    /// Goes behind a frame of so many bytes. Returns where it began.
    #[inline(always)]
    fn pass(&mut self, bytes: u64, counts: bool) -> Place {
        let at = self.place;
        self.place.offset += bytes;
        self.place.line += 1 + self.framing.inner_lines();
        self.place.record += u64::from(counts);
        at
    }
}
