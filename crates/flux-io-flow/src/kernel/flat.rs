//! `flat_map`: every row becomes any number of rows.
//!
//! The iterator of the current row is kept in the kernel whenever the loop stops or unwinds, so an
//! iterator without end has bounded output and bounded time, and a panic behind it costs one item,
//! not the rest.

use super::guard::{Tally, guarded};
use super::trouble::own_blame;
use super::{Kernel, Room, RowFault, Waiting, stateless};
use flux_io_core::{Column, Counts, OnError, Original};
use std::fmt;

/// The operator of `flat_map` whose iterators are of type `I`.
pub struct FlatK<A, F, I> {
    a: A,
    f: F,
    open: Option<(u32, I)>,
    made: u64,
    failed: u64,
    hit: bool,
}

impl<A: fmt::Debug, F, I> fmt::Debug for FlatK<A, F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FlatK").field(&self.a).finish()
    }
}

impl<A, F, I> FlatK<A, F, I> {
    pub(crate) const fn new(a: A, f: F) -> Self {
        Self { a, f, open: None, made: 0, failed: 0, hit: false }
    }
}

impl<A: Clone, F: Clone, I> Clone for FlatK<A, F, I> {
    fn clone(&self) -> Self {
        Self::new(self.a.clone(), self.f.clone())
    }
}

/// Items after which the loop is left even if what takes them has room: an iterator without end
/// whose items all go under behind it must not hold its thread for ever.
const POURED_AT_ONCE: u64 = 1 << 16;

/// An iterator being poured out: kept on every way out, unless it panicked itself.
struct Pour<'a, I> {
    row: u32,
    items: Option<I>,
    inside: bool,
    open: &'a mut Option<(u32, I)>,
    hit: &'a mut bool,
}

impl<I> Drop for Pour<'_, I> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.inside {
            *self.hit = true;
        } else if let Some(items) = self.items.take() {
            *self.open = Some((self.row, items));
        }
    }
}

impl<I: Iterator> Pour<'_, I> {
    #[inline(always)]
    fn next(&mut self) -> Option<I::Item> {
        self.inside = true;
        let next = self.items.as_mut().and_then(Iterator::next);
        self.inside = false;
        next
    }

    #[inline(always)]
    fn all(&mut self, made: &mut u64, sink: &mut impl FnMut(u32, I::Item) -> bool) -> bool {
        while let Some(y) = self.next() {
            *made += 1;
            if !sink(self.row, y) || *made >= POURED_AT_ONCE {
                return false;
            }
        }
        self.items = None;
        true
    }
}

impl<C, A, I, F> Kernel<C> for FlatK<A, F, I::IntoIter>
where
    C: Column,
    A: Kernel<C>,
    I: IntoIterator<IntoIter: Send, Item: Send + 'static>,
    F: FnMut(A::Out) -> I + Send,
{
    type Out = I::Item;
    type Room = <A::Room as Room>::Less;
    const EXPANDS: bool = true;
    const KEEPS: bool = false;
    stateless!();

    #[inline(always)]
    fn run(
        &mut self,
        input: &mut C,
        at: &mut u64,
        sink: &mut impl FnMut(u32, I::Item) -> bool,
    ) -> bool {
        let Self { a, f, open, made, hit, .. } = self;
        let mut tally = Tally::new(made);
        if let Some((row, items)) = open.take() {
            let mut pour = Pour { row, items: Some(items), inside: false, open, hit };
            if !pour.all(&mut tally.n, sink) {
                return false;
            }
        }
        a.run(input, at, &mut |row, x| {
            let items = guarded!(hit, f(x).into_iter());
            let mut pour = Pour { row, items: Some(items), inside: false, open, hit };
            pour.all(&mut tally.n, sink)
        })
    }

    fn policies(&mut self, on: &[OnError], n: &mut usize) {
        self.a.policies(on, n);
        *n += 1;
    }

    fn counts(&self, rows_in: u64, each: &mut dyn FnMut(Counts)) -> u64 {
        let rows_in = self.a.counts(rows_in, each);
        each(Counts { rows_in, rows_out: self.made, failed: self.failed });
        self.made
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
