//! Blocks of bytes of inputs that follow each other: the part that blocks.

use super::feed::Feed;
use super::input::Inputs;
use super::meter::Meter;
use crate::offload::Place;
use flux_io_core::StageError;

/// What one blocking call brought.
#[derive(Debug)]
pub(super) enum Got {
    /// Bytes of the current input: the first `len` of `buf`. With the first block of an input
    /// comes what it is.
    Block { buf: Vec<u8>, len: usize, opened: Option<Opened> },
    /// The current input has ended; `last` when it was the last one.
    InputEnd { last: bool },
    /// Nothing was done: the current input may keep its reader waiting, and this call must not.
    Waits,
    /// Reading failed. The same place is tried again by the next call.
    Failed(StageError),
}

/// An input that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) name: String,
    /// See [`sealed::Open::key`](super::input::sealed::Open::key).
    pub(super) key: Option<String>,
}

/// The state that moves into blocking calls.
#[derive(Debug)]
pub(super) struct Blocks<I> {
    pub(super) inputs: I,
    block: usize,
    feed: Option<Feed>,
    index: usize,
    /// Uncompressed bytes of the current input read so far, or where it is to be opened.
    offset: u64,
    /// Whether a block may be read before the one before it is used up.
    ahead: bool,
    /// Whether opening and reading the current input may wait for somebody.
    waits: bool,
    spare: Option<Vec<u8>>,
    /// What the current input is, until it is told.
    opened: Option<Opened>,
    /// Told what was read.
    meter: Meter,
    /// Stored bytes of the current input that the meter was told of.
    metered: u64,
}

impl<I: Inputs> Blocks<I> {
    pub(super) fn new(inputs: I, block: usize) -> Self {
        let (feed, spare, opened) = (None, None, None);
        let (meter, metered) = (Meter::new(), 0);
        Self {
            inputs,
            block,
            feed,
            index: 0,
            offset: 0,
            ahead: false,
            waits: false,
            spare,
            opened,
            meter,
            metered,
        }
    }

    pub(super) fn set_meter(&mut self, meter: Meter) {
        self.meter = meter;
    }

    pub(super) const fn set_block(&mut self, block: usize) {
        self.block = block;
    }

    /// Begins in another place. Only before the first block.
    pub(super) fn start_at(&mut self, index: usize, offset: u64) {
        self.feed = None;
        self.index = index;
        self.offset = offset;
    }

    /// Whether the next block may be asked for early: a regular file never makes anyone wait for
    /// what is not there yet, a pipe does.
    pub(super) const fn may_read_ahead(&self) -> bool {
        self.ahead
    }

    /// Takes a used buffer back.
    pub(super) fn recycle(&mut self, buf: Vec<u8>) {
        self.spare = Some(buf);
    }

    /// Reads once. Blocks; for ever only where `place` allows it.
    pub(super) fn next(&mut self, place: Place) -> Got {
        if let Err(e) = self.inputs.look() {
            return Got::Failed(e);
        }
        let count = self.inputs.count();
        if self.index >= count {
            return Got::InputEnd { last: true };
        }
        if self.feed.is_none() {
            self.waits = self.inputs.waits(self.index);
        }
        if self.waits && place == Place::Disk {
            return Got::Waits;
        }
        if self.feed.is_none() {
            match self.inputs.open(self.index, self.block, self.offset) {
                Ok((feed, ahead)) => (self.feed, self.ahead) = (Some(feed), ahead),
                Err(e) => return Got::Failed(e),
            }
            let (name, key) = (self.inputs.name(self.index), self.inputs.key(self.index));
            self.opened = Some(Opened { name, key });
        }
        let Some(feed) = &mut self.feed else { return Got::InputEnd { last: true } };
        let mut buf = self.spare.take().unwrap_or_default();
        buf.resize(self.block, 0);
        match feed.read(&mut buf) {
            Ok(0) => {
                self.spare = Some(buf);
                // What stands behind the last byte of a compressed input was read with its end.
                self.meter.advance(self.metered, feed, 0);
                self.feed = None;
                self.index += 1;
                self.offset = 0;
                self.metered = 0;
                Got::InputEnd { last: self.index >= count }
            }
            Ok(len) => {
                self.offset += len as u64;
                self.metered += self.meter.advance(self.metered, feed, len);
                Got::Block { buf, len, opened: self.opened.take() }
            }
            Err(e) => {
                self.spare = Some(buf);
                Got::Failed(feed.failed(&self.inputs.name(self.index), self.offset, e))
            }
        }
    }
}
