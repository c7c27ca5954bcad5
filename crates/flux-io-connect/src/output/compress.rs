//! Compressed output.

use std::fmt;
use std::io;

/// How what is written is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Gzip, level 6. Every piece that is written is a member of its own.
    #[cfg(feature = "gzip")]
    Gzip,
    /// Zstd, about the level 1 of the reference, with checksums. Every piece that is written is a
    /// frame of its own.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// Packs pieces of 256 KiB or more, each for itself, so that whatever was written can be unpacked
/// and nothing is held back.
pub(super) struct Packer {
    how: Compression,
    packed: Vec<u8>,
    any: bool,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packer({:?})", self.how)
    }
}

impl Packer {
    pub(super) const fn new(how: Compression) -> Self {
        Self { how, packed: Vec::new(), any: false }
    }

    /// What is to be written for `bytes`; nothing for none.
    pub(super) fn pack<'a>(&'a mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        if bytes.is_empty() { Ok(bytes) } else { self.member(bytes) }
    }

    /// What is to be written at the end: an output without bytes is packed too.
    pub(super) fn end(&mut self) -> io::Result<&[u8]> {
        if self.any { Ok(&[]) } else { self.member(&[]) }
    }

    fn member<'a>(&'a mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        self.any = true;
        self.packed.clear();
        match self.how {
            Compression::None => Ok(bytes),
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::GzEncoder::new(&mut self.packed, level);
                io::Write::write_all(&mut encoder, bytes)?;
                encoder.finish()?;
                Ok(&self.packed)
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                ruzstd::encoding::compress(bytes, &mut self.packed, level);
                Ok(&self.packed)
            }
        }
    }
}
