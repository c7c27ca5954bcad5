//! `scan`: every row becomes what a function of it and a running state gives.
//!
//! The operator is not `Clone`: several instances would each run over a part of the rows, and the
//! number of instances would show in the output.

use super::guard::guarded;
use super::trouble::own_blame;
use super::{Kernel, Room, RowFault, Waiting};
use crate::codec::Codec;
use flux_io_core::{Column, Counts, OnError, Original, StageError};
use std::fmt;

/// The operator of `scan` with a running state of type `S`.
pub struct ScanK<A, S, F> {
    a: A,
    f: F,
    state: S,
    pub(crate) codec: Option<Codec<S>>,
    failed: u64,
    hit: bool,
}

impl<A: fmt::Debug, S, F> fmt::Debug for ScanK<A, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScanK").field(&self.a).finish()
    }
}

impl<A, S, F> ScanK<A, S, F> {
    pub(crate) const fn new(a: A, state: S, f: F) -> Self {
        Self { a, f, state, codec: None, failed: 0, hit: false }
    }
}

impl<C, A, S, U, F> Kernel<C> for ScanK<A, S, F>
where
    C: Column,
    A: Kernel<C>,
    S: Send,
    U: Send + 'static,
    F: FnMut(&mut S, A::Out) -> U + Send,
{
    type Out = U;
    type Room = <A::Room as Room>::Less;
    const EXPANDS: bool = A::EXPANDS;
    const KEEPS: bool = A::KEEPS;

    #[inline(always)]
    fn run(&mut self, input: &mut C, at: &mut u64, sink: &mut impl FnMut(u32, U) -> bool) -> bool {
        let Self { a, f, state, hit, .. } = self;
        a.run(input, at, &mut |r, x| {
            let y = guarded!(hit, f(state, x));
            sink(r, y)
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

    fn save(&self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.a.save(to)?;
        match &self.codec {
            Some(codec) => codec.save(&self.state, to),
            None => Err(StageError::permanent(
                "a `scan` keeps a state that has no codec; say `.durable(save, load)` behind it",
            )),
        }
    }

    fn load(&mut self, from: &mut &[u8]) -> Result<(), StageError> {
        self.a.load(from)?;
        if let Some(codec) = &self.codec {
            self.state = codec.load(from)?;
        }
        Ok(())
    }
}
