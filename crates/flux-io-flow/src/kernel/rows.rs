//! `map_rows` and `try_map_rows`: the head of a segment over row views of any column.
//!
//! Rows stay in the column, which the driver clears, so a failed row of bytes can be kept as it was.

use super::FullRoom;
use super::guard::guarded;
use super::trouble::{Held, Trouble, own_blame};
use super::{Kernel, Room, RowFault, Waiting, stateless};
use flux_io_core::{Column, Counts, OnError, Original, RowError};
use std::fmt;

/// The operator of `map_rows`.
pub struct RowK<F> {
    f: F,
    failed: u64,
    hit: bool,
}

impl<F> fmt::Debug for RowK<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowK")
    }
}

impl<F> RowK<F> {
    pub(crate) const fn new(f: F) -> Self {
        Self { f, failed: 0, hit: false }
    }
}

impl<F: Clone> Clone for RowK<F> {
    fn clone(&self) -> Self {
        Self::new(self.f.clone())
    }
}

impl<C, U, F> Kernel<C> for RowK<F>
where
    C: Column,
    U: Send + 'static,
    F: for<'a> FnMut(C::Ref<'a>) -> U + Send,
{
    type Out = U;
    type Room = <FullRoom as Room>::Less;
    const EXPANDS: bool = false;
    const KEEPS: bool = true;
    stateless!(head);

    #[inline(always)]
    fn run(&mut self, input: &mut C, at: &mut u64, sink: &mut impl FnMut(u32, U) -> bool) -> bool {
        let Self { f, hit, .. } = self;
        let rows = input.rows();
        while (*at as usize) < rows {
            let i = *at as usize;
            *at += 1;
            let y = guarded!(hit, f(input.row(i)));
            if !sink(i as u32, y) {
                return false;
            }
        }
        true
    }

    fn policies(&mut self, _on: &[OnError], n: &mut usize) {
        *n += 1;
    }

    fn counts(&self, rows_in: u64, each: &mut dyn FnMut(Counts)) -> u64 {
        let rows_out = rows_in - self.failed;
        each(Counts { rows_in, rows_out, failed: self.failed });
        rows_out
    }

    fn faults(&mut self, n: &mut usize, _each: &mut dyn FnMut(usize, RowFault)) {
        *n += 1;
    }

    fn blame(&mut self, n: &mut usize) -> Option<(usize, Original)> {
        own_blame(&mut self.hit, &mut self.failed, n)
    }

    fn waiting(&self, n: &mut usize) -> Option<Waiting> {
        *n += 1;
        None
    }
}

/// The operator of `try_map_rows`.
pub struct TryRowK<F> {
    f: F,
    trouble: Trouble<()>,
    hit: bool,
}

impl<F> fmt::Debug for TryRowK<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryRowK")
    }
}

impl<F> TryRowK<F> {
    pub(crate) fn new(f: F) -> Self {
        Self { f, trouble: Trouble::default(), hit: false }
    }
}

impl<F: Clone> Clone for TryRowK<F> {
    fn clone(&self) -> Self {
        let mut twin = Self::new(self.f.clone());
        twin.trouble.on = self.trouble.on;
        twin
    }
}

impl<F> TryRowK<F> {
    /// A row that failed: to be tried again, or given up. Says whether the loop may go on.
    #[cold]
    #[inline(never)]
    fn refuse(trouble: &mut Trouble<()>, row: u32, attempts: u32, error: RowError) -> bool {
        if trouble.on.retry_after(error.class, attempts, 0).is_some() {
            trouble.held = Some(Held { row, item: (), attempts, class: error.class });
            return false;
        }
        trouble.give_up(RowFault { row, error, original: Original::None, attempts })
    }
}

impl<C, U, E, F> Kernel<C> for TryRowK<F>
where
    C: Column,
    U: Send + 'static,
    E: Into<RowError>,
    F: for<'a> FnMut(C::Ref<'a>) -> Result<U, E> + Send,
{
    type Out = U;
    type Room = <FullRoom as Room>::Less;
    const EXPANDS: bool = false;
    const KEEPS: bool = true;
    stateless!(head);

    #[inline(always)]
    fn run(&mut self, input: &mut C, at: &mut u64, sink: &mut impl FnMut(u32, U) -> bool) -> bool {
        let Self { f, trouble, hit } = self;
        let rows = input.rows();
        // A row between two attempts is still in the column, and was taken already.
        let mut attempts = 1;
        if let Some(h) = trouble.held.take() {
            *at = u64::from(h.row);
            attempts = h.attempts + 1;
        }
        while (*at as usize) < rows {
            let i = *at as usize;
            *at += 1;
            let go = match guarded!(hit, f(input.row(i)).map_err(Into::into)) {
                Ok(y) => sink(i as u32, y),
                Err(e) => Self::refuse(trouble, i as u32, attempts, e),
            };
            attempts = 1;
            if !go {
                return false;
            }
        }
        true
    }

    fn policies(&mut self, on: &[OnError], n: &mut usize) {
        self.trouble.policy(on, n);
    }

    fn counts(&self, rows_in: u64, each: &mut dyn FnMut(Counts)) -> u64 {
        let waiting = u64::from(self.trouble.held.is_some());
        let rows_out = rows_in - self.trouble.failed - waiting;
        each(Counts { rows_in, rows_out, failed: self.trouble.failed });
        rows_out
    }

    fn faults(&mut self, n: &mut usize, each: &mut dyn FnMut(usize, RowFault)) {
        self.trouble.drain(n, each);
    }

    fn blame(&mut self, n: &mut usize) -> Option<(usize, Original)> {
        own_blame(&mut self.hit, &mut self.trouble.failed, n)
    }

    fn waiting(&self, n: &mut usize) -> Option<Waiting> {
        self.trouble.waiting(n)
    }
}
