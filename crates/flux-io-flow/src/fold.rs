//! The end of a flow in a value: operators and a fold as one loop.

use crate::drive::{Drive, Operators, Ran};
use crate::kernel::Kernel;
use crate::kernel::guard::Keep;
use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{AnyBatch, Column, Counts, Node, Outbox, StageCx, StageError, Step};
use std::fmt;
use std::marker::PhantomData;

/// A value that is there when the run is over.
pub struct Value<A>(Arc<Mutex<Option<A>>>);

impl<A> fmt::Debug for Value<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}

impl<A> Clone for Value<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> Value<A> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    fn put(&self, value: Option<A>) {
        *lock(&self.0) = value;
    }

    /// Takes the value: `None` before the end of the input, after a run that did not get there,
    /// and after it was taken.
    #[must_use]
    pub fn take(&self) -> Option<A> {
        lock(&self.0).take()
    }
}

/// A kernel and a fold: a node without outputs.
pub(crate) struct FoldNode<C, K, A, F> {
    kernel: K,
    fold: F,
    acc: Option<A>,
    value: Value<A>,
    ops: Operators,
    rows: u64,
    behind: u64,
    begun: bool,
    at: u64,
    lost: Vec<u32>,
    column: PhantomData<fn() -> C>,
}

impl<C: Column, K: Kernel<C>, A, F> FoldNode<C, K, A, F> {
    /// The last name of `ops` is the fold's.
    pub(crate) fn new(mut kernel: K, fold: F, init: A, value: Value<A>, ops: Operators) -> Self {
        kernel.policies(&ops.on, &mut 0);
        Self {
            kernel,
            fold,
            acc: Some(init),
            value,
            ops,
            rows: 0,
            behind: 0,
            begun: false,
            at: 0,
            lost: Vec::new(),
            column: PhantomData,
        }
    }
}

impl<C, K, A, F> Node for FoldNode<C, K, A, F>
where
    C: Column,
    K: Kernel<C>,
    A: Send,
    F: FnMut(&mut A, K::Out) + Send,
{
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        _outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let input = input.get_mut::<C>()?;
        if !self.begun {
            self.at = 0;
        }
        self.lost.clear();
        let before = self.at;
        let (fold, acc) = (&mut self.fold, &mut self.acc);
        let (ops, at, lost) = (&self.ops, &mut self.at, &mut self.lost);
        let mut drive = Drive { ops, at, lost, behind: &mut self.behind };
        let ran = drive.run(&mut self.kernel, &mut input.col, &input.meta, cx, |k, c, at| {
            let mut kept = Keep::new(acc);
            match &mut kept.value {
                Some(a) => k.run(c, at, &mut |_, y| {
                    fold(a, y);
                    true
                }),
                None => true,
            }
        });
        self.rows += self.at - before;
        self.begun = matches!(ran, Ok(Ran::Stopped | Ran::Wait(_)));
        match ran? {
            Ran::Wait(at) => Ok(Step::Wait(at)),
            // By many faults, or by many items of one row.
            Ran::Stopped => Ok(Step::Wait(cx.now())),
            Ran::All => Ok(Step::Done),
        }
    }

    fn on_end(&mut self, _outs: &mut [Outbox], _cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.value.put(self.acc.take());
        Ok(Step::Done)
    }

    /// The states of the operators. The value itself is not in it: a restored run folds anew.
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.kernel.save(to)
    }

    fn restore(&mut self, mut from: &[u8]) -> Result<(), StageError> {
        self.kernel.load(&mut from)
    }

    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        if self.ops.names.len() > 1 {
            let mut n = 0;
            let rows_in = self.kernel.counts(self.rows, &mut |c| {
                each(n, c);
                n += 1;
            });
            each(n, Counts { rows_in, rows_out: 0, failed: self.behind });
        }
    }
}
