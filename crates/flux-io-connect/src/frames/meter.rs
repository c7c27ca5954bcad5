//! How far a source has read.

use super::feed::Feed;
use crate::sync::{Arc, AtomicU64, Ordering};

/// Bytes of input that a source has read so far, as they are stored: of a compressed file the
/// compressed ones, so that they can be held against its size. Clones show the same number; one
/// belongs to one source.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// A meter at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes read so far, by whole blocks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// `len` more bytes of `feed` were read, of which `known` stored bytes were told before. Gives
    /// how many stored bytes that were.
    pub(super) fn advance(&self, known: u64, feed: &Feed, len: usize) -> u64 {
        let more = feed.stored().map_or(len as u64, |stored| stored.saturating_sub(known));
        self.0.fetch_add(more, Ordering::Relaxed);
        more
    }
}
