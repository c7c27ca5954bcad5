//! Sources and sinks whose type is not known: one allocation a call, that is a batch.

use flux_io_core::{
    Batch, BoxFuture, ByteColumn, CheckpointToken, Column, ConnectorDescriptor, Epoch, ErrorRecord,
    Filled, IoCx, Sink, Source, StageError, Timestamp,
};
use std::fmt;

trait DynRows<C: Column>: Send {
    fn fill<'a>(
        &'a mut self,
        out: &'a mut Batch<C>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<Filled, StageError>>;
    fn try_fill(&mut self, out: &mut Batch<C>, rows: usize) -> Option<Result<Filled, StageError>>;
    fn take_faults(&mut self) -> Vec<ErrorRecord>;
    fn watermark(&self) -> Option<Timestamp>;
    fn position(&self) -> Option<CheckpointToken>;
    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError>;
    fn descriptor(&self) -> ConnectorDescriptor;
}

impl<S: Source> DynRows<S::Col> for S {
    fn fill<'a>(
        &'a mut self,
        out: &'a mut Batch<S::Col>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<Filled, StageError>> {
        Box::pin(Source::fill(self, out, cx))
    }
    fn try_fill(
        &mut self,
        out: &mut Batch<S::Col>,
        rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        Source::try_fill(self, out, rows)
    }
    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        Source::take_faults(self)
    }
    fn watermark(&self) -> Option<Timestamp> {
        Source::watermark(self)
    }
    fn position(&self) -> Option<CheckpointToken> {
        Source::position(self)
    }
    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        Source::seek(self, token)
    }
    fn descriptor(&self) -> ConnectorDescriptor {
        Source::descriptor(self)
    }
}

/// Any source of rows in a column `C`, of bytes by default. It keeps what the source in it promises.
pub struct AnySource<C = ByteColumn>(Box<dyn DynRows<C>>);

impl<C: Column> AnySource<C> {
    /// Forgets a source's type.
    pub fn new(source: impl Source<Col = C> + 'static) -> Self {
        Self(Box::new(source))
    }
}

impl<C: Column> fmt::Debug for AnySource<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnySource({:?})", self.0.descriptor())
    }
}

impl<C: Column> Source for AnySource<C> {
    type Col = C;

    async fn fill(&mut self, out: &mut Batch<C>, cx: &IoCx) -> Result<Filled, StageError> {
        self.0.fill(out, cx).await
    }
    fn try_fill(&mut self, out: &mut Batch<C>, rows: usize) -> Option<Result<Filled, StageError>> {
        self.0.try_fill(out, rows)
    }
    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        self.0.take_faults()
    }
    fn watermark(&self) -> Option<Timestamp> {
        self.0.watermark()
    }
    fn position(&self) -> Option<CheckpointToken> {
        self.0.position()
    }
    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        self.0.seek(token)
    }
    fn descriptor(&self) -> ConnectorDescriptor {
        self.0.descriptor()
    }
}

trait DynTake<C: Column>: Send {
    fn write<'a>(
        &'a mut self,
        batch: &'a mut Batch<C>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    fn flush<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>>;
    fn holds_back(&self) -> bool;
    fn close<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>>;
    fn abort(&mut self);
    fn prepare<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    fn commit<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    fn recover<'a>(
        &'a mut self,
        done: Option<Epoch>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>>;
    fn descriptor(&self) -> ConnectorDescriptor;
}

impl<K: Sink> DynTake<K::Col> for K {
    fn write<'a>(
        &'a mut self,
        batch: &'a mut Batch<K::Col>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(Sink::write(self, batch, cx))
    }
    fn flush<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(Sink::flush(self, cx))
    }
    fn holds_back(&self) -> bool {
        Sink::holds_back(self)
    }
    fn close<'a>(&'a mut self, cx: &'a IoCx) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(Sink::close(self, cx))
    }
    fn abort(&mut self) {
        Sink::abort(self);
    }
    fn prepare<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(Sink::prepare(self, epoch, cx))
    }
    fn commit<'a>(
        &'a mut self,
        epoch: Epoch,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(Sink::commit(self, epoch, cx))
    }
    fn recover<'a>(
        &'a mut self,
        done: Option<Epoch>,
        cx: &'a IoCx,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        Box::pin(Sink::recover(self, done, cx))
    }
    fn descriptor(&self) -> ConnectorDescriptor {
        Sink::descriptor(self)
    }
}

/// Any sink of rows in a column `C`, of bytes by default. It keeps what the sink in it promises.
pub struct AnySink<C = ByteColumn>(Box<dyn DynTake<C>>);

impl<C: Column> AnySink<C> {
    /// Forgets a sink's type.
    pub fn new(sink: impl Sink<Col = C> + 'static) -> Self {
        Self(Box::new(sink))
    }
}

impl<C: Column> fmt::Debug for AnySink<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnySink({:?})", self.0.descriptor())
    }
}

impl<C: Column> Sink for AnySink<C> {
    type Col = C;

    async fn write(&mut self, batch: &mut Batch<C>, cx: &IoCx) -> Result<(), StageError> {
        self.0.write(batch, cx).await
    }
    fn holds_back(&self) -> bool {
        self.0.holds_back()
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.0.flush(cx).await
    }
    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.0.close(cx).await
    }
    fn abort(&mut self) {
        self.0.abort();
    }
    async fn prepare(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.0.prepare(epoch, cx).await
    }
    async fn commit(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.0.commit(epoch, cx).await
    }
    async fn recover(&mut self, done: Option<Epoch>, cx: &IoCx) -> Result<(), StageError> {
        self.0.recover(done, cx).await
    }
    fn descriptor(&self) -> ConnectorDescriptor {
        self.0.descriptor()
    }
}
