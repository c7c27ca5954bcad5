//! When a breaker opens, for how long, and what closes it.

use super::Why;
use super::window::Window;
use std::time::Duration;

/// When a breaker opens, for how long, and what closes it. Shares are in percent of calls.
///
/// The defaults are those of resilience4j 2 (`CircuitBreakerConfig`: failure rate 50 %, count-based
/// window of 100 calls, at least 100 calls, 10 calls half-open, 60 s open; slow calls off here
/// where they are 60 s and 100 % there). Added: a failed recovery waits longer, up to ten minutes,
/// and chance adds up to a tenth, so that many breakers do not try at once. Where resilience4j
/// judges all trials by the failure rate, one failed trial is enough here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// How many of the last calls are looked at.
    pub window: u32,
    /// How many results there must be before they count: 2 to `window`.
    pub min_calls: u32,
    /// It opens when at least this share failed: 1 to 100.
    pub failed_percent: u32,
    /// A call that takes this long or longer is slow; a slow trial has failed. `None`: none is.
    pub slow: Option<Duration>,
    /// It opens when at least this share was slow: 1 to 100.
    pub slow_percent: u32,
    /// Calls let through while half-open: at least 2. A call that never ends keeps its place, so
    /// calls want a time limit of their own.
    pub trials: u32,
    /// How many of them must succeed to close it: 2 to `trials`.
    pub successes: u32,
    /// The least time it stays open.
    pub cooldown: Duration,
    /// After each failed recovery it stays open this many times longer; at least 1.
    pub factor: u32,
    /// ... but not longer than this, chance aside; at least `cooldown`.
    pub longest: Duration,
    /// Chance makes a cooldown longer by up to this share of it: 0 to 100.
    pub jitter_percent: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            window: 100,
            min_calls: 100,
            failed_percent: 50,
            slow: None,
            slow_percent: 100,
            trials: 10,
            successes: 10,
            cooldown: Duration::from_secs(60),
            factor: 2,
            longest: Duration::from_secs(600),
            jitter_percent: 10,
        }
    }
}

/// A policy with which a breaker could not keep its laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A number is out of its range.
    #[error("`{field}` of a circuit breaker is {value}; it can be {least} to {most}")]
    Range {
        /// The field of [`BreakerPolicy`].
        field: &'static str,
        /// What it is.
        value: u32,
        /// The least it can be.
        least: u32,
        /// The most it can be, given the other fields.
        most: u32,
    },
    /// It would not stay open at all.
    #[error("`cooldown` of a circuit breaker is zero; say how long it stays open at least")]
    NoCooldown,
    /// The bound of cooldowns is below the first one.
    #[error("`longest` of a circuit breaker is {longest:?}, less than its `cooldown` {cooldown:?}")]
    Longest {
        /// [`BreakerPolicy::longest`].
        longest: Duration,
        /// [`BreakerPolicy::cooldown`].
        cooldown: Duration,
    },
    /// A limit of zero makes every call slow.
    #[error("`slow` of a circuit breaker is zero; give a time, or `None` when no call is slow")]
    AllSlow,
}

impl BreakerPolicy {
    /// Whether a breaker can keep its laws with it.
    ///
    /// # Errors
    /// The first field that cannot be as it is.
    pub fn check(&self) -> Result<(), PolicyError> {
        let ranges = [
            ("window", self.window, 2, u32::MAX),
            ("min_calls", self.min_calls, 2, self.window),
            ("failed_percent", self.failed_percent, 1, 100),
            ("slow_percent", self.slow_percent, 1, 100),
            ("trials", self.trials, 2, u32::MAX),
            ("successes", self.successes, 2, self.trials),
            ("factor", self.factor, 1, u32::MAX),
            ("jitter_percent", self.jitter_percent, 0, 100),
        ];
        for (field, value, least, most) in ranges {
            if value < least || most < value {
                return Err(PolicyError::Range { field, value, least, most });
            }
        }
        let Self { cooldown, longest, .. } = *self;
        if cooldown.is_zero() {
            return Err(PolicyError::NoCooldown);
        }
        if longest < cooldown {
            return Err(PolicyError::Longest { longest, cooldown });
        }
        if self.slow.is_some_and(|slow| slow.is_zero()) {
            return Err(PolicyError::AllSlow);
        }
        Ok(())
    }

    /// Whether these calls open it: enough calls, and (too many failed, or too many slow).
    pub(super) fn verdict(&self, window: &Window) -> Option<Why> {
        let calls = window.calls();
        if calls < self.min_calls {
            return None;
        }
        let many =
            |n: u32, percent: u32| u64::from(n) * 100 >= u64::from(percent) * u64::from(calls);
        if many(window.failed(), self.failed_percent) {
            Some(Why::Failures)
        } else if many(window.slow(), self.slow_percent) {
            Some(Why::Slow)
        } else {
            None
        }
    }

    /// How long it stays open after `relapses` failed recoveries:
    /// `min(cooldown * factor^relapses, longest) * (1 + jitter * unit)`, in integers.
    pub(super) fn cooldown_after(&self, relapses: u32, unit: u32) -> Duration {
        let mut time = self.cooldown;
        // A factor of 1 changes nothing, however often.
        for _ in 0..if self.factor > 1 { relapses } else { 0 } {
            time = time.saturating_mul(self.factor);
            if time >= self.longest {
                break;
            }
        }
        let ns = time.min(self.longest).as_nanos();
        let more =
            ns * u128::from(self.jitter_percent) * u128::from(unit) / (100 * u128::from(u32::MAX));
        Duration::from_nanos(u64::try_from(ns + more).unwrap_or(u64::MAX))
    }
}
