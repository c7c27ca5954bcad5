//! A run and the rows it gives, as one stream.

use super::receive::Receiver;
use flux_io_core::StageError;
use futures_core::Stream;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a stream of a run ended before its rows did.
#[derive(Debug)]
pub enum StreamError<E> {
    /// The run failed.
    Run(E),
    /// The run was stopped before its end: rows are missing.
    Stopped(StageError),
}

impl<E> fmt::Display for StreamError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run(_) => "the run behind the stream failed",
            Self::Stopped(_) => "the run behind the stream was stopped, so rows are missing",
        })
    }
}

impl<E: Error + 'static> Error for StreamError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Run(e) => Some(e),
            Self::Stopped(e) => Some(e),
        }
    }
}

/// The rows of a run as a stream: whoever polls it drives the run. See [`run_stream`].
pub struct RunStream<F, T, R, E> {
    run: Option<Pin<Box<F>>>,
    rows: Receiver<T>,
    /// The channel has ended; with an error if the run was stopped.
    over: Option<Option<StageError>>,
    ended: Option<Result<R, E>>,
}

impl<F, T, R, E> fmt::Debug for RunStream<F, T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.run.is_some() { "running" } else { "ended" };
        write!(f, "RunStream({state}, {} rows wait)", self.rows.waiting())
    }
}

/// The rows that `run` sends to `rows`, as a stream; `run` is the future of a run whose sink is the
/// other end of an [`outlet`](super::outlet).
///
/// The stream polls the run whenever it is polled; it ends when both the rows and the run have. At
/// most the outlet's capacity waits in it, so a slow reader holds the run back. A run that fails or
/// is stopped is an error behind its last row, once.
///
/// Dropping the stream drops the run: with an engine that aborts on that, sinks give up what they
/// have not committed. To drain instead, stop the run gracefully by its handle and read on to the
/// end.
pub fn run_stream<F, T, R, E>(run: F, rows: Receiver<T>) -> RunStream<F, T, R, E>
where
    F: Future<Output = Result<R, E>>,
{
    RunStream { run: Some(Box::pin(run)), rows, over: None, ended: None }
}

impl<F, T, R, E> RunStream<F, T, R, E> {
    /// What the run answered, once the stream has ended without an error of the run.
    #[must_use]
    pub fn report(&self) -> Option<&R> {
        self.ended.as_ref().and_then(|r| r.as_ref().ok())
    }
}

impl<F, T, R, E> Unpin for RunStream<F, T, R, E> {}

impl<F, T, R, E> Stream for RunStream<F, T, R, E>
where
    F: Future<Output = Result<R, E>>,
{
    type Item = Result<T, StreamError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(run) = &mut this.run
            && let Poll::Ready(ended) = run.as_mut().poll(cx)
        {
            this.run = None;
            this.ended = Some(ended);
        }
        if this.over.is_none() {
            match std::task::ready!(this.rows.poll_recv(cx)) {
                Ok(Some(row)) => return Poll::Ready(Some(Ok(row))),
                Ok(None) => this.over = Some(None),
                Err(e) => this.over = Some(Some(e)),
            }
        }
        if this.run.is_some() {
            return Poll::Pending;
        }
        // The run's own failure says more than the channel it left behind.
        let cut = this.over.as_mut().and_then(Option::take);
        match this.ended.take() {
            Some(Err(e)) => Poll::Ready(Some(Err(StreamError::Run(e)))),
            ended => {
                this.ended = ended;
                Poll::Ready(cut.map(|e| Err(StreamError::Stopped(e))))
            }
        }
    }
}
