//! The items of an iterator.

use flux_io_core::{Batch, ConnectorDescriptor, Filled, IoCx, Source, StageError};
use std::fmt;
use std::iter::Fuse;

/// See [`iter()`].
pub struct Iter<I>(Fuse<I>);

impl<I> fmt::Debug for Iter<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter")
    }
}

/// The items of an iterator, in order. It is pulled only when rows are wanted, never waits, and has
/// no positions.
pub fn iter<I>(items: I) -> Iter<I::IntoIter>
where
    I: IntoIterator<Item: Send + 'static, IntoIter: Send>,
{
    Iter(items.into_iter().fuse())
}

impl<I: Iterator<Item: Send + 'static> + Send> Source for Iter<I> {
    type Col = Vec<I::Item>;

    async fn fill(&mut self, out: &mut Batch<Self::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        Ok(self.take(out, cx.max_rows()))
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<Self::Col>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        Some(Ok(self.take(out, max_rows)))
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("iterator", "")
    }
}

impl<I: Iterator<Item: Send + 'static>> Iter<I> {
    fn take(&mut self, out: &mut Batch<Vec<I::Item>>, max: usize) -> Filled {
        let before = out.col.len();
        out.col.extend(self.0.by_ref().take(max));
        if out.col.len() - before < max { Filled::End } else { Filled::More }
    }
}
