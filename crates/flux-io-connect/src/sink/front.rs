//! Rows taken from the front of a batch one by one; those not taken go back when it is dropped.

use flux_io_core::Batch;
use std::collections::VecDeque;

/// The rows of a batch that are not taken yet (law I5). Neither way copies rows or allocates: a
/// `VecDeque` made of a `Vec` is the same memory, and back again its rows move to the front. What
/// the batch says of rows that were taken goes with them.
pub(crate) struct Front<'a, T: Send + 'static> {
    batch: &'a mut Batch<Vec<T>>,
    before: usize,
    pub(crate) rest: VecDeque<T>,
}

impl<'a, T: Send + 'static> Front<'a, T> {
    pub(crate) fn of(batch: &'a mut Batch<Vec<T>>) -> Self {
        let rest: VecDeque<T> = std::mem::take(&mut batch.col).into();
        Self { batch, before: rest.len(), rest }
    }

    /// Rows that were taken.
    pub(crate) fn taken(&self) -> usize {
        self.before.saturating_sub(self.rest.len())
    }
}

impl<T: Send + 'static> Drop for Front<'_, T> {
    fn drop(&mut self) {
        let taken = self.taken();
        self.batch.col = std::mem::take(&mut self.rest).into();
        if taken > 0 && taken < self.before {
            self.batch.meta.advance(taken);
        }
    }
}
