//! Ends of flows, and what an engine accepts.

use crate::draft::Shared;
use crate::flow::same;
use crate::lower::finish;
use crate::pipeline::Pipeline;
use crate::validate::PlanFaults;
use flux_io_core::ExecutionPlan;
use std::fmt;

/// A flow that has an end. The plan is that of the whole pipeline it belongs to.
#[must_use = "nothing runs until the plan is run"]
pub struct Ended<'env> {
    draft: Shared<'env>,
}

impl fmt::Debug for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ended({:?})", self.draft.borrow())
    }
}

impl<'env> Ended<'env> {
    pub(crate) const fn new(draft: Shared<'env>) -> Self {
        Self { draft }
    }

    /// This end and another one of the same pipeline.
    pub fn and(self, other: Self) -> Self {
        if !same(&self.draft, &other.draft) {
            self.draft.borrow_mut().fault(
                "P014",
                0,
                "two ends of different pipelines were joined".to_owned(),
                "describe both flows from one `Pipeline`",
            );
        }
        self
    }

    /// Validates and lowers the whole pipeline.
    ///
    /// # Errors
    /// All faults of the description at once.
    pub fn plan(self) -> Result<ExecutionPlan<'env>, PlanFaults> {
        finish(&self.draft)
    }
}

/// What an engine runs: a plan, or what becomes one.
#[diagnostic::on_unimplemented(
    message = "this flow has no sink, so it cannot run",
    label = "ends here without a sink",
    note = "end it with `.sink(name, ..)`, `.fold(name, ..)` or `.discard(name)`"
)]
pub trait Runnable<'env> {
    /// The plan.
    ///
    /// # Errors
    /// All faults of the description at once.
    fn into_plan(self) -> Result<ExecutionPlan<'env>, PlanFaults>;
}

impl<'env> Runnable<'env> for Ended<'env> {
    fn into_plan(self) -> Result<ExecutionPlan<'env>, PlanFaults> {
        self.plan()
    }
}

impl<'env> Runnable<'env> for Pipeline<'env> {
    fn into_plan(self) -> Result<ExecutionPlan<'env>, PlanFaults> {
        self.plan()
    }
}

impl<'env> Runnable<'env> for ExecutionPlan<'env> {
    fn into_plan(self) -> Result<Self, PlanFaults> {
        Ok(self)
    }
}
