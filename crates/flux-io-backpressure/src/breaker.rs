//! The circuit breaker. The same protocol as a model, with its properties: `specs/Breaker.tla`.

mod policy;
mod window;

pub use policy::{BreakerPolicy, PolicyError};

use flux_io_core::Moment;
use window::{Called, Window};

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BreakerState {
    /// All go.
    Closed = 0,
    /// Some go, to see whether it is well again.
    HalfOpen = 1,
    /// None goes.
    Open = 2,
}

impl BreakerState {
    /// As a number for a gauge: 0 closed, 1 half-open, 2 open.
    #[must_use]
    pub const fn gauge(self) -> u8 {
        self as u8
    }

    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// The right to make one call. It goes back with the call's end: to [`Breaker::succeeded`],
/// [`Breaker::failed`] or [`Breaker::dropped`]. One that does not keeps a trial taken for ever.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit goes back when its call has ended"]
pub struct Permit {
    generation: u64,
    began: Moment,
}

impl Permit {
    /// When the call began.
    #[must_use]
    pub const fn began(&self) -> Moment {
        self.began
    }
}

/// Whether a call may be made.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call that may not be made is not made"]
pub enum Answer {
    /// Yes.
    Call(Permit),
    /// Not before this moment: it is open.
    Open {
        /// When it becomes half-open, to whoever asks then.
        until: Moment,
    },
    /// Not before a trial has ended: it is half-open, and all trials are taken.
    Busy,
}

/// Why the state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Too many of the last calls failed.
    Failures,
    /// Too many of the last calls were slow.
    Slow,
    /// A trial failed or was slow.
    Trial,
    /// The cooldown is over.
    Cooled,
    /// Enough trials succeeded.
    Recovered,
}

/// A change of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The state before.
    pub from: BreakerState,
    /// The state now.
    pub to: BreakerState,
    /// When.
    pub at: Moment,
    /// Why.
    pub why: Why,
}

/// What a breaker has seen; all of it only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BreakerCounts {
    /// Permits given.
    pub admitted: u64,
    /// Answers that were none.
    pub refused: u64,
    /// Calls that succeeded, in time.
    pub succeeded: u64,
    /// Calls that failed, slow or not.
    pub failed: u64,
    /// Calls that succeeded, but slowly.
    pub slow: u64,
    /// Calls dropped before they were slow.
    pub dropped: u64,
    /// Of those that ended, the ones that began in an earlier state: evidence of nothing.
    pub late: u64,
    /// How often it opened.
    pub opened: u64,
    /// How often it closed again.
    pub closed: u64,
}

#[derive(Clone, Debug)]
enum State {
    Closed,
    Open { until: Moment },
    HalfOpen { taken: u32, good: u32 },
}

/// A circuit breaker.
///
/// ```text
///            enough calls, and too many of them failed or slow
///   Closed ───────────────────────────────────────────────────► Open ◄──────────┐
///     ▲                                                          │ its cooldown │ a trial failed
///     │ enough trials succeeded                                  ▼ is over      │ or was slow
///     └───────────────────────────────────────────────────── HalfOpen ──────────┘
/// ```
///
/// 1. Closed: all calls go. The results of the last [`BreakerPolicy::window`] calls are kept, and
///    count once there are [`BreakerPolicy::min_calls`] of them: an empty window never opens it.
/// 2. Open: no call goes before the cooldown is over. Each failed recovery makes the next cooldown
///    longer; chance makes it longer still, never shorter.
/// 3. Half-open: at most [`BreakerPolicy::trials`] calls go. [`BreakerPolicy::successes`] of them
///    close it; the first that fails or is slow opens it again.
/// 4. Each state has a generation, and each [`Permit`] carries it: the result of a call that began
///    in an earlier state is evidence of nothing and only counted as late.
///
/// The caller asks before a call and tells how it ended. `now` never goes back.
///
/// # Laws
/// - Between an opening and the next answer [`Answer::Call`] lies at least
///   [`BreakerPolicy::cooldown`]: so does it between two openings.
/// - While half-open, at most [`BreakerPolicy::trials`] permits of that generation were given and
///   not dropped.
/// - It opens on no fewer than `min_calls` results, and closes on no fewer than `successes`
///   successes, of its generation.
///
/// ```
/// use flux_io_backpressure::{Answer, Breaker, BreakerPolicy, BreakerState};
/// use flux_io_core::Moment;
///
/// let policy = BreakerPolicy { window: 4, min_calls: 2, ..BreakerPolicy::default() };
/// let mut breaker = Breaker::new(policy)?;
/// for at in [Moment(1), Moment(2)] {
///     if let Answer::Call(permit) = breaker.ask(at) {
///         breaker.failed(permit, at, 0);
///     }
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
/// assert_eq!(breaker.ask(Moment(3)), Answer::Open { until: Moment(2).plus(policy.cooldown) });
/// # Ok::<(), flux_io_backpressure::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    generation: u64,
    window: Window,
    /// Recoveries that failed since it was last closed.
    relapses: u32,
    counts: BreakerCounts,
    changed: Option<Change>,
}

