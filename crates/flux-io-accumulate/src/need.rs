//! A requirement compiled: names are numbers, variables are bits.
//!
//! Bits: variables that come once first, in the order of the requirement, then the numbered ones
//! interleaved by number (`shipped:1 received:1 shipped:2 …`), so that a key with few lines stays
//! in the first word.

use crate::require::{Part, Require, RequireError, Rule, UpTo};
use crate::set::Bits;
use flux_io_core::{DeadCause, Missing, RowError, Var};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The place of a bound that was not declared yet.
pub(crate) const UNKNOWN: u32 = u32::MAX;
/// The largest score of a key that is not complete: the float before 1.
pub(crate) const ALMOST: f32 = 1.0 - f32::EPSILON / 2.0;

/// What a group of variables is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It comes once; its bit.
    Once(u64),
    /// It is numbered; its rank among the numbered ones, and how far it goes.
    Each(u64, Limit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Declared(u16),
    Fixed(u32),
}

#[derive(Clone, Debug)]
struct Group {
    name: Arc<str>,
    kind: Kind,
    weight: f64,
}

#[derive(Clone, Debug)]
enum Test {
    All(Vec<u16>),
    Any(Vec<u16>),
    KOfN(u32, Vec<u16>),
    Count(u32),
    CountFrom(u16),
    Weighted(f64, Vec<(u16, f64)>),
    Never,
    And(Vec<Test>),
    Or(Vec<Test>),
}

/// What is known of a key when it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// Variables that are there.
    pub(crate) bits: Bits<'a>,
    /// How many those are.
    pub(crate) vars: u32,
    /// Fragments counted.
    pub(crate) fragments: u32,
    /// Bounds by number, [`UNKNOWN`] where none was declared.
    pub(crate) bounds: &'a [u32],
}

/// A requirement as the operator uses it.
#[derive(Clone, Debug)]
pub struct Need {
    groups: Vec<Group>,
    by_name: BTreeMap<Arc<str>, u16>,
    bounds: Vec<Arc<str>>,
    once: u64,
    each: u64,
    test: Test,
    mask: Option<u64>,
}

impl Need {
    /// Gives every name its number.
    ///
    /// # Errors
    /// [`RequireError`]: the first thing that is wrong with the requirement.
    pub fn compile(require: &Require) -> Result<Self, RequireError> {
        let mut names = Names::default();
        names.collect(&require.rule)?;
        let Names { parts, bounds, .. } = names;
        if parts.len() > usize::from(u16::MAX) {
            return Err(RequireError::TooMany { variables: parts.len() });
        }
        let mut need = Self {
            groups: Vec::with_capacity(parts.len()),
            by_name: BTreeMap::new(),
            bounds: bounds.iter().map(|b| Arc::from(b.as_str())).collect(),
            once: 0,
            each: 0,
            test: Test::Never,
            mask: None,
        };
        for part in &parts {
            need.add(part, require.weights.get(&part.name).copied().unwrap_or(1.0));
        }
        check_weights(require, &parts)?;
        need.test = need.resolve(&require.rule)?;
        need.mask = need.static_mask();
        Ok(need)
    }

    fn add(&mut self, part: &Part, weight: f64) {
        let kind = match &part.each {
            None => {
                self.once += 1;
                Kind::Once(self.once - 1)
            }
            Some(up_to) => {
                let limit = match up_to {
                    UpTo::Fixed(n) => Limit::Fixed(*n),
                    UpTo::Declared(b) => Limit::Declared(self.bound(b).unwrap_or(u16::MAX)),
                };
                self.each += 1;
                Kind::Each(self.each - 1, limit)
            }
        };
        let name: Arc<str> = Arc::from(part.name.as_str());
        self.by_name.insert(Arc::clone(&name), self.groups.len() as u16);
        self.groups.push(Group { name, kind, weight });
    }

    fn resolve(&self, rule: &Rule) -> Result<Test, RequireError> {
        let unreachable = |why| RequireError::Unreachable { rule: rule.to_string(), why };
        let test = match rule {
            Rule::All(parts) => Test::All(self.numbers(parts)),
            Rule::Any(parts) => Test::Any(self.numbers(parts)),
            Rule::KOfN(0, _) | Rule::Count(0) => {
                return Err(unreachable("a number from 1 is needed"));
            }
            Rule::KOfN(k, parts) if *k as usize > parts.len() => {
                return Err(unreachable("it names fewer variables than it asks for"));
            }
            Rule::KOfN(k, parts) => Test::KOfN(*k, self.numbers(parts)),
            Rule::Count(n) => Test::Count(*n),
            Rule::CountFrom(bound) => Test::CountFrom(self.bound(bound).unwrap_or(u16::MAX)),
            Rule::Weighted(min, parts) => self.weighted(*min, parts).map_err(|e| match e {
                Some(e) => e,
                None => unreachable("the weights together are less than the minimum"),
            })?,
            Rule::Checked(_) => Test::Never,
            Rule::And(rules) => Test::And(self.resolve_all(rules)?),
            Rule::Or(rules) => Test::Or(self.resolve_all(rules)?),
        };
        Ok(test)
    }

