//! Gzip members one after the other.

use super::{Counted, Failure, Sniffed, Unpack};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};

pub(super) struct Gzip(MultiGzDecoder<BufReader<Counted>>);

impl Gzip {
    pub(super) fn new(inner: Sniffed, block: usize) -> Self {
        Self(MultiGzDecoder::new(Counted::buffered(inner, block)))
    }
}

impl Read for Gzip {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to)
    }
}

impl Unpack for Gzip {
    fn used(&self) -> u64 {
        Counted::used(self.0.get_ref())
    }

    fn failure(&self, e: &io::Error) -> Option<Failure> {
        match e.kind() {
            io::ErrorKind::UnexpectedEof => Some(Failure::CutOff),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Some(Failure::Broken),
            _ => None,
        }
    }
}
