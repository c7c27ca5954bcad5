//! How a place in inputs is written into a checkpoint.
//!
//! Little-endian: version 2 (u8), input (u32), record, line and byte offset in the uncompressed
//! input (u64 each), lines of all inputs (u64), head length (u16), head hash (u64), index of the
//! input that is named (u32), length of its name (u16), its name.

use super::framing::Place;
use flux_io_core::{CheckpointToken, ErrorClass, ErrorKind, StageError};

/// Bytes at the start of a file that tell it from another.
pub(super) const HEAD: usize = 1024;
const VERSION: u8 = 2;

/// A place in a list of inputs, with what tells the input from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    pub(super) file: u32,
    pub(super) place: Place,
    /// Lines of all inputs before this place.
    pub(super) lines: u64,
    /// How many of the first bytes `head_hash` covers.
    pub(super) head_len: u16,
    pub(super) head_hash: u64,
    /// Of inputs that were found: the index and name of the one opened last, nothing before.
    pub(super) named: (u32, String),
}

impl Token {
    pub(super) fn encode(&self) -> CheckpointToken {
        let name = self.named.1.as_bytes();
        let mut b = vec![VERSION];
        b.extend_from_slice(&self.file.to_le_bytes());
        for n in [self.place.record, self.place.line, self.place.offset, self.lines] {
            b.extend_from_slice(&n.to_le_bytes());
        }
        b.extend_from_slice(&self.head_len.to_le_bytes());
        b.extend_from_slice(&self.head_hash.to_le_bytes());
        b.extend_from_slice(&self.named.0.to_le_bytes());
        b.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        b.extend_from_slice(name);
        CheckpointToken(b)
    }

    /// # Errors
    /// Catastrophic when the bytes are not a place in inputs of this version.
    pub(super) fn decode(token: &CheckpointToken) -> Result<Self, StageError> {
        Self::read(&token.0).ok_or_else(|| {
            let what = "the checkpoint's position is not one of a file source of this version; \
                        start without the checkpoint or run the version that wrote it";
            StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what)
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, mut rest) = bytes.split_first()? else { return None };
        let mut take = |n: usize| {
            let (number, behind) = rest.split_at_checked(n)?;
            rest = behind;
            Some(number.iter().rev().fold(0_u64, |x, &byte| x << 8 | u64::from(byte)))
        };
        let file = take(4)? as u32;
        let place = Place { record: take(8)?, line: take(8)?, offset: take(8)? };
        let (lines, head_len, head_hash) = (take(8)?, take(2)? as u16, take(8)?);
        let (index, length) = (take(4)? as u32, take(2)? as usize);
        let name = (rest.len() == length).then(|| String::from_utf8(rest.to_vec()).ok())??;
        Some(Self { file, place, lines, head_len, head_hash, named: (index, name) })
    }
}

/// FNV-1a, 64 bits: fixed for ever, so that checkpoints outlive versions. It tells files apart; it
/// is no protection against someone who wants two files to look alike.
///
/// Source: Fowler, Noll, Vo; constants as in RFC 9923.
pub(super) fn fingerprint(head: &[u8]) -> u64 {
    head.iter()
        .fold(0xCBF2_9CE4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3))
}
