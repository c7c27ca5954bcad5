//! Rows taken from the front of a batch one by one; those not taken go back when it is dropped.

use std::collections::VecDeque;

/// The rows of a column that are not taken yet (law I5). Neither way copies rows or allocates: a
/// `VecDeque` made of a `Vec` is the same memory, and back again its rows move to the front.
pub(crate) struct Front<'a, T> {
    col: &'a mut Vec<T>,
    pub(crate) rest: VecDeque<T>,
}

impl<'a, T> Front<'a, T> {
    pub(crate) fn of(col: &'a mut Vec<T>) -> Self {
        let rest = std::mem::take(col).into();
        Self { col, rest }
    }
}

impl<T> Drop for Front<'_, T> {
    fn drop(&mut self) {
        *self.col = std::mem::take(&mut self.rest).into();
    }
}
