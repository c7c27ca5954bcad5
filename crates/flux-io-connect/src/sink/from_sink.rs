//! `futures` sinks as sinks.

use super::Front;
use flux_io_core::{Batch, ConnectorDescriptor, ErrorClass, ErrorKind, IoCx, StageError};
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::Poll;

/// Rows into a `futures` sink, in order, each when the sink is ready. Cancel-safe: rows it was not
/// ready for stay in the batch. `flush` and `close` are the sink's. After an error it is not
/// touched again.
pub fn from_sink<T, K>(sink: K) -> FromSink<T, K>
where
    K: futures_sink::Sink<T> + Send,
{
    FromSink { sink: Box::pin(sink), broken: false, row: PhantomData }
}

/// See [`from_sink`].
pub struct FromSink<T, K> {
    sink: Pin<Box<K>>,
    broken: bool,
    row: PhantomData<fn(T)>,
}

impl<T, K> fmt::Debug for FromSink<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromSink")
    }
}

impl<T, K> FromSink<T, K>
where
    K: futures_sink::Sink<T>,
    K::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn usable(&self) -> Result<(), StageError> {
        if self.broken {
            let what = "the sink failed before; nothing more can be written";
            return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, what));
        }
        Ok(())
    }

    fn failed(&mut self, e: K::Error) -> StageError {
        self.broken = true;
        StageError::new(ErrorClass::Permanent, ErrorKind::Io, "the sink failed").because(e)
    }
}

impl<T, K> flux_io_core::Sink for FromSink<T, K>
where
    T: Send + 'static,
    K: futures_sink::Sink<T> + Send,
    K::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, _cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        let mut rows = Front::of(batch);
        let written = poll_fn(|task| {
            while !rows.rest.is_empty() {
                if let Err(e) = std::task::ready!(self.sink.as_mut().poll_ready(task)) {
                    return Poll::Ready(Err(e));
                }
                let Some(row) = rows.rest.pop_front() else { break };
                if let Err(e) = self.sink.as_mut().start_send(row) {
                    return Poll::Ready(Err(e));
                }
            }
            Poll::Ready(Ok(()))
        });
        let written = written.await;
        written.map_err(|e| self.failed(e))
    }

    async fn flush(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        let done = poll_fn(|task| self.sink.as_mut().poll_flush(task)).await;
        done.map_err(|e| self.failed(e))
    }

    async fn close(&mut self, _cx: &IoCx) -> Result<(), StageError> {
        self.usable()?;
        let done = poll_fn(|task| self.sink.as_mut().poll_close(task)).await;
        done.map_err(|e| self.failed(e))
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("futures sink", "")
    }
}
