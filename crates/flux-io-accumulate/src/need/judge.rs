//! Verdict, what is missing, and score of a key.

use super::{Group, Kind, Limit, Need, Seen, Test, UNKNOWN};
use flux_io_core::Missing;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The largest score of a key that is not complete: the float before 1.
pub(super) const ALMOST: f32 = 1.0 - f32::EPSILON / 2.0;

impl Need {
    #[inline]
    fn limit(&self, limit: Limit, seen: &Seen<'_>) -> Option<u32> {
        match limit {
            Limit::Fixed(n) => Some(n),
            Limit::Declared(b) => {
                seen.bounds.get(usize::from(b)).copied().filter(|n| *n != UNKNOWN)
            }
        }
    }

    #[inline]
    fn nth(&self, rank: u64, index: u32) -> u64 {
        self.once + u64::from(index - 1) * self.each + rank
    }

    /// Whether the whole group is there.
    #[inline]
    fn holds(&self, group: u16, seen: &Seen<'_>) -> bool {
        match self.groups[usize::from(group)].kind {
            Kind::Once(bit) => seen.bits.has(bit),
            Kind::Each(rank, limit) => match self.limit(limit, seen) {
                None => false,
                Some(n) => (1..=n).all(|i| seen.bits.has(self.nth(rank, i))),
            },
        }
    }

    /// Whether the key is complete.
    #[inline]
    pub(crate) fn complete(&self, seen: &Seen<'_>) -> bool {
        self.passes(&self.test, seen)
    }

    #[inline]
    fn passes(&self, test: &Test, seen: &Seen<'_>) -> bool {
        match test {
            Test::All(groups) => {
                // Fewer variables than are needed cannot be all of them: most fragments end here.
                let wanted = |g: &u16| match self.groups[usize::from(*g)].kind {
                    Kind::Once(_) => Some(1),
                    Kind::Each(_, limit) => self.limit(limit, seen).map(u64::from),
                };
                let wanted = groups.iter().map(wanted).try_fold(0, |sum, n| Some(sum + n?));
                wanted.is_some_and(|n| u64::from(seen.vars) >= n)
                    && groups.iter().all(|g| self.holds(*g, seen))
            }
            Test::Any(groups) => groups.iter().any(|g| self.holds(*g, seen)),
            Test::KOfN(k, groups) => {
                groups.iter().filter(|g| self.holds(**g, seen)).count() >= *k as usize
            }
            Test::Count(n) => seen.fragments >= u64::from(*n),
            Test::CountFrom(b) => {
                let n = seen.bounds.get(usize::from(*b)).copied();
                n.is_some_and(|n| n != UNKNOWN && seen.fragments >= u64::from(n))
            }
            Test::Weighted(min, groups) => self.weight_of(groups, seen) >= *min,
            Test::Never => false,
            Test::And(tests) => tests.iter().all(|t| self.passes(t, seen)),
            Test::Or(tests) => tests.iter().any(|t| self.passes(t, seen)),
        }
    }

    /// The name of a bit's variable.
    pub(crate) fn name_of(&self, bit: u64) -> Option<Missing> {
        let var = self.var_of(bit);
        let group = self.groups.get(usize::from(var.group))?;
        let index = (var.index > 0).then_some(var.index);
        Some(Missing { name: Arc::clone(&group.name), index })
    }

    fn weight_of(&self, groups: &[(u16, f64)], seen: &Seen<'_>) -> f64 {
        groups.iter().filter(|(g, _)| self.holds(*g, seen)).map(|(_, w)| w).sum()
    }

    /// What is missing, in the order of the requirement; empty when the key is complete. Of a group
    /// whose bound is not declared yet, nothing is listed: nobody knows what it lacks.
    pub(crate) fn missing(&self, seen: &Seen<'_>) -> Vec<Missing> {
        let mut lacking = BTreeSet::new();
        self.lacking(&self.test, seen, &mut lacking);
        let name = |(group, index): (u16, u32)| Missing {
            name: Arc::clone(&self.groups[usize::from(group)].name),
            index: (index > 0).then_some(index),
        };
        lacking.into_iter().map(name).collect()
    }

