//! `async_map`: a call for every row, several in flight, polled by the stage's own task.

mod clock;
mod node;
mod order;
mod slot;
mod wakes;

use crate::effect::Call;
use crate::flow::{Chain, Flow};
use crate::kernel::{Kernel, Raw};
use crate::words::transform;
use flux_io_core::{Body, Column, ColumnType, Route, RowError, StageNode};
use node::AsyncMap;
use std::time::Duration;

/// How the calls of an `async_map` are made. A number is a limit, and all else by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    limit: usize,
    ordered: bool,
    timeout: Option<Duration>,
    hedge: Option<Hedge>,
}

/// When a call is made a second time although the first one is still under way: the slowest of many
/// equal servers then no longer decides. For calls that may be repeated without harm.
///
/// Source: Dean, Barroso, "The tail at scale", CACM 56(2), 2013.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// How long there is no answer before the next call; a high percentile of the usual time.
    pub after: Duration,
    /// Calls on top of the first one.
    pub extra: u32,
}

impl Calls {
    /// At most this many rows (at least 1) whose calls are in flight or whose results wait for
    /// those before them. Hedges come on top: [`Hedge::extra`] for each row.
    #[must_use]
    pub const fn limit(rows: usize) -> Self {
        let limit = if rows == 0 { 1 } else { rows };
        Self { limit, ordered: true, timeout: None, hedge: None }
    }

    /// Results go on as they come, not in the order of their rows. A watermark still stays behind
    /// the rows before it. The order then depends on the schedule.
    #[must_use]
    pub const fn unordered(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// An attempt without an answer for this long is dropped and fails as transient.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A slow call is made again; the first result counts, the other calls are dropped. An attempt
    /// fails when all its calls have failed.
    #[must_use]
    pub const fn hedge(mut self, hedge: Hedge) -> Self {
        self.hedge = Some(hedge);
        self
    }
}

impl From<usize> for Calls {
    fn from(rows: usize) -> Self {
        Self::limit(rows)
    }
}

/// The rows of a column, by value.
type RowOf<C> = <Raw as Kernel<C>>::Out;

impl<'env, C: Column, K: Chain<C> + 'env> Flow<'env, C, K> {
    /// Every row becomes the value of the call that `f` makes for it: a future, or an
    /// [`Effect`](crate::effect::Effect). At most `calls` are in flight, polled by the stage's own
    /// task on whatever engine runs it: a future must not block, and must not need a runtime that
    /// the engine is not.
    ///
    /// ```
    /// # use flux_io_flow::{Pipeline, Calls};
    /// # use flux_io_core::{Batch, Filled, IoCx, Source, StageError, RowError};
    /// # use std::time::Duration;
    /// # struct Numbers;
    /// # impl Source for Numbers {
    /// #     type Col = Vec<u64>;
    /// #     async fn fill(&mut self, _: &mut Batch<Vec<u64>>, _: &IoCx) -> Result<Filled, StageError> {
    /// #         Ok(Filled::End)
    /// #     }
    /// # }
    /// let calls = Calls::limit(8).timeout(Duration::from_secs(1));
    /// let prices = Pipeline::new().source("numbers", Numbers).async_map("price", calls, |id| {
    ///     let id = *id;
    ///     async move { Ok::<u64, RowError>(id * 2) }
    /// });
    /// # let _ = prices;
    /// ```
    ///
    /// A call that fails, panics or takes too long costs its own row, by the stage's `on_error`:
    /// transient failures are tried again by its retry policy, with the engine's timers, and the
    /// row is kept as the original of its dead letter. Under policy Fail, ordered, the rows before
    /// the first one that failed have gone on.
    ///
    /// Rows keep their metadata and watermark positions; controls wait for the calls before them,
    /// so a snapshot has nothing to save. When the run is aborted, futures are dropped and the
    /// environment's [`Cancel`](crate::effect::Cancel) is cancelled.
    pub fn async_map<X, U, E, F>(
        self,
        name: &str,
        calls: impl Into<Calls>,
        mut f: F,
    ) -> Flow<'env, Vec<U>, Raw>
    where
        Raw: Kernel<K::Col>,
        F: FnMut(&RowOf<K::Col>) -> X + Send + 'env,
        X: Call<Value = Result<U, E>> + 'env,
        U: Send + 'static,
        E: Into<RowError> + 'env,
    {
        let calls = calls.into();
        let out = ColumnType::of::<Vec<U>>();
        let make = move |p: &crate::draft::Place<'_>| {
            let call = move |row: &RowOf<K::Col>, env: &crate::effect::Env| f(row).call(env);
            let node = AsyncMap::<K::Col, U, _, _>::new(call, calls, p.node.on_error);
            Body::One(Box::new(node))
        };
        self.then(|c| describe(name, calls, c, out), Route::Forward, Box::new(make))
    }
}

fn describe(name: &str, calls: Calls, c: ColumnType, out: ColumnType) -> StageNode {
    let mut n = transform(name, "async_map", c, out);
    n.hints.waits = true;
    let mut say = |word: &str, value: String| n.params.insert(word.to_owned(), value);
    say("calls", calls.limit.to_string());
    say("order", if calls.ordered { "of the rows" } else { "as results come" }.to_owned());
    if let Some(timeout) = calls.timeout {
        say("timeout_ns", timeout.as_nanos().to_string());
    }
    if let Some(hedge) = calls.hedge {
        say("hedge_after_ns", hedge.after.as_nanos().to_string());
        say("hedge_extra", hedge.extra.to_string());
    }
    let depends = [
        (!calls.ordered, "order of results"),
        (calls.timeout.is_some(), "timeout of calls"),
        (calls.hedge.is_some(), "hedged calls"),
    ];
    let depends = depends.into_iter().filter(|d| d.0).map(|d| d.1.to_owned());
    n.hints.schedule_dependent.extend(depends);
    n
}
