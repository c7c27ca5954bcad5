//! `inspect`: a look at every row that passes.

use super::guard::guarded;
use super::trouble::{operator, own_blame};
use super::{Kernel, Room, RowFault, Waiting, stateless};
use flux_io_core::{Column, Counts, OnError, Original};
use std::fmt;

/// The operator of `inspect`.
pub struct InspectK<A, F> {
    a: A,
    f: F,
    failed: u64,
    hit: bool,
}

operator!(InspectK);

impl<A, F> InspectK<A, F> {
    pub(crate) const fn new(a: A, f: F) -> Self {
        Self { a, f, failed: 0, hit: false }
    }
}

impl<A: Clone, F: Clone> Clone for InspectK<A, F> {
    fn clone(&self) -> Self {
        Self::new(self.a.clone(), self.f.clone())
    }
}

impl<C, A, F> Kernel<C> for InspectK<A, F>
where
    C: Column,
    A: Kernel<C>,
    F: FnMut(&A::Out) + Send,
{
    type Out = A::Out;
    type Room = <A::Room as Room>::Less;
    const EXPANDS: bool = A::EXPANDS;
    const KEEPS: bool = A::KEEPS;
    stateless!();

    #[inline(always)]
    fn run(
        &mut self,
        input: &mut C,
        at: &mut u64,
        sink: &mut impl FnMut(u32, A::Out) -> bool,
    ) -> bool {
        let Self { a, f, hit, .. } = self;
        a.run(input, at, &mut |r, x| {
            guarded!(hit, f(&x));
            sink(r, x)
        })
    }

    fn policies(&mut self, on: &[OnError], n: &mut usize) {
        self.a.policies(on, n);
        *n += 1;
    }

    fn counts(&self, rows_in: u64, each: &mut dyn FnMut(Counts)) -> u64 {
        let rows_in = self.a.counts(rows_in, each);
        let rows_out = rows_in - self.failed;
        each(Counts { rows_in, rows_out, failed: self.failed });
        rows_out
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
}
