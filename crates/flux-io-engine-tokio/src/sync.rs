//! The one door to locks. Nothing stands behind it but std: what this engine waits with is tokio's
//! own, which no checker of ours reaches (tokio checks it with loom itself).

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks `m`; a poisoned lock is taken over, since no user code ever runs under it.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
