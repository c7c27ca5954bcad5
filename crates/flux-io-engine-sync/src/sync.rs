//! The one door to locks, atomics and threads, so that a checker of schedules can stand behind it:
//! loom under `cfg(flux_io_loom)`, shuttle under `cfg(flux_io_shuttle)`, std otherwise.

#[cfg(flux_io_loom)]
use loom as door;
#[cfg(flux_io_shuttle)]
use shuttle as door;
#[cfg(not(any(flux_io_loom, flux_io_shuttle)))]
use std as door;

pub(crate) use door::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use door::sync::{Mutex, MutexGuard};
pub(crate) use door::thread::{Builder, Thread, current, park};
pub(crate) use std::sync::{Arc, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since no user code ever runs under it.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
