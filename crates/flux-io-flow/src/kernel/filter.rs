//! `filter` and `filter_map`: rows that stay, unchanged or changed.

use super::guard::{Tally, guarded};
use super::trouble::{operator, own_blame};
use super::{Kernel, Room, RowFault, Waiting, stateless};
use flux_io_core::{Column, Counts, OnError, Original};
use std::fmt;

/// The operator of `filter`.
pub struct FilterK<A, F> {
    a: A,
    f: F,
    passed: u64,
    failed: u64,
    hit: bool,
}

/// The operator of `filter_map`.
pub struct FilterMapK<A, F> {
    a: A,
    f: F,
    passed: u64,
    failed: u64,
    hit: bool,
}

/// What both have in common: everything but the loop.
macro_rules! common {
    ($t:ident) => {
        operator!($t);

        impl<A, F> $t<A, F> {
            pub(crate) const fn new(a: A, f: F) -> Self {
                Self { a, f, passed: 0, failed: 0, hit: false }
            }
        }

        impl<A: Clone, F: Clone> Clone for $t<A, F> {
            fn clone(&self) -> Self {
                Self::new(self.a.clone(), self.f.clone())
            }
        }
    };
}
common!(FilterK);
common!(FilterMapK);

macro_rules! rest {
    () => {
        type Room = <A::Room as Room>::Less;
        const EXPANDS: bool = A::EXPANDS;
        const KEEPS: bool = false;
        stateless!();

        fn policies(&mut self, on: &[OnError], n: &mut usize) {
            self.a.policies(on, n);
            *n += 1;
        }
        fn counts(&self, rows_in: u64, each: &mut dyn FnMut(Counts)) -> u64 {
            let rows_in = self.a.counts(rows_in, each);
            each(Counts { rows_in, rows_out: self.passed, failed: self.failed });
            self.passed
        }
        fn faults(&mut self, n: &mut usize, each: &mut dyn FnMut(usize, RowFault)) {
            self.a.faults(n, each);
            *n += 1;
        }
        fn blame(&mut self, n: &mut usize) -> Option<(usize, Original)> {
            let before = self.a.blame(n);
            let own = own_blame(&mut self.hit, &mut self.failed, n);
            before.or(own)
        }
        fn waiting(&self, n: &mut usize) -> Option<Waiting> {
            let before = self.a.waiting(n);
            *n += 1;
            before
        }
    };
}

impl<C, A, F> Kernel<C> for FilterK<A, F>
where
    C: Column,
    A: Kernel<C>,
    F: FnMut(&A::Out) -> bool + Send,
{
    type Out = A::Out;
    rest!();

    #[inline(always)]
    fn run(
        &mut self,
        input: &mut C,
        at: &mut u64,
        sink: &mut impl FnMut(u32, A::Out) -> bool,
    ) -> bool {
        let Self { a, f, passed, hit, .. } = self;
        let mut tally = Tally::new(passed);
        a.run(input, at, &mut |r, x| {
            if guarded!(hit, f(&x)) {
                tally.n += 1;
                sink(r, x)
            } else {
                true
            }
        })
    }
}

impl<C, A, U, F> Kernel<C> for FilterMapK<A, F>
where
    C: Column,
    A: Kernel<C>,
    U: Send + 'static,
    F: FnMut(A::Out) -> Option<U> + Send,
{
    type Out = U;
    rest!();

    #[inline(always)]
    fn run(&mut self, input: &mut C, at: &mut u64, sink: &mut impl FnMut(u32, U) -> bool) -> bool {
        let Self { a, f, passed, hit, .. } = self;
        let mut tally = Tally::new(passed);
        a.run(input, at, &mut |r, x| match guarded!(hit, f(x)) {
            Some(y) => {
                tally.n += 1;
                sink(r, y)
            }
            None => true,
        })
    }
}
