//! What is charged against the run's budget, in steps large enough that a fragment rarely asks.

use flux_io_core::Reservation;

/// Bytes asked for at once when a pool stands behind it.
const STEP: u64 = 16 * 1024;

/// Bytes used, and the reservation that covers them.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    reservation: Reservation,
    /// Wider than what is added to it, so that no sum of what user code says can wrap.
    used: u128,
}

impl Purse {
    /// A purse for the same bytes on another reservation (when the run starts).
    pub(crate) const fn new(reservation: Reservation) -> Self {
        Self { reservation, used: 0 }
    }

    /// Bytes used.
    #[inline]
    pub(crate) fn used(&self) -> u64 {
        clamp(self.used)
    }

    /// Charges `bytes` before they are allocated; `false` when the budget refuses.
    #[inline]
    pub(crate) fn charge(&mut self, bytes: u64) -> bool {
        let used = self.used + u128::from(bytes);
        let covered = u128::from(self.reservation.bytes()) >= used;
        if covered || self.cover(bytes) {
            self.used = used;
            return true;
        }
        false
    }

    /// Notes `bytes` that user code has already taken; `false` when the budget does not cover them.
    #[inline]
    pub(crate) fn owe(&mut self, bytes: u64) -> bool {
        let used = self.used + u128::from(bytes);
        let covered = u128::from(self.reservation.bytes()) >= used || self.cover(bytes);
        self.used = used;
        covered
    }

    /// Whether the budget covers all that is used, asking again if it did not.
    #[inline]
    pub(crate) fn covered(&mut self) -> bool {
        u128::from(self.reservation.bytes()) >= self.used || self.cover(0)
    }

    #[cold]
    fn cover(&mut self, more: u64) -> bool {
        let wanted = self.used + u128::from(more);
        let lack = clamp(wanted.saturating_sub(u128::from(self.reservation.bytes())));
        self.reservation.try_grow(lack.max(STEP)).is_ok() || self.reservation.try_grow(lack).is_ok()
    }

    /// Gives bytes back.
    #[inline]
    pub(crate) fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(u128::from(bytes));
        let spare = self.reservation.bytes().saturating_sub(clamp(self.used));
        if spare > 4 * STEP {
            self.reservation.shrink(spare - STEP);
        }
    }
}

fn clamp(bytes: u128) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_io_core::{ConsumerId, MemoryPool, ReserveError};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    struct Pool(AtomicU64, u64);
    impl MemoryPool for Pool {
        fn register(&self, _: &str) -> ConsumerId {
            ConsumerId(0)
        }
        fn try_grow(&self, _: ConsumerId, bytes: u64) -> Result<(), ReserveError> {
            let now = self.0.load(Relaxed);
            if now + bytes > self.1 {
                return Err(ReserveError {
                    consumer: "test".into(),
                    requested_bytes: bytes,
                    available_bytes: self.1 - now,
                    limit_bytes: self.1,
                });
            }
            self.0.store(now + bytes, Relaxed);
            Ok(())
        }
        fn shrink(&self, _: ConsumerId, bytes: u64) {
            self.0.fetch_sub(bytes, Relaxed);
        }
        fn reserved(&self) -> u64 {
            self.0.load(Relaxed)
        }
    }

    #[test]
    fn never_more_than_the_budget_and_all_of_it_usable() {
        let pool = Arc::new(Pool(AtomicU64::new(0), 20_000));
        let mut purse = Purse::new(Reservation::new(Arc::clone(&pool) as _, "keys"));
        assert!(purse.charge(1_000));
        assert_eq!(pool.reserved(), STEP, "one step at a time");
        assert!(purse.charge(19_000), "the last byte is usable");
        assert!(!purse.charge(1));
        assert!(!purse.owe(50));
        assert_eq!(purse.used(), 20_050);
        purse.release(60);
        assert!(purse.covered());
        drop(purse);
        assert_eq!(pool.reserved(), 0);
    }
}
