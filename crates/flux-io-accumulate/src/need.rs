//! A requirement compiled: names are numbers, variables are bits.
//!
//! Bits: variables that come once first, in the order of the requirement, then the numbered ones
//! interleaved by number (`shipped:1 received:1 shipped:2 …`), so that a key with few lines stays
//! in the first word.

mod beyond;
mod judge;
mod names;

use crate::require::{Part, Require, RequireError, Rule, UpTo};
use crate::set::Bits;
use flux_io_core::{DeadCause, RowError, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use judge::clamp_score;
use names::Names;

/// The place of a bound that was not declared yet.
pub(crate) const UNKNOWN: u32 = u32::MAX;

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

impl Limit {
    /// The largest number that a variable may have, `max` being that of the policy.
    #[inline]
    fn most(self, max: u32) -> u32 {
        match self {
            Self::Declared(_) => max,
            Self::Fixed(n) => n.min(max),
        }
    }
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
    pub(crate) fragments: u64,
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

    #[inline]
    pub(crate) fn bounds(&self) -> usize {
        self.bounds.len()
    }

    /// The mask when `mask & need == need` is the whole test.
    #[inline]
    pub(crate) const fn inline_mask(&self) -> Option<u64> {
        self.mask
    }

    /// How many fragments are needed, when that is the whole test.
    #[inline]
    pub(crate) const fn count(&self) -> Option<u32> {
        match self.test {
            Test::Count(n) => Some(n),
            _ => None,
        }
    }

    /// Whether variables tell fragments apart at all.
    #[inline]
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
            Some(Kind::Each(rank, limit)) if var.index > 0 && var.index <= limit.most(max) => {
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
            Some(Group { name, kind: Kind::Each(_, limit), .. }) => {
                let max = limit.most(max);
                format!("number {} of variable `{name}` is above {max}", var.index)
            }
        };
        RowError::new(DeadCause::Type, what)
    }
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

#[cfg(test)]
mod tests;