    fn resolve_all(&self, rules: &[Rule]) -> Result<Vec<Test>, RequireError> {
        rules.iter().map(|r| self.resolve(r)).collect()
    }

    fn weighted(&self, min: f64, parts: &[(Part, f64)]) -> Result<Test, Option<RequireError>> {
        for (name, weight) in parts.iter().map(|(p, w)| (p.name.as_str(), *w)) {
            usable(name, weight)?;
        }
        usable("minimum", min)?;
        if parts.iter().map(|(_, w)| w).sum::<f64>() < min {
            return Err(None);
        }
        let group = |(p, w): &(Part, f64)| Some((self.group(&p.name)?, *w));
        Ok(Test::Weighted(min, parts.iter().filter_map(group).collect()))
    }

    fn numbers(&self, parts: &[Part]) -> Vec<u16> {
        parts.iter().filter_map(|p| self.group(&p.name)).collect()
    }

    /// The mask of a requirement that asks for single variables alone and fits one word.
    fn static_mask(&self) -> Option<u64> {
        let Test::All(groups) = &self.test else { return None };
        if self.each > 0 || self.once > 64 {
            return None;
        }
        groups.iter().try_fold(0, |mask, g| match self.groups[usize::from(*g)].kind {
            Kind::Once(bit) => Some(mask | 1 << bit),
            Kind::Each(..) => None,
        })
    }

    /// The number of a group of variables, by name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    /// The number of a bound, by name.
    #[must_use]
    pub fn bound(&self, name: &str) -> Option<u16> {
        self.bounds.iter().position(|b| &**b == name).map(|i| i as u16)
    }

    /// How many groups of variables there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The variable that a text names: `name`, or `name:3` for a numbered one.
    ///
    /// # Errors
    /// A [`RowError`] with cause `type` when no variable has that name and form.
    pub fn parse_var(&self, text: &str) -> Result<Var, RowError> {
        let is_once = |g: u16| matches!(self.groups[usize::from(g)].kind, Kind::Once(_));
        if let Some(g) = self.group(text).filter(|g| is_once(*g)) {
            return Ok(Var::one(g));
        }
        if let Some((name, number)) = text.rsplit_once(':')
            && let Some(g) = self.group(name).filter(|g| !is_once(*g))
            && let Ok(n @ 1..) = number.parse()
        {
            return Ok(Var::nth(g, n));
        }
        Err(RowError::wrong_type(format!("`{text}` is no variable of the requirement")))
    }

    pub(crate) fn bounds(&self) -> usize {
        self.bounds.len()
    }

    /// The mask when `mask & need == need` is the whole test.
    pub(crate) const fn inline_mask(&self) -> Option<u64> {
        self.mask
    }

