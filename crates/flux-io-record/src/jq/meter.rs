//! What one run of a program may cost. The library offers no hook for it, but everything that
//! repeats copies the context or a value, and everything that grows makes values: both are counted
//! here, and a run that is over its allowance is unwound to [`run`].

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Values inside each other at most: they are compared, written and dropped by recursion. Twice
/// what a record may have, so that a program can wrap what it got.
pub(super) const MAX_DEPTH: u32 = 256;

/// Why a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Steps,
    Bytes,
    Depth,
    /// The library panicked, which it should not.
    Broken,
}

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// Runs `f` with this allowance. It is synchronous, so the thread's meter is its own.
pub(super) fn run<T>(steps: u64, bytes: u64, f: impl FnOnce() -> T) -> Result<T, Stop> {
    STEPS.set(steps);
    BYTES.set(bytes);
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload: Box<dyn Any + Send>| {
        payload.downcast_ref::<Stop>().copied().unwrap_or(Stop::Broken)
    })
}

/// Unwinds to [`run`], past the panic hook.
#[cold]
pub(super) fn stop(why: Stop) -> ! {
    resume_unwind(Box::new(why))
}

fn spend(meter: &'static std::thread::LocalKey<Cell<u64>>, n: usize, why: Stop) {
    match meter.get().checked_sub(n as u64) {
        Some(left) => meter.set(left),
        None => stop(why),
    }
}

/// Counts `n` steps.
#[inline]
pub(super) fn steps(n: usize) {
    spend(&STEPS, n, Stop::Steps);
}

/// Counts `n` bytes that are about to be allocated.
#[inline]
pub(super) fn bytes(n: usize) {
    spend(&BYTES, n, Stop::Bytes);
}
