//! What effects are put together with. Each future is one state machine that holds the futures of
//! its parts: nothing is boxed.

use super::{Call, Env};
use flux_io_core::{ErrorClass, Retry, RowError};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// See [`Effect::map`](super::Effect::map).
#[derive(Clone, Copy)]
pub struct Map<A, F>(pub(super) A, pub(super) F);
/// See [`Effect::and_then`](super::Effect::and_then).
#[derive(Clone, Copy)]
pub struct AndThen<A, F>(pub(super) A, pub(super) F);
/// See [`Effect::zip`](super::Effect::zip).
#[derive(Clone, Copy)]
pub struct Zip<A, B>(pub(super) A, pub(super) B);
/// See [`Effect::or_cancelled`](super::Effect::or_cancelled).
#[derive(Clone, Copy)]
pub struct OrCancelled<A>(pub(super) A);
/// See [`Effect::retry`](super::Effect::retry).
#[derive(Clone, Copy)]
pub struct Retried<A>(pub(super) A, pub(super) Retry);
/// See [`Effect::timeout`](super::Effect::timeout).
#[derive(Clone, Copy)]
pub struct Timed<A>(pub(super) A, pub(super) Duration);

macro_rules! debug {
    ($($t:ident<$($g:ident),*>),*) => { $(
        impl<$($g),*> fmt::Debug for $t<$($g),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($t))
            }
        }
    )* };
}
debug!(Map<A, F>, AndThen<A, F>, Zip<A, B>, OrCancelled<A>, Retried<A>, Timed<A>);

impl<A, U, F> Call for Map<A, F>
where
    A: Call,
    F: FnOnce(A::Value) -> U + Send,
{
    type Value = U;

    fn call(self, env: &Env) -> impl Future<Output = U> + Send + use<A, U, F> {
        let Self(a, f) = self;
        let a = a.call(env);
        async move { f(a.await) }
    }
}

impl<A, B, F> Call for AndThen<A, F>
where
    A: Call,
    B: Call,
    F: FnOnce(A::Value) -> B + Send,
{
    type Value = B::Value;

    fn call(self, env: &Env) -> impl Future<Output = B::Value> + Send + use<A, B, F> {
        let Self(a, f) = self;
        let (a, env) = (a.call(env), env.clone());
        async move {
            let b = f(a.await).call(&env);
            b.await
        }
    }
}

impl<A, B> Call for Zip<A, B>
where
    A: Call<Value: Send>,
    B: Call<Value: Send>,
{
    type Value = (A::Value, B::Value);

    fn call(self, env: &Env) -> impl Future<Output = Self::Value> + Send + use<A, B> {
        let (a, b) = (self.0.call(env), self.1.call(env));
        async move {
            let (mut a, mut b) = (pin!(a), pin!(b));
            let (mut x, mut y) = (None, None);
            poll_fn(|cx| {
                if x.is_none()
                    && let Poll::Ready(v) = a.as_mut().poll(cx)
                {
                    x = Some(v);
                }
                if y.is_none()
                    && let Poll::Ready(v) = b.as_mut().poll(cx)
                {
                    y = Some(v);
                }
                match (x.take(), y.take()) {
                    (Some(v), Some(w)) => Poll::Ready((v, w)),
                    (v, w) => {
                        (x, y) = (v, w);
                        Poll::Pending
                    }
                }
            })
            .await
        }
    }
}

/// The value of `first`, or `None` when `limit` is over before.
async fn race<T>(first: impl Future<Output = T>, limit: impl Future<Output = ()>) -> Option<T> {
    let (mut first, mut limit) = (pin!(first), pin!(limit));
    poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(v) => Poll::Ready(Some(v)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
    })
    .await
}

impl<A: Call> Call for OrCancelled<A> {
    type Value = Option<A::Value>;

    fn call(self, env: &Env) -> impl Future<Output = Option<A::Value>> + Send + use<A> {
        race(self.0.call(env), env.cancel().cancelled())
    }
}

impl<A, T, E> Call for Retried<A>
where
    A: Call<Value = Result<T, E>> + Clone + Send,
    E: Into<RowError>,
{
    type Value = Result<T, RowError>;

    fn call(self, env: &Env) -> impl Future<Output = Self::Value> + Send + use<A, T, E> {
        let (Self(call, retry), env) = (self, env.clone());
        async move {
            let mut attempts = 1;
            loop {
                let once = call.clone().call(&env);
                let error: RowError = match once.await {
                    Ok(value) => return Ok(value),
                    Err(e) => e.into(),
                };
                let over = attempts >= retry.attempts || env.cancel().is_cancelled();
                if over || error.class != ErrorClass::Transient {
                    return Err(error);
                }
                drop(error);
                env.sleep(retry.delay(attempts, env.draw())).await;
                attempts += 1;
            }
        }
    }
}

impl<A, T, E> Call for Timed<A>
where
    A: Call<Value = Result<T, E>>,
    E: Into<RowError>,
{
    type Value = Result<T, RowError>;

    fn call(self, env: &Env) -> impl Future<Output = Self::Value> + Send + use<A, T, E> {
        let Self(call, limit) = self;
        let value = race(call.call(env), env.sleep(limit));
        async move { value.await.map_or_else(|| Err(too_late(limit)), |v| v.map_err(Into::into)) }
    }
}

/// The failure of a call that took too long.
pub(crate) fn too_late(limit: Duration) -> RowError {
    RowError::transient(format!("no answer within {limit:?}"))
}
