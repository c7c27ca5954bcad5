//! Blocking work on state that belongs to a source or sink, without losing it to a dropped future.
//!
//! The state moves into the job and comes back with its result. The job in flight is kept in the
//! connector, not in the future that waits for it, so that dropping that future loses nothing
//! (law I1): the next call waits for the same job.
//! A job that may wait for somebody outside is started as such, so that it holds up no other.

use flux_io_core::{Blocking, ErrorClass, ErrorKind, IoCx, StageError};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// What a job blocks for, and so where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A disk, which answers.
    Disk,
    /// Somebody who may never answer: the other end of a pipe, a terminal.
    Outside,
}

/// State that is either here or in one blocking job that gives an `R`.
pub(crate) struct Offload<S, R> {
    here: Option<S>,
    away: Option<Blocking<(S, R)>>,
}

impl<S, R> fmt::Debug for Offload<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.away.is_some() { "Offload(at work)" } else { "Offload(idle)" })
    }
}

impl<S: Send + 'static, R: Send + 'static> Offload<S, R> {
    pub(crate) const fn new(state: S) -> Self {
        Self { here: Some(state), away: None }
    }

    /// The state, unless a job has it.
    pub(crate) const fn here(&mut self) -> Option<&mut S> {
        self.here.as_mut()
    }

    pub(crate) const fn is_busy(&self) -> bool {
        self.away.is_some()
    }

    /// Starts a job unless one is under way; then nothing happens.
    pub(crate) fn start(
        &mut self,
        cx: &IoCx,
        place: Place,
        job: impl FnOnce(&mut S) -> R + Send + 'static,
    ) {
        if let Some(mut state) = self.here.take() {
            let job = move || {
                let r = job(&mut state);
                (state, r)
            };
            self.away = Some(match place {
                Place::Disk => cx.blocking(job),
                Place::Outside => cx.outside(job),
            });
        }
    }

    /// Waits for the job under way; `None` when there is none. Cancel-safe.
    ///
    /// # Errors
    /// When the job panicked or the engine dropped it: the state is gone for good.
    pub(crate) async fn finish(&mut self) -> Result<Option<R>, StageError> {
        if self.away.is_none() && self.here.is_some() {
            return Ok(None);
        }
        let done = poll_fn(|cx| match &mut self.away {
            Some(job) => Pin::new(job).poll(cx),
            None => Poll::Ready(None),
        });
        let done = done.await;
        self.away = None;
        let Some((state, r)) = done else { return Err(lost()) };
        self.here = Some(state);
        Ok(Some(r))
    }

    /// Like `finish`, but only looks: `None` when the job is still at work or there is none.
    ///
    /// # Errors
    /// As `finish`.
    pub(crate) fn look(&mut self) -> Result<Option<R>, StageError> {
        let Some(job) = &mut self.away else { return Ok(None) };
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(done) = Pin::new(job).poll(&mut cx) else { return Ok(None) };
        self.away = None;
        let Some((state, r)) = done else { return Err(lost()) };
        self.here = Some(state);
        Ok(Some(r))
    }
}

fn lost() -> StageError {
    let what = "blocking work on a file or pipe panicked, or no thread could be had for it; start the \
                run again";
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what)
}
