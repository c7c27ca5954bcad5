//! The one door to locks. Nothing stands behind it but std: what this crate locks is held for a few
//! instructions, and no user code runs under it.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
