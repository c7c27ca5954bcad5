//! Zstd frames one after the other.

use super::{Counted, Failure, Sniffed, Unpack};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};

/// Bytes a frame's window may have, which are allocated when a frame begins: what RFC 8878
/// (section 3.1.1.1.2) asks every decoder to support. Files of `zstd --long` or `--ultra` may want
/// more and are refused.
const WINDOW: u64 = 8 * 1024 * 1024;

pub(super) struct Zstd {
    raw: BufReader<Counted>,
    decoder: FrameDecoder,
    /// Whether a frame has begun and not ended.
    within: bool,
    /// A failure inside a frame is final: the decoder cannot go on.
    failed: Option<(io::ErrorKind, String)>,
}

impl Zstd {
    pub(super) fn new(inner: Sniffed, block: usize) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW);
        Self { raw: Counted::buffered(inner, block), decoder, within: false, failed: None }
    }

    /// Goes into the next frame; `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        if self.raw.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.reset(&mut self.raw) {
            Ok(()) => self.within = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = u64::from(length);
                match io::copy(&mut (&mut self.raw).take(length), &mut io::sink()) {
                    Ok(n) if n == length => {}
                    Ok(_) => return Err(self.fail(io::ErrorKind::UnexpectedEof, "it ends early")),
                    Err(e) => return Err(self.fail(io::ErrorKind::Other, &e.to_string())),
                }
            }
            Err(e) => return Err(self.decoding(&e)),
        }
        Ok(true)
    }

    fn end(&mut self) -> io::Result<()> {
        self.within = false;
        let stored = self.decoder.get_checksum_from_data();
        if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
            return Err(self.fail(io::ErrorKind::InvalidData, "the checksum differs"));
        }
        Ok(())
    }

    /// What the decoder says, under a kind that says what made it fail.
    fn decoding(&mut self, e: &FrameDecoderError) -> io::Error {
        let mut cause: Option<&(dyn Error + 'static)> = Some(e);
        let mut kind = io::ErrorKind::InvalidData;
        while let Some(c) = cause {
            if let Some(io) = c.downcast_ref::<io::Error>() {
                kind = io.kind();
            }
            cause = c.source();
        }
        let kind = match kind {
            // Its readers give up in different ways where bytes are missing.
            _ if self.raw.get_ref().ended => io::ErrorKind::UnexpectedEof,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => kind,
            _ => io::ErrorKind::Other,
        };
        self.fail(kind, &flux_io_core::chain(e))
    }

    fn fail(&mut self, kind: io::ErrorKind, what: &str) -> io::Error {
        self.failed = Some((kind, what.to_owned()));
        io::Error::new(kind, what)
    }

    fn unpack(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within {
                if !self.begin()? {
                    return Ok(0);
                }
            } else if self.decoder.can_collect() > 0 {
                return self.decoder.read(to);
            } else if self.decoder.is_finished() {
                self.end()?;
            } else {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let went = self.decoder.decode_blocks(&mut self.raw, one);
                went.map_err(|e| self.decoding(&e))?;
            }
        }
    }
}

impl Read for Zstd {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if let Some((kind, what)) = &self.failed {
            return Err(io::Error::new(*kind, what.clone()));
        }
        self.unpack(to)
    }
}

impl Unpack for Zstd {
    fn used(&self) -> u64 {
        Counted::used(&self.raw)
    }

    fn failure(&self, e: &io::Error) -> Option<Failure> {
        match e.kind() {
            io::ErrorKind::UnexpectedEof => Some(Failure::CutOff),
            io::ErrorKind::InvalidData => Some(Failure::Broken),
            _ => None,
        }
    }
}
