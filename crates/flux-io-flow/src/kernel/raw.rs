//! The head of a segment: takes rows out of a column by value.

use super::FullRoom;
use super::{Kernel, RowFault, Waiting, stateless};
use flux_io_core::{Column, Counts, OnError, Original, RangeColumn, raw::take_rows_while};
use std::ops::Range;

/// No operator yet: the rows of the column as they are.
///
/// It gives values for `Vec<T>` and [`RangeColumn`]; other columns start with row views.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

/// The parts of `Kernel` that a head without operators has nothing to say to.
macro_rules! no_operators {
    () => {
        type Room = FullRoom;
        const EXPANDS: bool = false;
        const KEEPS: bool = true;
        stateless!(head);

        fn policies(&mut self, _on: &[OnError], _n: &mut usize) {}
        fn counts(&self, rows_in: u64, _each: &mut dyn FnMut(Counts)) -> u64 {
            rows_in
        }
        fn faults(&mut self, _n: &mut usize, _each: &mut dyn FnMut(usize, RowFault)) {}
        fn blame(&mut self, _n: &mut usize) -> Option<(usize, Original)> {
            None
        }
        fn waiting(&self, _n: &mut usize) -> Option<Waiting> {
            None
        }
    };
}

impl<T: Send + 'static> Kernel<Vec<T>> for Raw {
    type Out = T;
    no_operators!();

    #[inline(always)]
    fn run(
        &mut self,
        input: &mut Vec<T>,
        at: &mut u64,
        sink: &mut impl FnMut(u32, T) -> bool,
    ) -> bool {
        take_rows_while(input, at, usize::MAX, sink)
    }
}

/// Writes back how far a run was read, also on unwinding.
struct Back<'a> {
    next: u64,
    range: &'a mut Range<u64>,
    at: &'a mut u64,
}

impl Drop for Back<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.at += self.next - self.range.start;
        self.range.start = self.next;
    }
}

impl Kernel<RangeColumn> for Raw {
    type Out = u64;
    no_operators!();

    #[inline(always)]
    fn run(
        &mut self,
        input: &mut RangeColumn,
        at: &mut u64,
        sink: &mut impl FnMut(u32, u64) -> bool,
    ) -> bool {
        if input.take_run(0).is_none() {
            return scattered(input, at, sink);
        }
        let (start, end) = (input.range.start, input.range.end);
        let base = *at as u32;
        let mut back = Back { next: start, range: &mut input.range, at };
        while back.next < end {
            let x = back.next;
            back.next += 1;
            if !sink(base + (x - start) as u32, x) {
                return false;
            }
        }
        true
    }
}

/// Rows that no longer form one run are read in place; `at` is the place.
///
/// Inlined, although it is rare: a call that takes `sink` would make everything behind it escape,
/// and the loop of the run would no longer vectorise.
#[inline(always)]
fn scattered(
    input: &mut RangeColumn,
    at: &mut u64,
    sink: &mut impl FnMut(u32, u64) -> bool,
) -> bool {
    while (*at as usize) < input.rows() {
        let i = *at as usize;
        *at += 1;
        if !sink(i as u32, input.row(i)) {
            return false;
        }
    }
    true
}
