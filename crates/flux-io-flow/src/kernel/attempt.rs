//! `try_map`: every row becomes one of another type, or fails.
//!
//! The closure borrows the row, so a row that fails is still whole: it can be tried again, and it
//! is the original of its dead letter.

use super::guard::{Saved, guarded};
use super::trouble::Trouble;
use super::{Kernel, Room, RowFault, Waiting};
use flux_io_core::{Column, Counts, OnError, Original, RowError};
use std::fmt;

/// The operator of `try_map` over rows of type `T`.
pub struct TryK<A, F, T> {
    a: A,
    f: F,
    trouble: Trouble<T>,
    hit: bool,
}

impl<A: fmt::Debug, F, T> fmt::Debug for TryK<A, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryK").field(&self.a).finish()
    }
}

impl<A, F, T> TryK<A, F, T> {
    pub(crate) fn new(a: A, f: F) -> Self {
        Self { a, f, trouble: Trouble::default(), hit: false }
    }
}

impl<A: Clone, F: Clone, T> Clone for TryK<A, F, T> {
    fn clone(&self) -> Self {
        let mut twin = Self::new(self.a.clone(), self.f.clone());
        twin.trouble.on = self.trouble.on;
        twin
    }
}

/// One attempt at a row: on to `sink`, or into `trouble`.
#[inline(always)]
fn attempt<T: Send + 'static, U, E: Into<RowError>>(
    f: &mut impl FnMut(&T) -> Result<U, E>,
    (hit, trouble): (&mut bool, &mut Trouble<T>),
    (row, item, attempts): (u32, T, u32),
    sink: &mut impl FnMut(u32, U) -> bool,
) -> bool {
    let saved = Saved::new(item, &mut trouble.poisoned);
    let Some(x) = saved.get() else { return true };
    let result = guarded!(hit, f(x).map_err(Into::into));
    let item = saved.take();
    match (result, item) {
        (Ok(y), _) => sink(row, y),
        (Err(e), Some(item)) => trouble.refuse(row, item, attempts, e),
        (Err(_), None) => true,
    }
}

impl<C, A, U, E, F> Kernel<C> for TryK<A, F, A::Out>
where
    C: Column,
    A: Kernel<C>,
    U: Send + 'static,
    E: Into<RowError>,
    F: FnMut(&A::Out) -> Result<U, E> + Send,
{
    type Out = U;
    type Room = <A::Room as Room>::Less;
    const EXPANDS: bool = A::EXPANDS;
    const KEEPS: bool = A::KEEPS;

    #[inline(always)]
    fn run(&mut self, input: &mut C, at: &mut u64, sink: &mut impl FnMut(u32, U) -> bool) -> bool {
        let Self { a, f, trouble, hit } = self;
        if let Some(h) = trouble.held.take()
            && !attempt(f, (&mut *hit, &mut *trouble), (h.row, h.item, h.attempts + 1), sink)
        {
            return false;
        }
        a.run(input, at, &mut |r, x| attempt(f, (&mut *hit, &mut *trouble), (r, x, 1), sink))
    }

    fn policies(&mut self, on: &[OnError], n: &mut usize) {
        self.a.policies(on, n);
        self.trouble.policy(on, n);
    }

    fn counts(&self, rows_in: u64, each: &mut dyn FnMut(Counts)) -> u64 {
        let rows_in = self.a.counts(rows_in, each);
        let waiting = u64::from(self.trouble.held.is_some());
        let rows_out = rows_in - self.trouble.failed - waiting;
        each(Counts { rows_in, rows_out, failed: self.trouble.failed });
        rows_out
    }

    fn faults(&mut self, n: &mut usize, each: &mut dyn FnMut(usize, RowFault)) {
        self.a.faults(n, each);
        self.trouble.drain(n, each);
    }

    fn blame(&mut self, n: &mut usize) -> Option<(usize, Original)> {
        let before = self.a.blame(n);
        let operator = *n;
        *n += 1;
        if !std::mem::take(&mut self.hit) {
            return before;
        }
        self.trouble.failed += 1;
        let original = self.trouble.poisoned.take().map_or(Original::None, Original::value);
        before.or(Some((operator, original)))
    }

    fn waiting(&self, n: &mut usize) -> Option<Waiting> {
        let before = self.a.waiting(n);
        let own = self.trouble.waiting(n);
        before.or(own)
    }
}