impl Breaker {
    /// A closed one that has seen nothing.
    ///
    /// # Errors
    /// [`PolicyError`]: with this policy it could not keep its laws.
    pub fn new(policy: BreakerPolicy) -> Result<Self, PolicyError> {
        policy.check()?;
        Ok(Self {
            policy,
            state: State::Closed,
            generation: 0,
            window: Window::new(policy.window),
            relapses: 0,
            counts: BreakerCounts::default(),
            changed: None,
        })
    }

    /// May a call be made at `now`?
    pub fn ask(&mut self, now: Moment) -> Answer {
        if let State::Open { until } = self.state {
            if now < until {
                self.counts.refused += 1;
                return Answer::Open { until };
            }
            self.enter(State::HalfOpen { taken: 0, good: 0 }, now, Why::Cooled);
        }
        if let State::HalfOpen { taken, .. } = &mut self.state {
            if *taken >= self.policy.trials {
                self.counts.refused += 1;
                return Answer::Busy;
            }
            *taken += 1;
        }
        self.counts.admitted += 1;
        Answer::Call(Permit { generation: self.generation, began: now })
    }

    /// The call succeeded at `now`. `unit` is a uniform draw in `0..=u32::MAX`, which decides how
    /// much longer a cooldown is, should this call begin one.
    pub fn succeeded(&mut self, permit: Permit, now: Moment, unit: u32) {
        if self.is_slow(&permit, now) {
            self.counts.slow += 1;
            self.ended(&permit, Called::SLOW, now, unit);
        } else {
            self.counts.succeeded += 1;
            self.ended(&permit, Called::GOOD, now, unit);
        }
    }

    /// The call failed at `now`. `unit` as in [`Breaker::succeeded`].
    pub fn failed(&mut self, permit: Permit, now: Moment, unit: u32) {
        self.counts.failed += 1;
        let slow = self.is_slow(&permit, now);
        self.ended(&permit, Called { failed: true, slow }, now, unit);
    }

    /// The call was dropped at `now` without an answer. One that had been slow by then has failed;
    /// another says nothing, and its trial may be made by somebody else. `unit` as in
    /// [`Breaker::succeeded`].
    pub fn dropped(&mut self, permit: Permit, now: Moment, unit: u32) {
        if self.is_slow(&permit, now) {
            return self.failed(permit, now, unit);
        }
        self.counts.dropped += 1;
        if permit.generation == self.generation
            && let State::HalfOpen { taken, .. } = &mut self.state
        {
            *taken -= 1;
        }
    }

    /// What it does with calls. An open one stays so until somebody asks after its cooldown.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// What it has seen.
    #[must_use]
    pub const fn counts(&self) -> BreakerCounts {
        self.counts
    }

    /// Takes the last change of the state, when there was one since this was last asked. One call
    /// changes the state at most once.
    pub const fn take_change(&mut self) -> Option<Change> {
        self.changed.take()
    }

    fn is_slow(&self, permit: &Permit, now: Moment) -> bool {
        self.policy.slow.is_some_and(|slow| now.since(permit.began) >= slow)
    }

    fn ended(&mut self, permit: &Permit, call: Called, now: Moment, unit: u32) {
        if permit.generation != self.generation {
            self.counts.late += 1;
            return;
        }
        match &mut self.state {
            State::Closed => {
                self.window.push(call);
                if let Some(why) = self.policy.verdict(&self.window) {
                    self.open(now, unit, why);
                }
            }
            State::HalfOpen { good, .. } if call == Called::GOOD => {
                *good += 1;
                if *good >= self.policy.successes {
                    self.relapses = 0;
                    self.counts.closed += 1;
                    self.enter(State::Closed, now, Why::Recovered);
                }
            }
            State::HalfOpen { .. } => {
                self.relapses = self.relapses.saturating_add(1);
                self.open(now, unit, Why::Trial);
            }
            // Nobody holds a permit of an open generation.
            State::Open { .. } => {}
        }
    }

    fn open(&mut self, now: Moment, unit: u32, why: Why) {
        self.counts.opened += 1;
        let until = now.plus(self.policy.cooldown_after(self.relapses, unit));
        self.enter(State::Open { until }, now, why);
    }

    fn enter(&mut self, state: State, at: Moment, why: Why) {
        let from = self.state();
        self.state = state;
        self.generation += 1;
        self.window.clear();
        self.changed = Some(Change { from, to: self.state(), at, why });
    }
}
