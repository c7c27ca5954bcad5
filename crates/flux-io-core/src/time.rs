//! Two clocks that are never mixed: event or wall time as data, and the engine's monotonic time.
//!
//! A [`Timestamp`] is a fact about an item (B103: never used to measure waiting). A [`Moment`] is
//! read from the engine and is what timers, deadlines in processing time and latencies use.

use std::fmt;
use std::time::Duration;

/// Event or wall-clock time: nanoseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// The range is about 1677 to 2262. Arithmetic saturates, so a deadline is never in the past by
/// overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every other timestamp: "nothing is promised yet".
    pub const MIN: Self = Self(i64::MIN);
    /// After every other timestamp: "nothing is still to come".
    pub const MAX: Self = Self(i64::MAX);

    /// From whole seconds since the Unix epoch.
    #[must_use]
    pub const fn from_secs(s: i64) -> Self {
        Self(s.saturating_mul(1_000_000_000))
    }

    /// From whole milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// This time plus `d`, saturating.
    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos_i64(d)))
    }

    /// This time minus `d`, saturating.
    #[must_use]
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_i64(d)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

/// The engine's monotonic time: nanoseconds since the run began. Never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The start of the run.
    pub const START: Self = Self(0);

    /// This moment plus `d`, saturating.
    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// `d` in nanoseconds, clamped to what a [`Timestamp`] can hold.
#[must_use]
pub fn nanos_i64(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}
