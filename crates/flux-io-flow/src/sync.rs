//! The one door to locks. Nothing stands behind it but std: what this crate locks is asked for by
//! one side before a run and by the other side after it.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since what it guards is valid between any two moves.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
