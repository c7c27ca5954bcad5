//! An output port without its column type: what stages with several ports are joined to.

use crate::draft::Shared;
use crate::flow::{Flow, same};
use crate::kernel::Raw;
use flux_io_core::{Column, ColumnType, WrongColumn};
use std::any::type_name;
use std::fmt;

/// The end of a flow, untyped; see [`Pipeline::attach`](crate::Pipeline::attach).
#[must_use = "an output that leads nowhere is a fault of the plan"]
pub struct Port<'env> {
    pub(crate) draft: Shared<'env>,
    pub(crate) at: (usize, usize),
    column: ColumnType,
}

impl fmt::Debug for Port<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({:?} of {})", self.at, self.column.name)
    }
}

impl<'env> Port<'env> {
    pub(crate) const fn new(draft: Shared<'env>, at: (usize, usize), column: ColumnType) -> Self {
        Self { draft, at, column }
    }

    pub(crate) fn is_of(&self, draft: &Shared<'env>) -> bool {
        same(&self.draft, draft)
    }

    /// The column it carries.
    #[must_use]
    pub const fn column(&self) -> ColumnType {
        self.column
    }

    /// The flow behind it, if it is of column `C`.
    ///
    /// # Errors
    /// [`WrongColumn`] when it is of another one.
    pub fn into_flow<C: Column>(self) -> Result<Flow<'env, C, Raw>, WrongColumn> {
        if self.column == ColumnType::of::<C>() {
            Ok(Flow::behind(self.draft, self.at))
        } else {
            Err(WrongColumn { want: type_name::<C>(), got: self.column.name })
        }
    }
}
