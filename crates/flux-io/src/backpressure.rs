//! Flow control, and [`Circuit`]: a breaker around the calls of a stage.

#[doc(inline)]
pub use flux_io_backpressure::*;

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use flux_io_core::{ErrorClass, Moment, RowError};
use flux_io_flow::effect::{Call, Effect, Env, call};
use std::fmt;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

/// What happens to a call that an open circuit does not let through. Its row is never lost: it
/// waits, or fails and goes the way of its stage's `on_error`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenOpen {
    /// It waits until the circuit lets it through: pressure travels upstream. A time limit on the
    /// attempt ([`Calls::timeout`](flux_io_flow::Calls::timeout)) counts the wait.
    #[default]
    Wait,
    /// It fails as transient: the retry policy of its stage tries again.
    Retry,
    /// It fails as permanent: no attempt follows.
    Refuse,
}

/// A circuit breaker around calls: of one stage, on all its shards, or of all stages that call the
/// same thing. Clones are the same circuit. It lives as long as one run: its moments are the run's.
///
/// A call that fails counts against the circuit, whatever its class; with
/// [`Circuit::transient_only`] permanent failures count as answers of something that is well. A
/// call that is dropped without an answer (by a time limit outside of it, a hedge that was faster,
/// an abort) has failed if it was slow by then, and otherwise says nothing: put the time limit
/// inside, or set [`BreakerPolicy::slow`] to no more than it.
///
/// How long a call took is known when its stage is polled. A stage that is held back meanwhile (by a
/// full edge, by a sink in the same task) finds its calls slow although the other side was not:
/// set `slow` well above what may hold it back, or leave it off.
///
/// ```
/// use flux_io::backpressure::{BreakerPolicy, Circuit};
/// use flux_io::flow::effect;
/// use flux_io::prelude::*;
/// use std::time::Duration;
///
/// let circuit = Circuit::new("prices", BreakerPolicy::default())?;
/// let guard = circuit.clone();
/// let flow = Pipeline::new().source("ids", source::iter(0..3_u64)).async_map("price", 8, move |id| {
///     let id = *id;
///     let price = effect::of(move |_env| async move { Ok::<u64, RowError>(id * 2) });
///     guard.call(price.timeout(Duration::from_secs(1)))
/// });
/// # let (sink, prices) = sink::collect();
/// # engine::Sync::new().run(flow.on_error(OnError::DeadLetter).sink("prices", sink))?;
/// # assert_eq!(prices.take(), [0, 2, 4]);
/// assert_eq!(circuit.counts().succeeded, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Circuit {
    name: Arc<str>,
    when_open: WhenOpen,
    transient_only: bool,
    listener: Option<Arc<dyn Fn(&str, Change) + Send + Sync>>,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    breaker: Breaker,
    /// Who waits for a trial to end; none twice.
    waiting: Vec<Waker>,
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circuit({}, {})", self.name, self.state().as_str())
    }
}

impl Circuit {
    /// A closed circuit; `name` stands in the failures of calls that were not let through.
    ///
    /// # Errors
    /// [`PolicyError`] names the field that cannot be as it is.
    pub fn new(name: impl Into<Arc<str>>, policy: BreakerPolicy) -> Result<Self, PolicyError> {
        let shared = Shared { breaker: Breaker::new(policy)?, waiting: Vec::new() };
        Ok(Self {
            name: name.into(),
            when_open: WhenOpen::default(),
            transient_only: false,
            listener: None,
            shared: Arc::new(Mutex::new(shared)),
        })
    }

    /// What happens to calls that are not let through; others wait.
    #[must_use]
    pub const fn when_open(mut self, when_open: WhenOpen) -> Self {
        self.when_open = when_open;
        self
    }

    /// Only transient and catastrophic failures count against it. Errors that become a
    /// [`RowError`] by `?` are permanent.
    #[must_use]
    pub const fn transient_only(mut self) -> Self {
        self.transient_only = true;
        self
    }

