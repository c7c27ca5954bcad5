//! Effects: values that come later, described before they are run.
//!
//! An [`Effect`] is a function from an environment ([`Env`]: time, timers, cancellation, chance) to
//! an asynchronous value. It is described with [`Effect::map`], [`Effect::and_then`],
//! [`Effect::zip`], [`Effect::retry`] and [`Effect::timeout`], all without an allocation, and runs
//! where something gives it an environment: in [`Flow::async_map`](crate::Flow::async_map), or by
//! hand with [`Effect::run`]. Whoever writes one names no runtime, no clock and no timer.
//!
//! ```
//! use flux_io_flow::effect;
//! use flux_io_core::{Retry, RowError};
//! use std::time::Duration;
//!
//! let price = effect::of(|_env| async { Ok::<u64, RowError>(21) })
//!     .map(|price| price.map(|p| p * 2))
//!     .timeout(Duration::from_secs(1))
//!     .retry(Retry::default());
//! # let _ = price;
//! ```

mod cancel;
mod combine;
mod env;

pub use cancel::{Cancel, Cancelled};
pub use combine::{AndThen, Map, OrCancelled, Retried, Timed, Zip};
pub use env::Env;

pub(crate) use combine::too_late;

use flux_io_core::{Retry, RowError};
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// What can be run in an environment and gives a value later: every future, which ignores the
/// environment, and every [`Effect`].
///
/// Dropping the future cancels it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives no value later",
    note = "return a future (`async move {{ .. }}`) or an `Effect`"
)]
pub trait Call: Sized {
    /// What it gives.
    type Value;

    /// Starts it; nothing happens before the future is polled.
    fn call(self, env: &Env) -> impl Future<Output = Self::Value> + Send + use<Self>;
}

impl<F: Future + Send> Call for F {
    type Value = F::Output;

    fn call(self, _env: &Env) -> impl Future<Output = F::Output> + Send + use<F> {
        self
    }
}

/// A described effect; see the [module](self).
#[derive(Clone, Copy)]
#[must_use = "an effect does nothing until it is run"]
pub struct Effect<R>(R);

impl<R> fmt::Debug for Effect<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effect")
    }
}

/// An effect made of a function of the environment. What it captures must be `Clone` for
/// [`Effect::retry`].
pub fn of<F, Fut>(f: F) -> Effect<Of<F>>
where
    F: FnOnce(Env) -> Fut + Send,
    Fut: Future + Send,
{
    Effect(Of(f))
}

/// An effect that looks at the environment, at once.
pub fn ask<T, F>(f: F) -> Effect<Ask<F>>
where
    F: FnOnce(&Env) -> T + Send,
    T: Send,
{
    Effect(Ask(f))
}

/// An effect that gives this value, at once.
pub const fn value<T: Send>(value: T) -> Effect<Value<T>> {
    Effect(Value(value))
}

/// A future, or anything else that can be called, as an effect.
pub const fn call<R: Call>(call: R) -> Effect<R> {
    Effect(call)
}

impl<R: Call> Call for Effect<R> {
    type Value = R::Value;

    fn call(self, env: &Env) -> impl Future<Output = R::Value> + Send + use<R> {
        self.0.call(env)
    }
}

impl<R: Call> Effect<R> {
    /// Runs it in an environment.
    ///
    /// # Cancel safety
    /// Dropping the future drops what it was doing; whether that is harmless is up to the calls it
    /// is made of.
    pub fn run(self, env: &Env) -> impl Future<Output = R::Value> + Send + use<R> {
        self.0.call(env)
    }

    /// The value becomes `f(value)`.
    pub fn map<U, F>(self, f: F) -> Effect<Map<R, F>>
    where
        F: FnOnce(R::Value) -> U + Send,
    {
        Effect(Map(self.0, f))
    }

    /// Then comes the effect that `f` makes of the value.
    pub fn and_then<B, F>(self, f: F) -> Effect<AndThen<R, F>>
    where
        B: Call,
        F: FnOnce(R::Value) -> B + Send,
    {
        Effect(AndThen(self.0, f))
    }

    /// Both at once; gives both values when both are there.
    pub fn zip<B: Call>(self, other: B) -> Effect<Zip<R, B>> {
        Effect(Zip(self.0, other))
    }

    /// `None` when the environment is cancelled first; what was under way is then dropped.
    pub fn or_cancelled(self) -> Effect<OrCancelled<R>> {
        Effect(OrCancelled(self.0))
    }
}

impl<R, T, E> Effect<R>
where
    R: Call<Value = Result<T, E>>,
    E: Into<RowError>,
{
    /// A transient failure is tried again, by the environment's clock and draws; after the last
    /// attempt, and once the environment is cancelled, the last failure is the answer.
    pub fn retry(self, retry: Retry) -> Effect<Retried<R>>
    where
        R: Clone,
    {
        Effect(Retried(self.0, retry))
    }

    /// Fails as transient, and is dropped, when there is no value within `limit` by the
    /// environment's clock. A value that is there in time wins.
    pub fn timeout(self, limit: Duration) -> Effect<Timed<R>> {
        Effect(Timed(self.0, limit))
    }
}

/// See [`of`].
#[derive(Clone, Copy)]
pub struct Of<F>(F);

/// See [`ask`].
#[derive(Clone, Copy)]
pub struct Ask<F>(F);

/// See [`value`].
#[derive(Clone, Copy, Debug)]
pub struct Value<T>(T);

impl<F> fmt::Debug for Of<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Of")
    }
}

impl<F> fmt::Debug for Ask<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}

impl<F, Fut> Call for Of<F>
where
    F: FnOnce(Env) -> Fut + Send,
    Fut: Future + Send,
{
    type Value = Fut::Output;

    fn call(self, env: &Env) -> impl Future<Output = Fut::Output> + Send + use<F, Fut> {
        (self.0)(env.clone())
    }
}

impl<T, F> Call for Ask<F>
where
    F: FnOnce(&Env) -> T + Send,
    T: Send,
{
    type Value = T;

    fn call(self, env: &Env) -> impl Future<Output = T> + Send + use<T, F> {
        std::future::ready((self.0)(env))
    }
}

impl<T: Send> Call for Value<T> {
    type Value = T;

    fn call(self, _env: &Env) -> impl Future<Output = T> + Send + use<T> {
        std::future::ready(self.0)
    }
}
