//! What operators that may fail share: rows given up, the row that waits, blame for panics.

use super::{RowFault, Waiting};
use flux_io_core::{ErrorClass, GiveUp, OnError, Original, RowError};

/// Rows given up that an operator holds before it stops the loop to have them taken away: a bound
/// for an iterator that yields failing items without end.
pub(crate) const MOST_FAULTS: usize = 1024;

/// A row between two attempts.
pub(crate) struct Held<T> {
    pub(crate) row: u32,
    pub(crate) item: T,
    pub(crate) attempts: u32,
    pub(crate) class: ErrorClass,
}

/// The state of an operator whose closure may refuse a row of type `T`.
pub(crate) struct Trouble<T> {
    pub(crate) on: OnError,
    pub(crate) failed: u64,
    pub(crate) held: Option<Held<T>>,
    pub(crate) poisoned: Option<T>,
    bad: Vec<RowFault>,
}

impl<T> Default for Trouble<T> {
    fn default() -> Self {
        Self { on: OnError::Fail, failed: 0, held: None, poisoned: None, bad: Vec::new() }
    }
}

impl<T: Send + 'static> Trouble<T> {
    /// Keeps a row that was refused after `attempts` attempts: to be tried again, or as a fault.
    /// Says whether the loop may go on.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&mut self, row: u32, item: T, attempts: u32, error: RowError) -> bool {
        if self.on.retry_after(error.class, attempts, 0).is_some() {
            self.held = Some(Held { row, item, attempts, class: error.class });
            return false;
        }
        self.give_up(RowFault { row, error, original: Original::value(item), attempts })
    }
}

impl<T> Trouble<T> {
    /// Records a fault; says whether the loop may go on.
    pub(crate) fn give_up(&mut self, fault: RowFault) -> bool {
        self.failed += 1;
        self.bad.push(fault);
        self.on.finally() != GiveUp::Fail && self.bad.len() < MOST_FAULTS
    }

    pub(crate) fn policy(&mut self, on: &[OnError], n: &mut usize) {
        self.on = on.get(*n).copied().unwrap_or_default();
        *n += 1;
    }

    pub(crate) fn drain(&mut self, n: &mut usize, each: &mut dyn FnMut(usize, RowFault)) {
        self.bad.drain(..).for_each(|f| each(*n, f));
        *n += 1;
    }

    pub(crate) fn waiting(&self, n: &mut usize) -> Option<Waiting> {
        let operator = *n;
        *n += 1;
        let held = self.held.as_ref()?;
        Some(Waiting { operator, attempts: held.attempts, class: held.class })
    }
}

/// Blame of an operator that keeps no original.
pub(crate) fn own_blame(
    hit: &mut bool,
    failed: &mut u64,
    n: &mut usize,
) -> Option<(usize, Original)> {
    let operator = *n;
    *n += 1;
    std::mem::take(hit).then(|| {
        *failed += 1;
        (operator, Original::None)
    })
}

/// `Debug` of an operator: its word and what stands before it.
macro_rules! operator {
    ($t:ident) => {
        impl<A: fmt::Debug, F> fmt::Debug for $t<A, F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($t)).field(&self.a).finish()
            }
        }
    };
}
pub(crate) use operator;
