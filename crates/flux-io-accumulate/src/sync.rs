//! The one door to locks and atomics: loom under `cfg(flux_io_loom)`, std otherwise. What stands behind
//! it is shared by the instances of one accumulator: what is left of its limits.

#[cfg(flux_io_loom)]
use loom as door;
#[cfg(not(flux_io_loom))]
use std as door;

pub(crate) use door::sync::atomic::{AtomicU64, Ordering::Relaxed};
pub(crate) use door::sync::{Mutex, MutexGuard};
pub(crate) use std::sync::{Arc, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since no user code ever runs under it.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
