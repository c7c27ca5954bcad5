//! New fragments of keys that have left.

use super::row::{Fragment, add_fragment};
use super::{Accumulator, Left};
use crate::need::{Need, Seen, clamp_score};
use crate::policy::OnLate;
use crate::tombs::Tomb;
use flux_io_core::mutant;
use flux_io_core::{Accumulate, Column, Headers, KeyOf, Meta, Outcome, Reason, RowError};

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Counts a late fragment, remembers its identity, and does what the policy says. A fragment
    /// that cannot be merged is a dead letter and is not remembered.
    #[cold]
    pub(super) fn late(
        &mut self,
        tomb: u32,
        col: &mut C,
        meta: &Meta,
        f: &Fragment,
        ob: &mut Vec<Left<KO, A, C>>,
    ) {
        let bound = self.plan.acc.bound(col.row(f.row));
        let correct = self.tombs.get(tomb).saved().is_some();
        let merged = self.check_bound(bound).and_then(|()| match self.plan.policy.on_late {
            OnLate::Drop | OnLate::NewGeneration => Ok(None),
            OnLate::Correct if correct => self.corrected_state(tomb, col, f).map(Some),
            OnLate::SideOutput | OnLate::Correct => {
                let mut state = self.plan.acc.init();
                let merged = self.plan.acc.update(&mut state, col.row_mut(f.row), f.at);
                merged.map(|()| Some((state, None)))
            }
        });
        let merged = match merged {
            Ok(merged) => merged,
            Err(e) => {
                self.dead_row(col, meta, f.row, e);
                return;
            }
        };
        self.tally.late += 1;
        if !mutant!(LateForgotten) {
            self.remember(tomb, f, bound);
        }
        let Some((mut state, saved)) = merged else { return };
        let t = self.tombs.get(tomb);
        let Some(key) = t.key.clone() else { return };
        let (generation, headers) = (t.generation, corrected(&self.plan.need, t));
        if let Some(saved) = saved {
            self.tombs.change(tomb, &mut self.purse, |t| {
                t.rest.get_or_insert_default().saved = Some(saved)
            });
            let value = self.plan.acc.finish(&key, &mut state);
            self.tally.emitted[3] += 1;
            ob.push(Outcome::Corrected { key, value, headers });
        } else {
            let headers = Headers { fragments: 1, generation, ..alone(&self.plan.need, f) };
            let value = self.plan.acc.finish(&key, &mut state);
            self.tally.emitted[2] += 1;
            ob.push(Outcome::Late { key, value, headers });
        }
    }

    /// The state that was kept, with the fragment in it, and the same written again.
    fn corrected_state(
        &mut self,
        tomb: u32,
        col: &mut C,
        f: &Fragment,
    ) -> Result<(A::State, Option<Box<[u8]>>), RowError> {
        let saved = self.tombs.get(tomb).saved().unwrap_or_default();
        let mut state = self.plan.acc.load(saved)?;
        self.plan.acc.update(&mut state, col.row_mut(f.row), f.at)?;
        let mut bytes = Vec::new();
        self.plan.acc.save(&state, &mut bytes)?;
        Ok((state, Some(bytes.into_boxed_slice())))
    }

    fn remember(&mut self, tomb: u32, f: &Fragment, bound: Option<(u16, u32)>) {
        let (identity, bounds) = (self.traits.identity, self.plan.need.bounds());
        self.tombs.change(tomb, &mut self.purse, |t| {
            t.late += 1;
            t.with_tail(|tail, mask| {
                add_fragment(identity, tail, mask, f);
                if let Some((which, n)) = bound {
                    tail.declare(usize::from(which), bounds, n);
                }
            });
        });
    }
}

/// The headers of a corrected result.
fn corrected<K>(need: &Need, t: &Tomb<K>) -> Headers {
    let seen = t.seen(need);
    let missing = need.missing(&seen);
    Headers {
        completeness: need.score(&seen),
        missing: (!missing.is_empty()).then(|| missing.into_boxed_slice()),
        spilled: false,
        reason: Reason::Late,
        fragments: t.fragments + t.late,
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
    let unknown = vec![crate::need::UNKNOWN; need.bounds()];
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