    /// Calls `f` with the circuit's name after each change of its state, under no lock. Two changes
    /// on two threads may be told in either order; [`Change::at`] and the states say which was
    /// first.
    #[must_use]
    pub fn on_change(mut self, f: impl Fn(&str, Change) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(f));
        self
    }

    /// The call, once the circuit lets it through.
    ///
    /// # Cancel safety
    /// Dropping it gives back what it holds of the circuit.
    pub fn call<B, U, E>(&self, inner: B) -> Effect<Guarded<B>>
    where
        B: Call<Value = Result<U, E>> + Send,
        E: Into<RowError>,
    {
        call(Guarded { circuit: self.clone(), inner })
    }

    /// What it does with calls.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.lock().breaker.state()
    }

    /// What it has seen. A call that waits is refused once for each time it asks.
    #[must_use]
    pub fn counts(&self) -> BreakerCounts {
        self.lock().breaker.counts()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks or tells the breaker. Whoever waits is woken and the listener told, both after the lock
    /// is free.
    fn with<R>(&self, ends: bool, f: impl FnOnce(&mut Shared) -> R) -> R {
        let mut shared = self.lock();
        let result = f(&mut shared);
        let change = shared.breaker.take_change();
        let wake =
            if ends || change.is_some() { std::mem::take(&mut shared.waiting) } else { vec![] };
        drop(shared);
        wake.into_iter().for_each(Waker::wake);
        if let (Some(change), Some(listener)) = (change, &self.listener) {
            listener(&self.name, change);
        }
        result
    }

    /// Asks; one that is to wait for a trial to end is woken then.
    fn ask(&self, now: Moment, waker: &Waker) -> Answer {
        let waits = self.when_open == WhenOpen::Wait;
        self.with(false, |s| {
            let answer = s.breaker.ask(now);
            if answer == Answer::Busy && waits && !s.waiting.iter().any(|w| w.will_wake(waker)) {
                s.waiting.push(waker.clone());
            }
            answer
        })
    }

    /// The right to make a call, or why it is not made.
    async fn admit(&self, env: &Env) -> Result<InFlight, RowError> {
        loop {
            let answer = poll_fn(|cx| match self.ask(env.now(), cx.waker()) {
                Answer::Busy if self.when_open == WhenOpen::Wait => Poll::Pending,
                answer => Poll::Ready(answer),
            });
            let until = match answer.await {
                Answer::Call(permit) => {
                    let circuit = self.clone();
                    return Ok(InFlight { circuit, env: env.clone(), permit: Some(permit) });
                }
                Answer::Open { until } => Some(until),
                Answer::Busy => None,
            };
            match (self.when_open, until) {
                (WhenOpen::Wait, Some(until)) => env.sleep_until(until).await,
                // Only one that waits is pending above, and nobody else comes here again.
                (WhenOpen::Wait, None) => {}
                (refused, until) => return Err(self.refusal(refused, until, env.now())),
            }
        }
    }

    fn refusal(&self, when_open: WhenOpen, until: Option<Moment>, now: Moment) -> RowError {
        let name = &self.name;
        let what = match until {
            Some(until) => {
                format!("circuit `{name}` is open for another {:?}", until.since(now))
            }
            None => format!("circuit `{name}` is half-open, and all its trials are taken"),
        };
        let mut error = RowError::transient(what);
        if when_open == WhenOpen::Refuse {
            error.class = ErrorClass::Permanent;
        }
        error
    }
}

/// See [`Circuit::call`].
#[derive(Clone)]
pub struct Guarded<B> {
    circuit: Circuit,
    inner: B,
}

impl<B> fmt::Debug for Guarded<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded({})", self.circuit.name)
    }
}

impl<B, U, E> Call for Guarded<B>
where
    B: Call<Value = Result<U, E>> + Send,
    E: Into<RowError>,
{
    type Value = Result<U, RowError>;

    fn call(self, env: &Env) -> impl Future<Output = Self::Value> + Send + use<B, U, E> {
        let env = env.clone();
        async move {
            let flight = self.circuit.admit(&env).await?;
            let result = self.inner.call(&env).await.map_err(Into::into);
            flight.ended(&result);
            result
        }
    }
}

/// A call under way; dropping it tells the breaker.
struct InFlight {
    circuit: Circuit,
    env: Env,
    permit: Option<Permit>,
}

impl InFlight {
    fn ended<U>(mut self, result: &Result<U, RowError>) {
        let against =
            |e: &RowError| !self.circuit.transient_only || e.class != ErrorClass::Permanent;
        let failed = result.as_ref().is_err_and(against);
        let Some(permit) = self.permit.take() else { return };
        let (now, unit) = (self.env.now(), self.env.draw());
        self.circuit.with(true, |s| {
            if failed {
                s.breaker.failed(permit, now, unit);
            } else {
                s.breaker.succeeded(permit, now, unit);
            }
        });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let (now, unit) = (self.env.now(), self.env.draw());
        self.circuit.with(true, |s| s.breaker.dropped(permit, now, unit));
    }
}
