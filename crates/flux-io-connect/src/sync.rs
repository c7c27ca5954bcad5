//! The one door to locks, so that a model checker can stand behind it.
//!
//! Locks are held for a few moves, never across an await; wakers are called after the unlock.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since what it guards is valid between any two moves.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
