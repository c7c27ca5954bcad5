//! `futures` streams as sources, and sources as streams.

use flux_io_core::{Batch, ConnectorDescriptor, Filled, IoCx, Source, StageError};
use futures_core::Stream;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The items of a stream, in order. A fill gives what is ready and waits only when nothing is. The
/// stream must not depend on a runtime that the engine is not.
pub fn stream<S>(items: S) -> FromStream<S>
where
    S: Stream<Item: Send + 'static> + Send,
{
    FromStream(Box::pin(items))
}

/// Like [`stream`], of results: an error ends the run unless the stage's policy tries again.
pub fn try_stream<S, T, E>(items: S) -> TryFromStream<S>
where
    S: Stream<Item = Result<T, E>> + Send,
    T: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    TryFromStream { items: Box::pin(items), failed: None }
}

/// See [`stream`].
pub struct FromStream<S>(Pin<Box<S>>);

impl<S> fmt::Debug for FromStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromStream")
    }
}

/// See [`try_stream`].
pub struct TryFromStream<S> {
    items: Pin<Box<S>>,
    /// An error that came behind rows and waits for the next fill.
    failed: Option<StageError>,
}

impl<S> fmt::Debug for TryFromStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryFromStream")
    }
}

impl<S: Stream<Item: Send + 'static> + Send> Source for FromStream<S> {
    type Col = Vec<S::Item>;

    async fn fill(&mut self, out: &mut Batch<Self::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        let mut given = 0;
        let filled = poll_fn(|task| {
            while given < cx.max_rows() {
                match self.0.as_mut().poll_next(task) {
                    Poll::Pending if given == 0 => return Poll::Pending,
                    Poll::Pending => break,
                    Poll::Ready(Some(row)) => out.col.push(row),
                    Poll::Ready(None) => return Poll::Ready(Filled::End),
                }
                given += 1;
            }
            Poll::Ready(Filled::More)
        });
        Ok(filled.await)
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("stream", "")
    }
}

impl<S, T, E> Source for TryFromStream<S>
where
    S: Stream<Item = Result<T, E>> + Send,
    T: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Col = Vec<T>;

    async fn fill(&mut self, out: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<Filled, StageError> {
        if let Some(e) = self.failed.take() {
            return Err(e);
        }
        let mut given = 0;
        poll_fn(|task| {
            while given < cx.max_rows() {
                match self.items.as_mut().poll_next(task) {
                    Poll::Pending if given == 0 => return Poll::Pending,
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(row))) => out.col.push(row),
                    Poll::Ready(None) => return Poll::Ready(Ok(Filled::End)),
                    Poll::Ready(Some(Err(e))) => {
                        let e = StageError::permanent("the stream gave an error").because(e);
                        if given == 0 {
                            return Poll::Ready(Err(e));
                        }
                        self.failed = Some(e);
                        break;
                    }
                }
                given += 1;
            }
            Poll::Ready(Ok(Filled::More))
        })
        .await
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("stream", "")
    }
}

type Filling<S> = Pin<
    Box<dyn Future<Output = (S, Batch<<S as Source>::Col>, Result<Filled, StageError>)> + Send>,
>;

/// The batches of a source as a stream, without stages and without an engine. It takes the source
/// by value, so that nobody else reads from it, and ends behind its end or its first error. Rows
/// that could not be read are an error here.
pub fn into_stream<S: Source + 'static>(source: S, cx: IoCx) -> IntoStream<S> {
    IntoStream { filling: Some(fill(source, cx.clone())), cx, failed: None }
}

/// See [`into_stream`].
pub struct IntoStream<S: Source> {
    filling: Option<Filling<S>>,
    cx: IoCx,
    failed: Option<StageError>,
}

impl<S: Source> Unpin for IntoStream<S> {}

impl<S: Source> fmt::Debug for IntoStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoStream")
    }
}

fn fill<S: Source + 'static>(mut source: S, cx: IoCx) -> Filling<S> {
    Box::pin(async move {
        let mut batch = Batch::default();
        let filled = source.fill(&mut batch, &cx).await;
        (source, batch, filled)
    })
}

impl<S: Source + 'static> Stream for IntoStream<S> {
    type Item = Result<Batch<S::Col>, StageError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(e) = this.failed.take() {
                return Poll::Ready(Some(Err(e)));
            }
            let Some(filling) = &mut this.filling else { return Poll::Ready(None) };
            let (mut source, batch, filled) = std::task::ready!(filling.as_mut().poll(cx));
            this.filling = None;
            let fault = source.take_faults().into_iter().next();
            match (filled, fault) {
                (Err(e), _) => this.failed = Some(e),
                (Ok(_), Some(fault)) => this.failed = Some(StageError::permanent(fault.what)),
                (Ok(Filled::More), None) => this.filling = Some(fill(source, this.cx.clone())),
                (Ok(Filled::End), None) => {}
            }
            if !batch.is_empty() {
                return Poll::Ready(Some(Ok(batch)));
            }
        }
    }
}
