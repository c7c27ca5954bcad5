//! What a declared bound rules out.

use super::{Group, Kind, Limit, Need, UNKNOWN};
use crate::table::Tail;
use flux_io_core::{DeadCause, RowError, Var};

impl Need {
    /// The number of the bound that a variable goes up to, where fragments declare it.
    #[inline]
    pub(crate) fn limit_of(&self, var: Var) -> Option<u16> {
        match self.groups.get(usize::from(var.group)).map(|g| g.kind) {
            Some(Kind::Each(_, Limit::Declared(bound))) => Some(bound),
            _ => None,
        }
    }

    /// The variable of a bit.
    pub(crate) fn var_of(&self, bit: u64) -> Var {
        let of = |g: &Group| match g.kind {
            Kind::Once(own) => own == bit,
            Kind::Each(rank, _) => bit >= self.once && (bit - self.once) % self.each == rank,
        };
        let group = self.groups.iter().position(of).unwrap_or_default() as u16;
        match self.groups.get(usize::from(group)).map(|g| g.kind) {
            Some(Kind::Each(..)) => {
                let index = (bit - self.once) / self.each + 1;
                Var::nth(group, u32::try_from(index).unwrap_or(UNKNOWN))
            }
            _ => Var::one(group),
        }
    }

    /// Whether fragments declare how far the numbers of a bit's variable go.
    pub(crate) fn limited(&self, bit: u64) -> bool {
        self.limit_of(self.var_of(bit)).is_some()
    }

    /// The groups of variables that go up to this bound.
    pub(crate) fn limited_by(&self, bound: u16) -> impl Iterator<Item = u16> + use<'_> {
        let groups = self.groups.iter().zip(0_u16..);
        groups.filter_map(move |(g, n)| match g.kind {
            Kind::Each(_, Limit::Declared(own)) if own == bound => Some(n),
            _ => None,
        })
    }

    /// Whether numbered variables go up to bounds that fragments declare.
    pub(crate) fn declares_numbers(&self) -> bool {
        self.groups.iter().any(|g| matches!(g.kind, Kind::Each(_, Limit::Declared(_))))
    }

    /// Whether a fragment may be a member of a key with these bounds.
    #[inline(always)]
    pub(crate) fn fits(
        &self,
        bounds: &[u32],
        var: Var,
        declares: Option<(u16, u32)>,
        max: u32,
    ) -> bool {
        let known = |b: u16| bounds.get(usize::from(b)).copied().unwrap_or(UNKNOWN);
        let limit = self.limit_of(var);
        let mut last = limit.map_or(UNKNOWN, known);
        if let Some((which, n)) = declares {
            let before = known(which);
            if usize::from(which) >= self.bounds.len()
                || n > max.min(UNKNOWN - 1)
                || (before != UNKNOWN && before != n)
            {
                return false;
            }
            if limit == Some(which) {
                last = n;
            }
        }
        var.index <= last
    }

    /// Why a fragment is no member of a key with these bounds: it declares another bound, or its
    /// number is beyond the one that the key, or it itself, declares.
    #[inline]
    pub(crate) fn contradiction(
        &self,
        bounds: &[u32],
        var: Var,
        declares: Option<(u16, u32)>,
    ) -> Option<RowError> {
        let known = |b: u16| bounds.get(usize::from(b)).copied().unwrap_or(UNKNOWN);
        if let Some((which, n)) = declares {
            let before = known(which);
            if before != UNKNOWN && before != n {
                return Some(self.other_bound(which, n, before));
            }
        }
        let limit = self.limit_of(var)?;
        let own = declares.filter(|d| d.0 == limit).map_or(UNKNOWN, |d| d.1);
        let last = known(limit).min(own);
        (var.index > last).then(|| RowError::new(DeadCause::Conflict, self.number_text(var, last)))
    }

    #[cold]
    fn other_bound(&self, which: u16, n: u32, before: u32) -> RowError {
        let name = &self.bounds[usize::from(which)];
        let what = format!("it declares {n} for `{name}`, but its key has {before} already");
        RowError::new(DeadCause::Conflict, what)
    }

    #[cold]
    fn number_text(&self, var: Var, last: u32) -> String {
        let name = &self.groups[usize::from(var.group)].name;
        format!("number {} of `{name}` is beyond {last}, the bound its key declares", var.index)
    }

    /// The text for fragments of a group that came before the bound that rules them out.
    pub(crate) fn beyond_text(&self, group: u16, last: u32) -> String {
        let name = &self.groups[usize::from(group)].name;
        format!("a number of `{name}` is beyond {last}, the bound its key declared afterwards")
    }

    /// Whether a bit may be of a number above `last`.
    #[inline]
    pub(crate) fn may_exceed(&self, bit: u64, last: u32) -> bool {
        bit >= self.once + u64::from(last) * self.each
    }

    /// How many fragments of a group are numbered above `last`.
    pub(crate) fn beyond(&self, tail: &Tail, mask: u64, group: u16, last: u32) -> u64 {
        let Kind::Each(rank, _) = self.groups[usize::from(group)].kind else { return 0 };
        let more = tail.more.as_deref();
        let of = |bit: &u64| self.may_exceed(*bit, last) && (bit - self.once) % self.each == rank;
        let repeats = |bit: u64| more.and_then(|m| m.repeats.get(&bit)).copied().unwrap_or(0);
        tail.bits(mask).iter().filter(of).map(|bit| 1 + repeats(bit)).sum()
    }
}
