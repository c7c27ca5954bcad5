//! An order in the making.

use sha2::{Digest, Sha256};

use super::fragment::{Fragment, VARIABLES};

/// The canonical text of the fragments that are there.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// In order of arrival.
    text: Vec<u8>,
    /// Where each variable's text lies.
    spans: [(u32, u32); VARIABLES],
}

impl Order {
    /// Takes one fragment.
    pub(super) fn add(&mut self, fragment: &mut Fragment) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(&fragment.text);
        self.spans[fragment.bit as usize] = (start, self.text.len() as u32);
    }

    /// The first 8 bytes of the SHA-256 of the fragments in the order of their bits, joined by LF.
    pub(super) fn digest(&self) -> [u8; 8] {
        let mut hasher = Sha256::new();
        let there = self.spans.iter().filter(|(start, end)| end > start);
        for (index, &(start, end)) in there.enumerate() {
            if index > 0 {
                hasher.update(b"\n");
            }
            hasher.update(&self.text[start as usize..end as usize]);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize()[..8]);
        first
    }
}
