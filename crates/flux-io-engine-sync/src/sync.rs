//! The one door to locks, atomics and threads, so that a checker of schedules can stand behind it:
//! loom under `cfg(flux_io_loom)`, shuttle under `cfg(flux_io_shuttle)`, std otherwise.

#[cfg(flux_io_loom)]
use loom as door;
#[cfg(flux_io_shuttle)]
use shuttle as door;
#[cfg(not(any(flux_io_loom, flux_io_shuttle)))]
use std as door;

pub(crate) use door::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use door::sync::{Mutex, MutexGuard};
#[cfg(any(flux_io_loom, flux_io_shuttle))]
pub(crate) use door::thread::park;
pub(crate) use door::thread::{Builder, Thread, current};
pub(crate) use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Locks `m`; a poisoned lock is taken over, since no user code ever runs under it.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parks, no longer than `longest`. May return for nothing.
#[cfg(not(any(flux_io_loom, flux_io_shuttle)))]
pub(crate) fn park_for(longest: Option<Duration>) {
    match longest {
        Some(d) => std::thread::park_timeout(d),
        None => std::thread::park(),
    }
}

/// Parks; a deadline is over at once.
#[cfg(any(flux_io_loom, flux_io_shuttle))]
pub(crate) fn park_for(longest: Option<Duration>) {
    match longest {
        Some(_) => door::thread::yield_now(),
        None => park(),
    }
}

/// The one place where this engine looks at the wall's clock: how long it waited for the outside.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "what is outside takes the wall's time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
