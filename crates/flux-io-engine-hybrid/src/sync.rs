//! The one door to locks and threads. Nothing stands behind it but std: the lanes' own executors are
//! checked where they are written, and what this crate locks is a set of flags and their wakers.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread::{Builder, scope};
