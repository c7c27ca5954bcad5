//! New fragments of keys that have left.

use super::bounds::{Declared, refuse_fragment, repeat};
use super::guard::{Blame, Charge};
use super::row::{Fragment, add_fragment};
use super::{Accumulator, Left};
use crate::need::{Need, Seen, UNKNOWN, clamp_score};
use crate::policy::OnLate;
use crate::tombs::Tomb;
use flux_io_core::mutant;
use flux_io_core::{Accumulate, Column, Headers, KeyOf, Meta, Outcome, Reason, RowError};

/// How a tombstone remembers a fragment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Met {
    /// As a late one, with the bound that it declares.
    Late(Declared),
    /// As none of the key's.
    Refused,
}

/// What a late fragment becomes.
struct Made<K, O> {
    key: K,
    value: O,
    /// The state with it, written again, where the result is corrected.
    saved: Option<Box<[u8]>>,
}

type MadeOf<KO, A, C> = Made<<KO as KeyOf<C>>::Key, <A as Accumulate<C>>::Out>;

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Counts a late fragment, remembers its identity, and does what the policy says. A fragment
    /// that cannot be merged is a dead letter and is not remembered; one that a bound rules out is
    /// one, too, and is.
    #[cold]
    pub(super) fn late(
        &mut self,
        tomb: u32,
        col: &mut C,
        meta: &Meta,
        f: &Fragment,
        ob: &mut Vec<Left<KO, A, C>>,
    ) {
        let bound = self.bound(col.row(f.row), None);
        if let Err(e) = self.check_bound(bound) {
            return self.dead_row(col, meta, f.row, e);
        }
        let mut first = [UNKNOWN; 2];
        let known = self.tombs.get(tomb).bounds(self.plan.need.bounds(), &mut first);
        if let Some(e) = self.plan.need.contradiction(known, self.plan.need.var_of(f.bit), bound) {
            self.remember(tomb, f, Met::Refused);
            return self.dead_row(col, meta, f.row, e);
        }
        // A late fragment declares nothing, unless results are corrected.
        let bound = bound.filter(|_| self.plan.policy.on_late == OnLate::Correct);
        let charge = Charge::new(&self.blame, Blame::Late { what: "`merge`", tomb, fragment: *f });
        let made = self.made_of(tomb, col, f, bound);
        charge.done();
        let made = match made {
            Ok(made) => made,
            Err(e) => return self.dead_row(col, meta, f.row, e),
        };
        self.tally.late += 1;
        if !mutant!(LateForgotten) {
            self.remember(tomb, f, Met::Late(bound));
        }
        let Some(Made { key, value, saved }) = made else { return };
        let t = self.tombs.get(tomb);
        let (generation, headers) = (t.generation, corrected(&self.plan.need, t));
        if let Some(saved) = saved {
            self.tombs.change(tomb, &mut self.purse, |t| {
                t.rest.get_or_insert_default().saved = Some(saved)
            });
            self.tally.emitted[3] += 1;
            ob.push(Outcome::Corrected { key, value, headers });
        } else {
            let headers = Headers { fragments: 1, generation, ..alone(&self.plan.need, f) };
            self.tally.emitted[2] += 1;
            ob.push(Outcome::Late { key, value, headers });
        }
    }

    /// What user code makes of a late fragment; nothing is changed by it.
    fn made_of(
        &self,
        tomb: u32,
        col: &mut C,
        f: &Fragment,
        bound: Declared,
    ) -> Result<Option<MadeOf<KO, A, C>>, RowError> {
        let acc = &self.plan.acc;
        let t = self.tombs.get(tomb);
        let Some(key) = &t.key else { return Ok(None) };
        let mut state = match (self.plan.policy.on_late, t.saved()) {
            (OnLate::Drop | OnLate::NewGeneration, _) => return Ok(None),
            (OnLate::Correct, Some(saved)) => acc.load(saved)?,
            _ => acc.init(),
        };
        acc.update(&mut state, col.row_mut(f.row), f.at)?;
        let mut saved = None;
        if t.saved().is_some() {
            if let Some((which, n)) = bound {
                let groups = self.plan.need.limited_by(which);
                groups.for_each(|group| _ = acc.take_back(&mut state, group, n));
            }
            let mut bytes = Vec::new();
            acc.save(&state, &mut bytes)?;
            saved = Some(bytes.into_boxed_slice());
        }
        Ok(Some(Made { value: acc.finish(key, &mut state), key: key.clone(), saved }))
    }

    pub(super) fn remember(&mut self, tomb: u32, f: &Fragment, how: Met) {
        let (identity, need) = (self.traits.identity, &self.plan.need);
        self.tombs.change(tomb, &mut self.purse, |t| {
            let Met::Late(bound) = how else {
                return t.with_tail(|tail, _| refuse_fragment(identity, tail, f));
            };
            t.rest.get_or_insert_default().late += 1;
            let beyond = t.with_tail(|tail, mask| {
                let new = add_fragment(identity, tail, mask, f);
                if !new && need.limited(f.bit) {
                    repeat(tail, f.bit);
                }
                let Some((which, n)) = bound else { return 0 };
                if !tail.declare(usize::from(which), need.bounds(), n) {
                    return 0;
                }
                need.limited_by(which).map(|g| need.beyond(tail, *mask, g, n)).sum::<u64>()
            });
            t.rest.get_or_insert_default().beyond += super::clamp(beyond);
        });
    }
}

/// The headers of a corrected result.
fn corrected<K>(need: &Need, t: &Tomb<K>) -> Headers {
    let mut first = [UNKNOWN; 2];
    let seen = t.seen(need, &mut first);
    let missing = need.missing(&seen);
    Headers {
        completeness: need.score(&seen),
        missing: (!missing.is_empty()).then(|| missing.into_boxed_slice()),
        spilled: false,
        reason: Reason::Late,
        fragments: t.members(),
        generation: t.generation,
    }
}

/// The headers of a late fragment alone.
fn alone(need: &Need, f: &Fragment) -> Headers {
    let mut words = crate::set::Words::default();
    if f.bit >= 64 {
        words.insert(f.bit - 64);
    }
    let first = if f.bit < 64 { 1 << f.bit } else { 0 };
    let bits = crate::set::Bits { first, rest: words.as_slice() };
    let unknown = vec![UNKNOWN; need.bounds()];
    let seen = Seen { bits, vars: 1, fragments: 1, bounds: &unknown };
    Headers {
        completeness: clamp_score(need.score(&seen)),
        missing: None,
        spilled: false,
        reason: Reason::Late,
        fragments: 1,
        generation: 0,
    }
}
