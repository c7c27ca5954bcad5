//! How a place in files is written into a checkpoint.
//!
//! Little-endian: version 1 (u8), file (u32), line in the file (u64), byte offset in the
//! uncompressed file (u64), lines of all files (u64), head length (u16), head hash (u64).

use super::split::Place;
use flux_io_core::{CheckpointToken, ErrorClass, ErrorKind, StageError};

/// Bytes at the start of a file that tell it from another.
pub(crate) const HEAD: usize = 1024;
const VERSION: u8 = 1;
const LEN: usize = 1 + 4 + 8 + 8 + 8 + 2 + 8;

/// A place in a list of files, with what tells the file from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    pub(crate) file: u32,
    pub(crate) place: Place,
    /// Lines of all files before this place.
    pub(crate) lines: u64,
    /// How many of the first bytes `head_hash` covers.
    pub(crate) head_len: u16,
    pub(crate) head_hash: u64,
}

impl Token {
    pub(crate) fn encode(&self) -> CheckpointToken {
        let mut b = Vec::with_capacity(LEN);
        b.push(VERSION);
        b.extend_from_slice(&self.file.to_le_bytes());
        b.extend_from_slice(&self.place.line.to_le_bytes());
        b.extend_from_slice(&self.place.offset.to_le_bytes());
        b.extend_from_slice(&self.lines.to_le_bytes());
        b.extend_from_slice(&self.head_len.to_le_bytes());
        b.extend_from_slice(&self.head_hash.to_le_bytes());
        CheckpointToken(b)
    }

    /// # Errors
    /// Catastrophic when the bytes are not a place in files of version 1.
    pub(crate) fn decode(token: &CheckpointToken) -> Result<Self, StageError> {
        let bad = || {
            let what = "the checkpoint's position is not one of a file source of this version; \
                        start without the checkpoint or run the version that wrote it";
            StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what)
        };
        let b = token.0.as_slice();
        if b.len() != LEN || b.first() != Some(&VERSION) {
            return Err(bad());
        }
        let mut rest = &b[1..];
        let mut take = |n: usize| {
            let (a, z) = rest.split_at(n.min(rest.len()));
            rest = z;
            a.iter().rev().fold(0_u64, |x, &byte| (x << 8) | u64::from(byte))
        };
        Ok(Self {
            file: take(4) as u32,
            place: Place { line: take(8), offset: take(8) },
            lines: take(8),
            head_len: take(2) as u16,
            head_hash: take(8),
        })
    }
}

/// FNV-1a, 64 bits: fixed for ever, so that checkpoints outlive versions. It tells files apart; it
/// is no protection against someone who wants two files to look alike.
///
/// Source: Fowler, Noll, Vo; constants as in RFC 9923.
pub(crate) fn fingerprint(head: &[u8]) -> u64 {
    head.iter()
        .fold(0xCBF2_9CE4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3))
}
