//! The memory budget of a run: one number of bytes that keyed state is charged against.

use flux_io::core::{ConsumerId, MemoryPool, Pressure, ReserveError};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A fixed number of bytes.
#[derive(Debug)]
pub(crate) struct Cap {
    limit: u64,
    held: AtomicU64,
    peak: AtomicU64,
    consumers: AtomicU32,
}

impl Cap {
    pub(crate) const fn new(limit: u64) -> Self {
        let (held, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limit, held, peak, consumers: AtomicU32::new(0) }
    }

    /// Most bytes held at once.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl MemoryPool for Cap {
    fn register(&self, _name: &str) -> ConsumerId {
        ConsumerId(self.consumers.fetch_add(1, Ordering::Relaxed))
    }

    fn try_grow(&self, _consumer: ConsumerId, bytes: u64) -> Result<(), ReserveError> {
        let more = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.limit);
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(held) => Err(ReserveError {
                consumer: "keyed state".to_owned(),
                requested_bytes: bytes,
                available_bytes: self.limit - held,
                limit_bytes: self.limit,
            }),
        }
    }

    fn shrink(&self, _consumer: ConsumerId, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn reserved(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    fn pressure(&self) -> Pressure {
        if self.reserved() >= self.limit { Pressure::Hard } else { Pressure::Normal }
    }
}
