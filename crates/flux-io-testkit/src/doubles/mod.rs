//! Small real implementations of the contracts: what laws and tests run on.
//!
//! Nothing here mocks: a [`BoundedPool`] bounds, a [`TransactionalVec`] commits. Each one passes
//! the laws of its own contract (`tests/it/doubles.rs`).

mod fault;
mod host;
mod memory;
mod observer;
mod script;
mod sink;
mod snapshots;
mod source;
mod transactional;

pub use fault::{Fault, Faults};
pub use host::{ManualEngine, ManualHost, Run, Stuck};
pub use memory::{BoundedPool, FlakySpill, MemorySpill};
pub use observer::{Noted, RecordingObserver};
pub use script::{Line, ScriptSource};
pub use sink::{CollectSink, FlakySink, Shelf};
pub use snapshots::MemorySnapshots;
pub use source::{FlakySource, VecSource};
pub use transactional::{Books, TransactionalVec};

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub(crate) fn lock<T: ?Sized>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A door that opens once, and that any number of futures wait for. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    wakers: Vec<Waker>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it.
    pub fn open(&self) {
        let mut g = lock(&self.0);
        g.open = true;
        let wakers = std::mem::take(&mut g.wakers);
        drop(g);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        lock(&self.0).open
    }

    /// Waits until it is open. Cancel-safe.
    #[must_use]
    pub fn wait(&self) -> Passage {
        Passage(self.clone())
    }
}

/// The wait for a [`Gate`].
#[derive(Debug)]
pub struct Passage(Gate);

impl Future for Passage {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut g = lock(&self.0.0);
        if g.open {
            return Poll::Ready(());
        }
        g.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

/// Is pending once, and wakes itself.
#[derive(Debug, Default)]
pub struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
