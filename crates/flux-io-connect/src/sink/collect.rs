//! Rows collected in memory, for tests and small results.

use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{
    Batch, Column, ConnectorDescriptor, ErrorClass, ErrorKind, IoCx, Sink, StageError,
};
use std::fmt;

/// A sink that keeps rows of `T` in memory. See [`collect`].
pub type Collect<T> = CollectColumn<Vec<T>>;
/// What a [`Collect`] has kept.
pub type Collected<T> = CollectedColumn<Vec<T>>;

/// More than this is not collected in a column other than a `Vec`: [`flux_io_core::ByteColumn`]
/// holds 4 GiB.
const COLUMN_BYTES: usize = u32::MAX as usize;

struct State<C> {
    col: C,
    cap: usize,
    max_bytes: usize,
    closed: bool,
    aborted: bool,
}

/// Collects rows in memory: the sink, and the handle that reads them at any time.
///
/// ```
/// # use flux_io_connect::sink;
/// let (sink, rows) = sink::collect::<u64>();
/// assert_eq!(rows.snapshot(), [] as [u64; 0]);
/// # drop(sink);
/// ```
#[must_use]
pub fn collect<T: Send + 'static>() -> (Collect<T>, Collected<T>) {
    pair(usize::MAX)
}

/// Like [`collect`], for rows of any column, up to 4 GiB.
#[must_use]
pub fn collect_column<C: Column>() -> (CollectColumn<C>, CollectedColumn<C>) {
    pair(COLUMN_BYTES)
}

fn pair<C: Column>(max_bytes: usize) -> (CollectColumn<C>, CollectedColumn<C>) {
    let state =
        State { col: C::default(), cap: usize::MAX, max_bytes, closed: false, aborted: false };
    let shared = Arc::new(Mutex::new(state));
    (CollectColumn(Arc::clone(&shared)), CollectedColumn(shared))
}

/// A sink that keeps rows of column `C` in memory. See [`collect_column`].
pub struct CollectColumn<C>(Arc<Mutex<State<C>>>);

/// What a [`CollectColumn`] has kept. Clones read the same rows.
pub struct CollectedColumn<C>(Arc<Mutex<State<C>>>);

impl<C> Clone for CollectedColumn<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Column> fmt::Debug for CollectColumn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectColumn({} rows)", lock(&self.0).col.rows())
    }
}

impl<C: Column> fmt::Debug for CollectedColumn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectedColumn({} rows)", self.len())
    }
}

impl<C: Column> CollectColumn<C> {
    /// Refuses batches that would make it hold more than `rows` rows.
    #[must_use]
    pub fn with_cap(self, rows: usize) -> Self {
        lock(&self.0).cap = rows;
        self
    }
}

impl<C: Column> CollectedColumn<C> {
    /// A copy of what is there. Rows are cloned under the lock, so a clone must not ask for this
    /// collection itself.
    #[must_use]
    pub fn snapshot(&self) -> C
    where
        C: Clone,
    {
        lock(&self.0).col.clone()
    }

    /// Takes what is there; later rows are collected anew.
    #[must_use]
    pub fn take(&self) -> C {
        std::mem::take(&mut lock(&self.0).col)
    }

    /// Forgets what is there.
    pub fn clear(&self) {
        drop(self.take());
    }

    /// Rows that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0).col.rows()
    }

    /// Whether no row is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the sink was closed: everything is there.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.0).closed
    }

    /// Whether the run was given up: what is there is not everything.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        lock(&self.0).aborted
    }
}

fn refused(what: impl Into<String>) -> StageError {
    StageError::new(ErrorClass::Permanent, ErrorKind::User, what)
}

impl<C: Column> Sink for CollectColumn<C> {
    type Col = C;

    /// Takes all rows or, over the cap or after the end, none.
    async fn write(&mut self, batch: &mut Batch<C>, _cx: &IoCx) -> Result<(), StageError> {
        let mut s = lock(&self.0);
        if s.closed || s.aborted {
            return Err(refused("rows came after this collection was closed"));
        }
        if batch.len() > s.cap.saturating_sub(s.col.rows()) {
            let text = format!(
                "{} rows are collected, {} more came and the cap is {}; raise the cap, take rows \
                 out, or write to a file",
                s.col.rows(),
                batch.len(),
                s.cap
            );
            return Err(refused(text));
        }
        if s.col.bytes().saturating_add(batch.col.bytes()) > s.max_bytes {
            let text = format!(
                "{} bytes are collected and the limit is {}; take rows out, or write to a file",
                s.col.bytes(),
                s.max_bytes
            );
            return Err(refused(text));
        }
        s.col.append(&mut batch.col);
        Ok(())
    }

    fn holds_back(&self) -> bool {
        false
    }

    async fn close(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        lock(&self.0).closed = true;
        Ok(())
    }

    fn abort(&mut self) {
        lock(&self.0).aborted = true;
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("memory", "")
    }
}
