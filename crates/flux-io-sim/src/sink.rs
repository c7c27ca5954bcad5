//! Faults around a user's sink.

use crate::fault::Fault;
use crate::world::World;
use flux_io_core::{AnyBatch, Batch, Column, ConnectorDescriptor, Epoch, IoCx, Sink, StageError};
use std::fmt;
use std::sync::Arc;

/// Transient errors in a row, at most: fewer than the attempts of the default retry policy.
const MOST_IN_ROW: u32 = 2;

/// A digest of one row, for the trace.
type Digest<C> = Box<dyn for<'a> Fn(<C as Column>::Ref<'a>) -> u64 + Send>;

/// A sink with drawn delays, errors and partial writes.
///
/// Rows of a partial write are taken from the front and the rest stays in the batch (I5).
pub struct SimSink<S: Sink> {
    inner: S,
    name: String,
    world: Arc<World>,
    errors_in_row: u32,
    digest: Option<Digest<S::Col>>,
}

impl<S: Sink> fmt::Debug for SimSink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimSink({})", self.name)
    }
}

impl<S: Sink> SimSink<S> {
    pub(crate) fn new(world: Arc<World>, name: &str, inner: S) -> Self {
        if !inner.descriptor().transactional {
            world.plain_sink(name);
        }
        Self { inner, name: name.to_owned(), world, errors_in_row: 0, digest: None }
    }

    /// Mixes a digest of every row that the sink accepts into the trace hash, so that two runs of
    /// one stream are compared by content too.
    #[must_use]
    pub fn traced(
        mut self,
        digest: impl for<'a> Fn(<S::Col as Column>::Ref<'a>) -> u64 + Send + 'static,
    ) -> Self {
        self.digest = Some(Box::new(digest));
        self
    }

    fn note(&self, rows: &Batch<S::Col>) {
        let Some(digest) = &self.digest else { return };
        for i in 0..rows.len() {
            let d = digest(rows.col.row(i));
            self.world.trace(|t, _| t.mix(d));
        }
    }

    async fn accept(&mut self, batch: &mut Batch<S::Col>, cx: &IoCx) -> Result<(), StageError> {
        self.note(batch);
        self.inner.write(batch, cx).await
    }

    /// Writes the first `n` rows only; the others stay in `batch`, and so does what the sink inside
    /// refuses, in front of them. The metadata is the caller's to put right.
    async fn part(
        &mut self,
        n: usize,
        batch: &mut Batch<S::Col>,
        cx: &IoCx,
    ) -> Result<(), StageError> {
        let meta = batch.meta.clone();
        let owners: Vec<u32> = (0..batch.len()).map(|i| u32::from(i >= n)).collect();
        let mut whole = AnyBatch::new(std::mem::take(batch));
        let mut parts = [whole.empty(), whole.empty()];
        whole.scatter(&owners, &mut parts)?;
        let [mut front, mut rest] = parts;
        let front = front.get_mut::<S::Col>()?;
        let answer = self.accept(front, cx).await;
        batch.col = std::mem::take(&mut front.col);
        batch.col.append(&mut rest.get_mut::<S::Col>()?.col);
        batch.meta = meta;
        answer
    }
}

impl<S: Sink> Sink for SimSink<S> {
    type Col = S::Col;

    async fn write(&mut self, batch: &mut Batch<S::Col>, cx: &IoCx) -> Result<(), StageError> {
        let world = Arc::clone(&self.world);
        if world.strikes(Fault::SlowWrite) {
            world.took(Fault::SlowWrite, &self.name);
            cx.sleep_until(cx.now().plus(world.delay())).await;
        }
        if world.strikes(Fault::FailWrite) {
            world.took(Fault::FailWrite, &self.name);
            return Err(StageError::permanent("injected write error"));
        }
        if self.errors_in_row < MOST_IN_ROW {
            if world.strikes(Fault::TransientWrite) {
                self.errors_in_row += 1;
                world.took(Fault::TransientWrite, &self.name);
                return Err(StageError::transient("injected transient write error"));
            }
            if batch.len() > 1 && world.strikes(Fault::PartialWrite) {
                self.errors_in_row += 1;
                let n = 1 + world.choose(crate::Kind::Split, batch.len() as u32 - 1) as usize;
                self.part(n, batch, cx).await?;
                world.took(Fault::PartialWrite, &self.name);
                return Err(StageError::transient("injected partial write"));
            }
        }
        if !batch.is_empty() && world.strikes(Fault::LeaveRows) {
            let n = world.choose(crate::Kind::Split, batch.len() as u32) as usize;
            world.took(Fault::LeaveRows, &self.name);
            return if n == 0 { Ok(()) } else { self.part(n, batch, cx).await };
        }
        self.errors_in_row = 0;
        self.accept(batch, cx).await
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.inner.flush(cx).await
    }

    fn holds_back(&self) -> bool {
        self.inner.holds_back()
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.inner.close(cx).await
    }

    fn abort(&mut self) {
        // A process that dies tells nobody.
        if !self.world.is_dying() {
            self.inner.abort();
        }
    }

    async fn prepare(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.inner.prepare(epoch, cx).await
    }

    async fn commit(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.inner.commit(epoch, cx).await
    }

    async fn recover(&mut self, done: Option<Epoch>, cx: &IoCx) -> Result<(), StageError> {
        self.inner.recover(done, cx).await
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        self.inner.descriptor()
    }
}
