//! `try_map` and `validate`: every row is judged by a call that borrows it, and may fail.
//!
//! The call borrows the row, so a row that fails is still whole: it can be tried again, and it is
//! the original of its dead letter.

use super::guard::{Saved, guarded};
use super::trouble::Trouble;
use super::{Kernel, Room, RowFault, Waiting, stateless};
use flux_io_core::{Column, Counts, OnError, Original, RowError, Validator};
use std::fmt;

/// A call that judges a row of type `T`.
pub trait Attempt<T>: Send {
    /// What the call gives.
    type Made;
    /// What goes on.
    type Out: Send + 'static;

    /// Judges a row.
    ///
    /// # Errors
    /// What is wrong with the row.
    fn call(&mut self, row: &T) -> Result<Self::Made, RowError>;

    /// What goes on for a row that did not fail.
    fn out(made: Self::Made, row: T) -> Self::Out;
}

/// The call of `try_map`: what the closure makes goes on.
#[derive(Clone, Copy, Debug)]
pub struct TryMap<F>(pub(crate) F);

impl<T, U, E, F> Attempt<T> for TryMap<F>
where
    U: Send + 'static,
    E: Into<RowError>,
    F: FnMut(&T) -> Result<U, E> + Send,
{
    type Made = U;
    type Out = U;

    #[inline(always)]
    fn call(&mut self, row: &T) -> Result<U, RowError> {
        (self.0)(row).map_err(Into::into)
    }

    #[inline(always)]
    fn out(made: U, _row: T) -> U {
        made
    }
}

/// The call of `validate`: the row itself goes on.
#[derive(Clone, Copy, Debug)]
pub struct Check<V>(pub(crate) V);

impl<T: Send + 'static, V: Validator<Vec<T>>> Attempt<T> for Check<V> {
    type Made = ();
    type Out = T;

    #[inline(always)]
    fn call(&mut self, row: &T) -> Result<(), RowError> {
        self.0.check(row)
    }

    #[inline(always)]
    fn out((): (), row: T) -> T {
        row
    }
}

/// The operator of a call over rows of type `T`.
pub struct AttemptK<A, W, T> {
    a: A,
    call: W,
    trouble: Trouble<T>,
    hit: bool,
}

/// The operator of `try_map` over rows of type `T`.
pub type TryK<A, F, T> = AttemptK<A, TryMap<F>, T>;
/// The operator of `validate` over rows of type `T`.
pub type ValidateK<A, V, T> = AttemptK<A, Check<V>, T>;

impl<A: fmt::Debug, W, T> fmt::Debug for AttemptK<A, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AttemptK").field(&self.a).finish()
    }
}

impl<A, W, T> AttemptK<A, W, T> {
    pub(crate) fn new(a: A, call: W) -> Self {
        Self { a, call, trouble: Trouble::default(), hit: false }
    }
}

impl<A: Clone, W: Clone, T> Clone for AttemptK<A, W, T> {
    fn clone(&self) -> Self {
        let mut twin = Self::new(self.a.clone(), self.call.clone());
        twin.trouble.on = self.trouble.on;
        twin
    }
}

/// One attempt at a row: on to `sink`, or into `trouble`.
#[inline(always)]
fn attempt<T: Send + 'static, W: Attempt<T>>(
    call: &mut W,
    (hit, trouble): (&mut bool, &mut Trouble<T>),
    (row, item, attempts): (u32, T, u32),
    sink: &mut impl FnMut(u32, W::Out) -> bool,
) -> bool {
    let saved = Saved::new(item, &mut trouble.poisoned);
    let Some(x) = saved.get() else { return true };
    let result = guarded!(hit, call.call(x));
    let Some(item) = saved.take() else { return true };
    match result {
        Ok(made) => sink(row, W::out(made, item)),
        Err(e) => trouble.refuse(row, item, attempts, e),
    }
}

impl<C, A, W> Kernel<C> for AttemptK<A, W, A::Out>
where
    C: Column,
    A: Kernel<C>,
    W: Attempt<A::Out>,
{
    type Out = W::Out;
    type Room = <A::Room as Room>::Less;
    const EXPANDS: bool = A::EXPANDS;
    const KEEPS: bool = A::KEEPS;
    stateless!();

    #[inline(always)]
    fn run(
        &mut self,
        input: &mut C,
        at: &mut u64,
        sink: &mut impl FnMut(u32, W::Out) -> bool,
    ) -> bool {
        let Self { a, call, trouble, hit } = self;
        if let Some(h) = trouble.held.take()
            && !attempt(call, (&mut *hit, &mut *trouble), (h.row, h.item, h.attempts + 1), sink)
        {
            return false;
        }
        a.run(input, at, &mut |r, x| attempt(call, (&mut *hit, &mut *trouble), (r, x, 1), sink))
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
