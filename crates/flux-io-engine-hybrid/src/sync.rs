//! The one door to locks and threads, so that a checker of schedules can stand behind it.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread::{Builder, scope};
