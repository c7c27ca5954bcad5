//! Pipelines that end in a `futures` stream.

use flux_io_connect::channel::{RunStream, outlet, run_stream};
use flux_io_core::Column;
use flux_io_flow::{Chain, Ended, Flow};
use std::future::Future;

/// Adds [`into_stream`](IntoStreamExt::into_stream) to flows of rows by value.
pub trait IntoStreamExt<'env, T> {
    /// Ends the flow in a stream of its rows, which drives the run: `run` starts it on an engine
    /// whose runs are futures, such as [`engine::Tokio`](crate::engine::Tokio).
    ///
    /// At most `capacity` rows (at least 1) wait for the reader, besides what the plan's edges
    /// hold: a slow reader holds the pipeline back. A run that fails or is stopped is an error
    /// behind its last row. Dropping the stream aborts the run; to drain it, stop it gracefully by
    /// its handle and read on to the end.
    ///
    /// ```
    /// use flux_io::prelude::*;
    /// use std::future::poll_fn;
    /// use std::pin::Pin;
    /// # use futures_core::Stream;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let flow = Pipeline::new().source("numbers", source::iter(0..3_u64)).map("double", |x| 2 * x);
    /// let mut rows = flow.into_stream("out", 64, |end| engine::Tokio::new().run(end));
    /// let mut all = Vec::new();
    /// while let Some(row) = poll_fn(|cx| Pin::new(&mut rows).poll_next(cx)).await {
    ///     all.push(row?);
    /// }
    /// assert_eq!(all, [0, 2, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn into_stream<F, R, E>(
        self,
        name: &str,
        capacity: usize,
        run: impl FnOnce(Ended<'env>) -> F,
    ) -> RunStream<F, T, R, E>
    where
        F: Future<Output = Result<R, E>>;
}

impl<'env, C, K, T> IntoStreamExt<'env, T> for Flow<'env, C, K>
where
    C: Column,
    K: Chain<C, Col = Vec<T>> + 'env,
    T: Send + 'static,
{
    fn into_stream<F, R, E>(
        self,
        name: &str,
        capacity: usize,
        run: impl FnOnce(Ended<'env>) -> F,
    ) -> RunStream<F, T, R, E>
    where
        F: Future<Output = Result<R, E>>,
    {
        let (sink, rows) = outlet(capacity);
        run_stream(run(self.sink(name, sink)), rows)
    }
}
