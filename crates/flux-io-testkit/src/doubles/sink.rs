//! Sinks: a shelf that keeps rows, and a wrapper that fails on schedule.

use super::{Fault, Faults, lock};
use flux_io_core::{Batch, Column, ConnectorDescriptor, Epoch, IoCx, Sink, StageError};
use std::sync::{Arc, Mutex};

/// What a [`CollectSink`] took, seen from outside. Cheap to clone.
#[derive(Debug)]
pub struct Shelf<T>(Arc<Mutex<ShelfState<T>>>);

#[derive(Debug)]
struct ShelfState<T> {
    rows: Vec<T>,
    writes: Vec<usize>,
    closed: u32,
    aborted: u32,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        let state = ShelfState { rows: Vec::new(), writes: Vec::new(), closed: 0, aborted: 0 };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl<T> Shelf<T> {
    /// Takes the rows out.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut lock(&self.0).rows)
    }

    /// Takes the first row out.
    #[must_use]
    pub fn take_first(&self) -> Option<T> {
        let mut s = lock(&self.0);
        if s.rows.is_empty() { None } else { Some(s.rows.remove(0)) }
    }

    /// Rows there.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0).rows.len()
    }

    /// Whether nothing came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of each write, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<usize> {
        lock(&self.0).writes.clone()
    }

    /// Calls of `close`.
    #[must_use]
    pub fn closed(&self) -> u32 {
        lock(&self.0).closed
    }

    /// Calls of `abort`.
    #[must_use]
    pub fn aborted(&self) -> u32 {
        lock(&self.0).aborted
    }

    /// Puts a row.
    pub fn put(&self, row: T) {
        lock(&self.0).rows.push(row);
    }
}

impl<T: Clone> Shelf<T> {
    /// A copy of the rows.
    #[must_use]
    pub fn rows(&self) -> Vec<T> {
        lock(&self.0).rows.clone()
    }
}

/// Keeps the rows it takes, on a [`Shelf`].
#[derive(Debug)]
pub struct CollectSink<T> {
    shelf: Shelf<T>,
}

impl<T> CollectSink<T> {
    /// A sink, and the shelf where its rows will be.
    #[must_use]
    pub fn new() -> (Self, Shelf<T>) {
        let shelf = Shelf::default();
        (Self { shelf: shelf.clone() }, shelf)
    }

    /// A sink that adds to `shelf`.
    #[must_use]
    pub fn onto(shelf: &Shelf<T>) -> Self {
        Self { shelf: shelf.clone() }
    }
}

impl<T: Send + 'static> Sink for CollectSink<T> {
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, _cx: &IoCx) -> Result<(), StageError> {
        let mut s = lock(&self.shelf.0);
        s.writes.push(batch.col.len());
        s.rows.append(&mut batch.col);
        Ok(())
    }

    async fn close(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        lock(&self.shelf.0).closed += 1;
        Ok(())
    }

    fn holds_back(&self) -> bool {
        false
    }

    fn abort(&mut self) {
        lock(&self.shelf.0).aborted += 1;
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("shelf", "rows")
    }
}

/// A sink whose calls of `write` fail, wait or panic on schedule.
#[derive(Debug)]
pub struct FlakySink<S> {
    inner: S,
    writes: Faults,
    closes: Faults,
    prepares: Faults,
    commits: Faults,
}

impl<S> FlakySink<S> {
    /// `inner`, with these faults in `write`.
    pub fn new(inner: S, writes: Faults) -> Self {
        let none = Faults::none;
        Self { inner, writes, closes: none(), prepares: none(), commits: none() }
    }

    /// Adds faults in `close`.
    #[must_use]
    pub fn closing(mut self, faults: Faults) -> Self {
        self.closes = faults;
        self
    }

    /// Adds faults in `prepare`.
    #[must_use]
    pub fn preparing(mut self, faults: Faults) -> Self {
        self.prepares = faults;
        self
    }

    /// Adds faults in `commit`.
    #[must_use]
    pub fn committing(mut self, faults: Faults) -> Self {
        self.commits = faults;
        self
    }
}

/// Takes the first `n` rows of a batch, or all if there are fewer.
fn front<C: Column>(batch: &mut Batch<C>, n: usize) -> C {
    let to: Vec<u32> = (0..batch.len()).map(|i| u32::from(i >= n)).collect();
    let (mut head, mut rest) = (C::default(), C::default());
    batch.col.scatter(&to, &mut [&mut head, &mut rest]);
    batch.col = rest;
    head
}

impl<S: Sink> Sink for FlakySink<S> {
    type Col = S::Col;

    async fn write(&mut self, batch: &mut Batch<S::Col>, cx: &IoCx) -> Result<(), StageError> {
        let (call, fault) = self.writes.begin();
        if let Some(f) = fault {
            if let Fault::After(n) = f {
                let mut head = Batch::of(front(batch, n));
                let answer = self.inner.write(&mut head, cx).await;
                head.col.append(&mut batch.col);
                batch.col = head.col;
                answer?;
            }
            f.strike("sink", call).await?;
        }
        self.inner.write(batch, cx).await
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.inner.flush(cx).await
    }

    fn holds_back(&self) -> bool {
        self.inner.holds_back()
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        let (call, fault) = self.closes.begin();
        if let Some(f) = fault {
            f.strike("sink close", call).await?;
        }
        self.inner.close(cx).await
    }

    fn abort(&mut self) {
        self.inner.abort();
    }

    async fn prepare(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        let (call, fault) = self.prepares.begin();
        if let Some(f) = fault {
            f.strike("sink prepare", call).await?;
        }
        self.inner.prepare(epoch, cx).await
    }

    async fn commit(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        let (call, fault) = self.commits.begin();
        if let Some(f) = fault {
            f.strike("sink commit", call).await?;
        }
        self.inner.commit(epoch, cx).await
    }
}
