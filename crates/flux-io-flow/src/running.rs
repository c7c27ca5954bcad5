//! `scan`: the word that keeps a running state between rows.

use crate::codec::Codec;
use crate::draft::OpDraft;
use crate::flow::Flow;
use crate::kernel::{Kernel, Next, ScanK};
use flux_io_core::Column;

impl<'env, C: Column, K> Flow<'env, C, K> {
    /// Every row becomes `f(&mut state, row)`, with one state that starts as `init` and runs
    /// through all rows in their order. It is fused like `map`.
    ///
    /// A row on which `f` panics is that row's failure; what it had changed in the state by then
    /// stays changed. A segment with a `scan` is not `.parallel(n)`: put the parallel words into a
    /// segment of their own with [`Flow::fusion_barrier`], or keep a state per key with an
    /// accumulator.
    ///
    /// A run with checkpoints needs [`Flow::durable`] behind it; without, the plan says that each
    /// checkpoint is given up here.
    ///
    /// ```
    /// # use flux_io_flow::Pipeline;
    /// # use flux_io_core::{Batch, Filled, IoCx, Source, StageError};
    /// # struct Numbers;
    /// # impl Source for Numbers {
    /// #     type Col = Vec<u64>;
    /// #     async fn fill(&mut self, _: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<Filled, StageError> {
    /// #         Ok(Filled::End)
    /// #     }
    /// # }
    /// let sums = Pipeline::new().source("numbers", Numbers).scan("running sum", 0, |sum, x| {
    ///     *sum += x;
    ///     *sum
    /// });
    /// # let _ = sums;
    /// ```
    pub fn scan<S, U, F>(self, name: &str, init: S, f: F) -> Next<'env, C, ScanK<K, S, F>>
    where
        K: Kernel<C> + 'env,
        S: Send + 'env,
        U: Send + 'static,
        F: FnMut(&mut S, K::Out) -> U + Send + 'env,
    {
        let mut op = OpDraft::new(name, "scan");
        op.hints.stateful = true;
        op.durable = Some(false);
        self.operator_of(op, |a| ScanK::new(a, init, f))
    }
}

impl<'env, C: Column, A, S, F> Flow<'env, C, ScanK<A, S, F>> {
    /// The state of the `scan` before it is part of checkpoints: `save` appends it to the bytes,
    /// `load` reads it back, or answers `None` when the bytes are no state. Both are called at
    /// checkpoints only, never with rows.
    pub fn durable<G, L>(mut self, save: G, load: L) -> Self
    where
        G: Fn(&S, &mut Vec<u8>) + Send + 'static,
        L: Fn(&[u8]) -> Option<S> + Send + 'static,
    {
        self.kernel.codec = Some(Codec::new(save, load));
        if let Some(op) = self.ops.last_mut() {
            op.durable = Some(true);
        }
        self
    }
}
