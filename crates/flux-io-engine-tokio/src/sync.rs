//! The one door to locks and threads, so that a checker of schedules can stand behind it: loom
//! under `cfg(flux_io_loom)`, std otherwise. What tasks wait with is tokio's own, which tokio
//! checks with loom itself.

#[cfg(flux_io_loom)]
use loom as door;
#[cfg(not(flux_io_loom))]
use std as door;

pub(crate) use door::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use door::thread::Builder;
pub(crate) use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Locks `m`; a poisoned lock is taken over, since no user code ever runs under it.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for `changed`, or no longer than `longest`. May return for nothing.
#[cfg(not(flux_io_loom))]
pub(crate) fn wait<'a, T>(
    changed: &Condvar,
    _: &'a Mutex<T>,
    held: MutexGuard<'a, T>,
    longest: Option<Duration>,
) -> MutexGuard<'a, T> {
    match longest {
        Some(d) => changed.wait_timeout(held, d).unwrap_or_else(PoisonError::into_inner).0,
        None => changed.wait(held).unwrap_or_else(PoisonError::into_inner),
    }
}

/// Waits for `changed`; a deadline is over at once.
#[cfg(flux_io_loom)]
pub(crate) fn wait<'a, T>(
    changed: &Condvar,
    lock_of: &'a Mutex<T>,
    held: MutexGuard<'a, T>,
    longest: Option<Duration>,
) -> MutexGuard<'a, T> {
    if longest.is_none() {
        return changed.wait(held).unwrap_or_else(PoisonError::into_inner);
    }
    drop(held);
    loom::thread::yield_now();
    lock(lock_of)
}
