//! Passes rows on as they are, without a copy.

use flux_io_core::{Batch, Column, Control, Out, Stage, StageCx, StageError, Step};
use std::fmt;
use std::marker::PhantomData;

/// The identity on rows of column `C`.
pub struct Pass<C>(PhantomData<fn() -> C>);

impl<C> Default for Pass<C> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<C> fmt::Debug for Pass<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

impl<C: Column> Stage for Pass<C> {
    type In = C;
    type Out = C;

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, C>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, C>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.control(Control::Passed(number));
        Ok(Step::Done)
    }
}
