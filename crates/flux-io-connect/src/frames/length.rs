//! Frames with their length in front.

use super::framing::{Cut, Framing};

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LengthKind {
    /// Two bytes, most significant first.
    U16Be,
    /// Two bytes, least significant first.
    U16Le,
    /// Four bytes, most significant first.
    U32Be,
    /// Four bytes, least significant first.
    U32Le,
    /// One to ten bytes of seven bits, least significant first, as in Protocol Buffers (LEB128).
    Varint,
}

/// Bytes of the longest varint of 64 bits.
const VARINT: usize = 10;

impl LengthKind {
    const fn width(self) -> usize {
        match self {
            Self::U16Be | Self::U16Le => 2,
            Self::U32Be | Self::U32Le => 4,
            Self::Varint => VARINT,
        }
    }

    const fn most(self) -> u64 {
        match self {
            Self::U16Be | Self::U16Le => u16::MAX as u64,
            Self::U32Be | Self::U32Le => u32::MAX as u64,
            Self::Varint => u64::MAX,
        }
    }
}

/// A frame is a length and as many bytes; the length does not count itself.
///
/// A length over the record limit costs nothing: its bytes are passed over and the frame becomes a
/// dead letter. Frames may be empty. An input that ends inside a frame is told.
#[derive(Clone, Debug)]
pub struct LengthPrefix {
    kind: LengthKind,
    /// Bytes of the length read so far.
    header: usize,
    length: u64,
    /// Bytes of the content still to come, once the length is known.
    left: Option<u64>,
}

impl LengthPrefix {
    /// Lengths of this kind.
    #[must_use]
    pub const fn new(kind: LengthKind) -> Self {
        Self { kind, header: 0, length: 0, left: None }
    }

    /// Takes one byte of the length; `false` when it cannot be one.
    fn header_byte(&mut self, byte: u8) -> bool {
        let (n, byte) = (self.header, u64::from(byte));
        self.header += 1;
        let done = match self.kind {
            LengthKind::U16Be | LengthKind::U32Be => {
                self.length = self.length << 8 | byte;
                self.header == self.kind.width()
            }
            LengthKind::U16Le | LengthKind::U32Le => {
                self.length |= byte << (8 * n);
                self.header == self.kind.width()
            }
            LengthKind::Varint => {
                if n == VARINT - 1 && byte > 1 {
                    return false;
                }
                self.length |= (byte & 0x7F) << (7 * n);
                byte < 0x80
            }
        };
        if done {
            self.left = Some(self.length);
        }
        true
    }
}

impl Framing for LengthPrefix {
    fn kind(&self) -> &'static str {
        "length-prefixed frames"
    }

    fn overhead(&self) -> usize {
        self.kind.width()
    }

    fn reset(&mut self, _first: bool) {
        *self = Self::new(self.kind);
    }

    fn find(&mut self, bytes: &[u8]) -> Cut {
        let mut at = 0;
        while self.left.is_none() {
            let Some(&byte) = bytes.get(at) else { return Cut::More };
            at += 1;
            if !self.header_byte(byte) {
                let what = "the length is no varint of 64 bits; is this another format?";
                return Cut::Lost(what.to_owned());
            }
        }
        let left = self.left.unwrap_or(0);
        let here = (bytes.len() - at) as u64;
        if here < left {
            self.left = Some(left - here);
            return Cut::More;
        }
        self.reset(false);
        Cut::End(at + left as usize)
    }

    fn trim(&self, frame: &[u8], _first: bool) -> (usize, usize) {
        let head = match self.kind {
            LengthKind::Varint => frame.iter().take_while(|b| **b >= 0x80).count() + 1,
            fixed => fixed.width(),
        };
        (head.min(frame.len()), 0)
    }

    fn end(&mut self, len: u64) -> Result<(), String> {
        Err(match self.left {
            Some(_) => format!(
                "the frame has {} of {} bytes",
                len.saturating_sub(self.header as u64),
                self.length
            ),
            None => format!("the frame has {} bytes of its length", self.header),
        })
    }

    fn write(&self, content: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        let (length, most) = (content.len() as u64, self.kind.most());
        if length > most {
            return Err(format!("it has {length} bytes and its length can say {most} at most"));
        }
        match self.kind {
            LengthKind::U16Be => to.extend_from_slice(&(length as u16).to_be_bytes()),
            LengthKind::U16Le => to.extend_from_slice(&(length as u16).to_le_bytes()),
            LengthKind::U32Be => to.extend_from_slice(&(length as u32).to_be_bytes()),
            LengthKind::U32Le => to.extend_from_slice(&(length as u32).to_le_bytes()),
            LengthKind::Varint => {
                let mut rest = length;
                while rest >= 0x80 {
                    to.push(rest as u8 | 0x80);
                    rest >>= 7;
                }
                to.push(rest as u8);
            }
        }
        to.extend_from_slice(content);
        Ok(())
    }
}
