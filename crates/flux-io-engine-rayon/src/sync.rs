//! The one door to locks, atomics, threads and the clock, so that a checker of schedules can stand
//! behind it: loom under `cfg(flux_io_loom)`, shuttle under `cfg(flux_io_shuttle)`, std and rayon
//! otherwise. Under a checker a deadline is over at once and the clock counts how often it is read,
//! so that a schedule is the same when it is run again.

#[cfg(flux_io_loom)]
use loom as door;
#[cfg(flux_io_shuttle)]
use shuttle as door;
#[cfg(not(any(flux_io_loom, flux_io_shuttle)))]
use std as door;

pub(crate) use door::sync::atomic::{AtomicU8, Ordering};
pub(crate) use door::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use door::thread::Builder;
pub(crate) use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Rounds in which a worker without a task looks again before it sleeps. A hand-off between two
/// tasks takes a few hundred nanoseconds, a sleep and wake some microseconds. Under shuttle it is
/// one; under loom none, since who gives way there runs again only when nobody else can.
pub(crate) const ROUNDS: u32 = if cfg!(flux_io_loom) {
    0
} else if cfg!(flux_io_shuttle) {
    1
} else {
    64
};

/// How often a sleeper looks for work that a stage gave the pool, while a task is polled: beside work
/// that is worth being spread it is short, and a thread that wakes so often costs next to nothing.
/// Never under a checker, which has no such work.
pub(crate) const LOOK: Option<Duration> =
    if cfg!(any(flux_io_loom, flux_io_shuttle)) { None } else { Some(Duration::from_millis(1)) };

/// Locks `m`; a poisoned lock is taken over, since what it guards is valid between any two moves.
pub(crate) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) use behind::{Stopwatch, Workers, give_way, wait};

#[cfg(not(any(flux_io_loom, flux_io_shuttle)))]
mod behind {
    use super::{Condvar, Duration, Mutex, MutexGuard, PoisonError};
    use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
    use std::time::Instant;

    /// The threads that take tasks: a pool of rayon's.
    pub(crate) struct Workers(ThreadPool);

    impl Workers {
        pub(crate) fn new(n: usize) -> Result<Self, ThreadPoolBuildError> {
            ThreadPoolBuilder::new().num_threads(n).build().map(Self)
        }

        /// Runs `work` on each of them, and waits until all have returned.
        pub(crate) fn run(&self, work: impl Fn() + Sync) {
            // Not as jobs of the pool: one that gives way would run the next one's inside its own.
            self.0.broadcast(|_| work());
        }
    }

    /// Lets others work for a moment; the user's own parallel work goes first. Whether there was any.
    pub(crate) fn give_way() -> bool {
        let found = rayon::yield_now() == Some(rayon::Yield::Executed);
        if !found {
            std::hint::spin_loop();
        }
        found
    }

    /// Waits for `changed`, or no longer than `longest`. May return for nothing.
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

    /// The one place where this engine's clock begins.
    #[derive(Clone, Copy)]
    pub(crate) struct Stopwatch(Instant);

    impl Stopwatch {
        #[expect(clippy::disallowed_methods, reason = "the engine is where time comes from")]
        pub(crate) fn start() -> Self {
            Self(Instant::now())
        }

        pub(crate) fn elapsed(&self) -> Duration {
            self.0.elapsed()
        }
    }
}

#[cfg(any(flux_io_loom, flux_io_shuttle))]
mod behind {
    use super::{Condvar, Duration, Mutex, MutexGuard, PoisonError, door, lock};
    use std::convert::Infallible;

    /// The threads that take tasks: the checker's.
    pub(crate) struct Workers(usize);

    impl Workers {
        pub(crate) fn new(n: usize) -> Result<Self, Infallible> {
            Ok(Self(n))
        }

        #[cfg(flux_io_shuttle)]
        pub(crate) fn run(&self, work: impl Fn() + Send + Sync) {
            let work = &work;
            shuttle::thread::scope(|s| {
                for _ in 0..self.0 {
                    s.spawn(work);
                }
            });
        }

        /// Loom has no scoped threads and is given the engine's pieces only, never the whole.
        #[cfg(flux_io_loom)]
        pub(crate) fn run(&self, work: impl Fn() + Send + Sync) {
            (0..self.0).for_each(|_| work());
        }
    }

    pub(crate) fn give_way() -> bool {
        door::thread::yield_now();
        false
    }

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
        give_way();
        lock(lock_of)
    }

    /// Milliseconds since the start: how often it was read.
    pub(crate) struct Stopwatch(std::sync::atomic::AtomicU64);

    impl Stopwatch {
        pub(crate) const fn start() -> Self {
            Self(std::sync::atomic::AtomicU64::new(0))
        }

        pub(crate) fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        }
    }
}