    /// Whether variables tell fragments apart at all.
    pub(crate) fn names_variables(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The bit of a variable; numbers above `max` are refused.
    ///
    /// # Errors
    /// A [`RowError`] with cause `type` when the requirement has no such variable.
    #[inline]
    pub(crate) fn bit(&self, var: Var, max: u32) -> Result<u64, RowError> {
        if self.groups.is_empty() {
            return Ok(0);
        }
        match self.groups.get(usize::from(var.group)).map(|g| g.kind) {
            Some(Kind::Once(bit)) if var.index == 0 => Ok(bit),
            Some(Kind::Each(rank, _)) if var.index > 0 && var.index <= max => {
                Ok(self.once + u64::from(var.index - 1) * self.each + rank)
            }
            _ => Err(self.no_such(var, max)),
        }
    }

    #[cold]
    fn no_such(&self, var: Var, max: u32) -> RowError {
        let what = match self.groups.get(usize::from(var.group)) {
            None => format!("variable number {} is not in the requirement", var.group),
            Some(Group { name, kind: Kind::Once(_), .. }) => {
                format!("variable `{name}` comes once, not as number {}", var.index)
            }
            Some(Group { name, .. }) if var.index == 0 => {
                format!("variable `{name}` needs a number from 1")
            }
            Some(Group { name, .. }) => {
                format!("number {} of variable `{name}` is above {max}", var.index)
            }
        };
        RowError::new(DeadCause::Type, what)
    }

    fn limit(&self, limit: Limit, seen: &Seen<'_>) -> Option<u32> {
        match limit {
            Limit::Fixed(n) => Some(n),
            Limit::Declared(b) => {
                seen.bounds.get(usize::from(b)).copied().filter(|n| *n != UNKNOWN)
            }
        }
    }

    fn nth(&self, rank: u64, index: u32) -> u64 {
        self.once + u64::from(index - 1) * self.each + rank
    }

    /// Whether the whole group is there.
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
    pub(crate) fn complete(&self, seen: &Seen<'_>) -> bool {
        self.passes(&self.test, seen)
    }

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
            Test::Count(n) => seen.fragments >= *n,
            Test::CountFrom(b) => {
                let n = seen.bounds.get(usize::from(*b)).copied();
                n.is_some_and(|n| n != UNKNOWN && seen.fragments >= n)
            }
            Test::Weighted(min, groups) => self.weight_of(groups, seen) >= *min,
            Test::Never => false,
            Test::And(tests) => tests.iter().all(|t| self.passes(t, seen)),
            Test::Or(tests) => tests.iter().any(|t| self.passes(t, seen)),
        }
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
            Test::Count(n) => (f64::from(seen.fragments.min(*n)), f64::from(*n)),
            Test::CountFrom(b) => match seen.bounds.get(usize::from(*b)).copied() {
                Some(n) if n != UNKNOWN => (f64::from(seen.fragments.min(n)), f64::from(n)),
                _ => (f64::from(seen.fragments), f64::from(seen.fragments) + 1.0),
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

fn usable(name: &str, weight: f64) -> Result<(), RequireError> {
    if weight.is_finite() && weight >= 0.0 {
        return Ok(());
    }
    Err(RequireError::Weight { name: name.to_owned(), weight })
}

fn check_weights(require: &Require, parts: &[Part]) -> Result<(), RequireError> {
    for (name, weight) in &require.weights {
        usable(name, *weight)?;
        if !parts.iter().any(|p| p.name == *name) {
            return Err(RequireError::WeightOfUnknown { name: name.clone() });
        }
    }
    Ok(())
}

/// Every variable and bound in the order of first mention.
#[derive(Default)]
struct Names {
    parts: Vec<Part>,
    at: BTreeMap<String, usize>,
    bounds: Vec<String>,
}

impl Names {
    fn collect(&mut self, rule: &Rule) -> Result<(), RequireError> {
        let own: Vec<&Part> = match rule {
            Rule::And(rules) | Rule::Or(rules) if !rules.is_empty() => {
                return rules.iter().try_for_each(|r| self.collect(r));
            }
            Rule::And(_) | Rule::Or(_) => Vec::new(),
            Rule::CountFrom(bound) => {
                self.bound(bound);
                return Ok(());
            }
            Rule::Count(_) => return Ok(()),
            Rule::Checked(own) if own.is_empty() => return Ok(()),
            Rule::All(own) | Rule::Any(own) | Rule::KOfN(_, own) | Rule::Checked(own) => {
                own.iter().collect()
            }
            Rule::Weighted(_, own) => own.iter().map(|(p, _)| p).collect(),
        };
        if own.is_empty() {
            return Err(RequireError::Empty { rule: rule.to_string() });
        }
        let mut names = BTreeSet::new();
        for part in own {
            if !names.insert(part.name.as_str()) {
                let name = part.name.clone();
                return Err(RequireError::Twice { rule: rule.to_string(), name });
            }
            self.part(part)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), RequireError> {
        if let Some(UpTo::Declared(bound)) = &part.each {
            self.bound(bound);
        }
        match self.at.get(&part.name).map(|i| &self.parts[*i]) {
            None => {
                self.at.insert(part.name.clone(), self.parts.len());
                self.parts.push(part.clone());
                Ok(())
            }
            Some(before) if before == part => Ok(()),
            Some(before) => {
                let (first, second) = (before.to_string(), part.to_string());
                Err(RequireError::TwoForms { name: part.name.clone(), first, second })
            }
        }
    }

    fn bound(&mut self, bound: &str) {
        if !self.bounds.iter().any(|b| b == bound) {
            self.bounds.push(bound.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
