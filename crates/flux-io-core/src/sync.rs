//! The one door to locks and atomics, so that a model checker can stand behind it.
//!
//! Everything in this crate that is shared between tasks goes through these names. Locks are held
//! for a few instructions, never over user code and never over an await.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since no user code ever runs under it.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
