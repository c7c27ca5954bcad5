//! `validate`: rows that a validator accepts stay, others fail.

use super::guard::{Saved, guarded};
use super::trouble::Trouble;
use super::{Kernel, Room, RowFault, Waiting};
use flux_io_core::{Column, Counts, OnError, Original, Validator};
use std::fmt;

/// The operator of `validate` over rows of type `T`.
pub struct ValidateK<A, V, T> {
    a: A,
    v: V,
    trouble: Trouble<T>,
    hit: bool,
}

impl<A: fmt::Debug, V, T> fmt::Debug for ValidateK<A, V, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValidateK").field(&self.a).finish()
    }
}

impl<A, V, T> ValidateK<A, V, T> {
    pub(crate) fn new(a: A, v: V) -> Self {
        Self { a, v, trouble: Trouble::default(), hit: false }
    }
}

impl<A: Clone, V: Clone, T> Clone for ValidateK<A, V, T> {
    fn clone(&self) -> Self {
        let mut twin = Self::new(self.a.clone(), self.v.clone());
        twin.trouble.on = self.trouble.on;
        twin
    }
}

#[inline(always)]
fn check<T: Send + 'static>(
    v: &mut impl Validator<Vec<T>>,
    (hit, trouble): (&mut bool, &mut Trouble<T>),
    (row, item, attempts): (u32, T, u32),
    sink: &mut impl FnMut(u32, T) -> bool,
) -> bool {
    let saved = Saved::new(item, &mut trouble.poisoned);
    let Some(x) = saved.get() else { return true };
    let result = guarded!(hit, v.check(x));
    let Some(item) = saved.take() else { return true };
    match result {
        Ok(()) => sink(row, item),
        Err(e) => trouble.refuse(row, item, attempts, e),
    }
}

impl<C, A, V> Kernel<C> for ValidateK<A, V, A::Out>
where
    C: Column,
    A: Kernel<C>,
    V: Validator<Vec<A::Out>>,
{
    type Out = A::Out;
    type Room = <A::Room as Room>::Less;
    const EXPANDS: bool = A::EXPANDS;
    const KEEPS: bool = A::KEEPS;

    #[inline(always)]
    fn run(
        &mut self,
        input: &mut C,
        at: &mut u64,
        sink: &mut impl FnMut(u32, A::Out) -> bool,
    ) -> bool {
        let Self { a, v, trouble, hit } = self;
        if let Some(h) = trouble.held.take()
            && !check(v, (&mut *hit, &mut *trouble), (h.row, h.item, h.attempts + 1), sink)
        {
            return false;
        }
        a.run(input, at, &mut |r, x| check(v, (&mut *hit, &mut *trouble), (r, x, 1), sink))
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
