//! The one door to locks and atomics, so that a checker of schedules can stand behind it: loom
//! under `cfg(flux_io_loom)`, shuttle under `cfg(flux_io_shuttle)`, std otherwise.
//!
//! Locks are held for a few moves, never across an await; wakers are called after the unlock.
//! `Arc` and `Waker` are std's in each case: a checker brings wakers of its own.

#[cfg(flux_io_loom)]
use loom as door;
#[cfg(flux_io_shuttle)]
use shuttle as door;
#[cfg(not(any(flux_io_loom, flux_io_shuttle)))]
use std as door;

#[cfg(feature = "lines")]
pub(crate) use door::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use door::sync::{Mutex, MutexGuard};
pub(crate) use std::sync::{Arc, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since what it guards is valid between any two moves.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
