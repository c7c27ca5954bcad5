//! Rows awaited one by one from an async function.

use flux_io_core::{Batch, ConnectorDescriptor, Filled, IoCx, Source, StageError};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What an async function of [`from_fn`] may give: `Option<T>` or `Result<Option<T>, StageError>`,
/// where `None` is the end.
pub trait Answer: Send {
    /// The row.
    type Item: Send + 'static;

    /// As a result.
    ///
    /// # Errors
    /// The function's.
    fn into_result(self) -> Result<Option<Self::Item>, StageError>;
}

impl<T: Send + 'static> Answer for Option<T> {
    type Item = T;

    fn into_result(self) -> Result<Self, StageError> {
        Ok(self)
    }
}

impl<T: Send + 'static> Answer for Result<Option<T>, StageError> {
    type Item = T;

    fn into_result(self) -> Self {
        self
    }
}

/// Rows from an async function that is called for each: `None` is the end.
///
/// A fill gives the rows that are ready and waits only when there is none. The call under way is
/// kept in the source, so a dropped fill loses nothing. The function must not depend on a runtime
/// that the engine is not.
///
/// ```
/// # use flux_io_connect::source;
/// let mut n = 0;
/// let three = source::from_fn(move || {
///     n += 1;
///     std::future::ready((n <= 3).then_some(n))
/// });
/// # let _ = three;
/// ```
pub fn from_fn<F, Fut>(call: F) -> FromFn<F, Fut>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output: Answer> + Send,
{
    FromFn { call, under_way: Box::pin(None), failed: None }
}

/// See [`from_fn`].
pub struct FromFn<F, Fut> {
    call: F,
    /// One allocation for all calls.
    under_way: Pin<Box<Option<Fut>>>,
    /// An error that came behind rows and waits for the next fill.
    failed: Option<StageError>,
}

impl<F, Fut> fmt::Debug for FromFn<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromFn")
    }
}

impl<F, Fut> FromFn<F, Fut>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: Answer>,
{
    fn poll_row(&mut self, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        if self.under_way.is_none() {
            let next = (self.call)();
            self.under_way.set(Some(next));
        }
        let Some(call) = self.under_way.as_mut().as_pin_mut() else { return Poll::Pending };
        let answer = std::task::ready!(call.poll(cx));
        self.under_way.set(None);
        Poll::Ready(answer)
    }
}

impl<F, Fut> Source for FromFn<F, Fut>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output: Answer> + Send,
{
    type Col = Vec<<Fut::Output as Answer>::Item>;

    async fn fill(&mut self, out: &mut Batch<Self::Col>, cx: &IoCx) -> Result<Filled, StageError> {
        if let Some(e) = self.failed.take() {
            return Err(e);
        }
        let mut given = 0;
        poll_fn(|task| {
            while given < cx.max_rows() {
                match self.poll_row(task) {
                    Poll::Pending if given == 0 => return Poll::Pending,
                    Poll::Pending => break,
                    Poll::Ready(answer) => match answer.into_result() {
                        Ok(Some(row)) => out.col.push(row),
                        Ok(None) => return Poll::Ready(Ok(Filled::End)),
                        Err(e) if given == 0 => return Poll::Ready(Err(e)),
                        Err(e) => {
                            self.failed = Some(e);
                            break;
                        }
                    },
                }
                given += 1;
            }
            Poll::Ready(Ok(Filled::More))
        })
        .await
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("async function", "")
    }
}