    fn lacking(&self, test: &Test, seen: &Seen<'_>, to: &mut BTreeSet<(u16, u32)>) {
        if self.passes(test, seen) {
            return;
        }
        match test {
            Test::All(groups) | Test::Any(groups) | Test::KOfN(_, groups) => {
                groups.iter().for_each(|g| self.lacking_group(*g, seen, to));
            }
            Test::Weighted(_, groups) => {
                groups.iter().for_each(|(g, _)| self.lacking_group(*g, seen, to));
            }
            Test::Count(_) | Test::CountFrom(_) | Test::Never => {}
            Test::And(tests) | Test::Or(tests) => {
                tests.iter().for_each(|t| self.lacking(t, seen, to));
            }
        }
    }

    fn lacking_group(&self, group: u16, seen: &Seen<'_>, to: &mut BTreeSet<(u16, u32)>) {
        match self.groups[usize::from(group)].kind {
            Kind::Once(bit) => {
                if !seen.bits.has(bit) {
                    to.insert((group, 0));
                }
            }
            Kind::Each(rank, limit) => {
                let n = self.limit(limit, seen).unwrap_or(0);
                let absent = (1..=n).filter(|i| !seen.bits.has(self.nth(rank, *i)));
                to.extend(absent.map(|i| (group, i)));
            }
        }
    }

    /// Progress, 0 to 1: the weights of what is there over those of what is needed (B75), where an
    /// undeclared bound counts as the largest number seen. 1 exactly when complete (B73).
    pub(crate) fn score(&self, seen: &Seen<'_>) -> f32 {
        if self.complete(seen) {
            return 1.0;
        }
        let largest = match seen.bits.highest() {
            Some(bit) if bit >= self.once && self.each > 0 => (bit - self.once) / self.each + 1,
            _ => 0,
        };
        clamp_score(ratio(self.progress(&self.test, seen, largest)) as f32)
    }

    /// (there, needed) of a test.
    fn progress(&self, test: &Test, seen: &Seen<'_>, largest: u64) -> (f64, f64) {
        let sum = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        let of = |g: &u16| self.group_progress(*g, seen, largest);
        match test {
            Test::All(groups) => groups.iter().map(of).fold((0.0, 0.0), sum),
            Test::Any(_) => (f64::from(u8::from(self.passes(test, seen))), 1.0),
            Test::KOfN(k, groups) => {
                let n = groups.iter().filter(|g| self.holds(**g, seen)).count();
                ((n as f64).min(f64::from(*k)), f64::from(*k))
            }
            Test::Count(n) => (seen.fragments.min(u64::from(*n)) as f64, f64::from(*n)),
            Test::CountFrom(b) => match seen.bounds.get(usize::from(*b)).copied() {
                Some(n) if n != UNKNOWN => (seen.fragments.min(u64::from(n)) as f64, f64::from(n)),
                _ => (seen.fragments as f64, seen.fragments as f64 + 1.0),
            },
            Test::Weighted(min, groups) => (self.weight_of(groups, seen).min(*min), *min),
            Test::Never => (0.0, 1.0),
            Test::And(tests) => {
                tests.iter().map(|t| self.progress(t, seen, largest)).fold((0.0, 0.0), sum)
            }
            Test::Or(tests) => {
                let each = tests.iter().map(|t| self.progress(t, seen, largest));
                each.max_by(|a, b| ratio(*a).total_cmp(&ratio(*b))).unwrap_or((0.0, 1.0))
            }
        }
    }

    fn group_progress(&self, group: u16, seen: &Seen<'_>, largest: u64) -> (f64, f64) {
        let Group { kind, weight, .. } = &self.groups[usize::from(group)];
        match *kind {
            Kind::Once(bit) => (if seen.bits.has(bit) { *weight } else { 0.0 }, *weight),
            Kind::Each(rank, limit) => {
                let n =
                    self.limit(limit, seen).unwrap_or(u32::try_from(largest).unwrap_or(UNKNOWN));
                let there = (1..=n).filter(|i| seen.bits.has(self.nth(rank, *i))).count();
                (there as f64 * weight, f64::from(n) * weight)
            }
        }
    }
}

fn ratio((there, needed): (f64, f64)) -> f64 {
    if needed > 0.0 { there / needed } else { 0.0 }
}

/// A score of a key that is not complete.
pub(crate) fn clamp_score(score: f32) -> f32 {
    if score.is_nan() { 0.0 } else { score.clamp(0.0, ALMOST) }
}
