//! The one door to locks and atomics, so that a checker of schedules can stand behind it: loom
//! under `cfg(flux_io_loom)`, shuttle under `cfg(flux_io_shuttle)`, std otherwise.
//!
//! Everything in this crate that is shared between tasks goes through these names. Locks are held
//! for a few instructions, never over user code and never over an await. `Arc` and `Waker` are
//! std's in each case: they are part of the contracts, and a checker brings wakers of its own.

#[cfg(flux_io_loom)]
use loom as door;
#[cfg(flux_io_shuttle)]
use shuttle as door;
#[cfg(not(any(flux_io_loom, flux_io_shuttle)))]
use std as door;

pub(crate) use door::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
pub(crate) use door::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::{Arc, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since no user code ever runs under it.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
