//! The gate for new keys: a token bucket in integers on the engine's clock.

use crate::policy::NewKeys;
use flux_io_core::Moment;

/// One token, in the unit of the bucket: a billionth each nanosecond and key a second.
const TOKEN: u128 = 1_000_000_000;

/// The bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    rule: NewKeys,
    level: u128,
    read: Moment,
}

impl Gate {
    /// A full bucket.
    pub(crate) const fn new(rule: NewKeys) -> Self {
        Self { rule, level: rule.burst as u128 * TOKEN, read: Moment::START }
    }

    /// Takes a token, if there is one.
    #[inline]
    pub(crate) fn pass(&mut self, now: Moment) -> bool {
        self.level = self.level(now);
        self.read = self.read.max(now);
        if self.level < TOKEN {
            return false;
        }
        self.level -= TOKEN;
        true
    }

    /// When there is a token again.
    pub(crate) fn opens(&self, now: Moment) -> Moment {
        let lack = TOKEN.saturating_sub(self.level(now));
        let nanos = lack.div_ceil(u128::from(self.rule.per_second.max(1)));
        now.plus(std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Gives a token back: the key was not opened after all.
    pub(crate) const fn put_back(&mut self) {
        self.level += TOKEN;
    }

    /// How full the bucket is.
    pub(crate) fn level(&self, now: Moment) -> u128 {
        let gained = now.since(self.read).as_nanos() * u128::from(self.rule.per_second);
        (self.level + gained).min(u128::from(self.rule.burst) * TOKEN)
    }

    /// Goes on from a snapshot.
    pub(crate) const fn resume(&mut self, level: u128, now: Moment) {
        self.level = level;
        self.read = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 265.
    #[test]
    fn a_burst_then_the_rate() {
        let mut g = Gate::new(NewKeys { per_second: 2, burst: 3 });
        let mut passed = |ms: u64| (0..5).filter(|_| g.pass(Moment(ms * 1_000_000))).count();
        assert_eq!([0, 0, 499, 500, 1_500, 60_000].map(&mut passed), [3, 0, 0, 1, 2, 3]);
    }
}
