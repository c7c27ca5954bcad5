//! A sink with two-phase commit whose books survive a crash of the run.

use super::lock;
use flux_io_core::{Batch, ConnectorDescriptor, Epoch, IoCx, Sink, StageError, TransactionalSink};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What a [`TransactionalVec`] keeps outside the run: its "disk". Cheap to clone.
#[derive(Debug)]
pub struct Books<T>(Arc<Mutex<BooksState<T>>>);

#[derive(Debug)]
struct BooksState<T> {
    visible: Vec<T>,
    prepared: BTreeMap<Epoch, Vec<T>>,
    committed: Vec<Epoch>,
}

impl<T> Clone for Books<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Books<T> {
    fn default() -> Self {
        let (visible, prepared) = (Vec::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(BooksState { visible, prepared, committed: Vec::new() })))
    }
}

impl<T: Clone> Books<T> {
    /// Rows anybody can see.
    #[must_use]
    pub fn visible(&self) -> Vec<T> {
        lock(&self.0).visible.clone()
    }

    /// Epochs prepared and neither committed nor given up.
    #[must_use]
    pub fn prepared(&self) -> Vec<Epoch> {
        lock(&self.0).prepared.keys().copied().collect()
    }

    /// Epochs committed, in order, each once.
    #[must_use]
    pub fn committed(&self) -> Vec<Epoch> {
        lock(&self.0).committed.clone()
    }
}

/// A sink whose rows become visible at `commit` or `close`.
#[derive(Debug)]
pub struct TransactionalVec<T> {
    open: Vec<T>,
    books: Books<T>,
}

impl<T> TransactionalVec<T> {
    /// A sink that keeps `books`.
    #[must_use]
    pub fn new(books: &Books<T>) -> Self {
        Self { open: Vec::new(), books: books.clone() }
    }
}

impl<T: Clone + Send + Sync + 'static> Sink for TransactionalVec<T> {
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, _cx: &IoCx) -> Result<(), StageError> {
        self.open.append(&mut batch.col);
        Ok(())
    }

    async fn close(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        let mut b = lock(&self.books.0);
        let prepared = std::mem::take(&mut b.prepared);
        b.visible.extend(prepared.into_values().flatten());
        b.visible.append(&mut self.open);
        Ok(())
    }

    fn abort(&mut self) {
        self.open.clear();
    }

    async fn prepare(&mut self, epoch: Epoch, _cx: &IoCx) -> Result<(), StageError> {
        let rows = std::mem::take(&mut self.open);
        lock(&self.books.0).prepared.entry(epoch).or_default().extend(rows);
        Ok(())
    }

    async fn commit(&mut self, epoch: Epoch, _cx: &IoCx) -> Result<(), StageError> {
        let mut b = lock(&self.books.0);
        if let Some(rows) = b.prepared.remove(&epoch) {
            b.visible.extend(rows);
            b.committed.push(epoch);
        }
        Ok(())
    }

    async fn recover(&mut self, done: Option<Epoch>, cx: &IoCx) -> Result<(), StageError> {
        self.open.clear();
        let epochs = self.books.prepared();
        for e in epochs {
            if Some(e) <= done {
                self.commit(e, cx).await?;
            } else {
                lock(&self.books.0).prepared.remove(&e);
            }
        }
        Ok(())
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        let transactional = true;
        ConnectorDescriptor { transactional, ..ConnectorDescriptor::new("books", "rows") }
    }
}

impl<T: Clone + Send + Sync + 'static> TransactionalSink for TransactionalVec<T> {}
