//! Declared bounds: which parts they rule out, whichever comes first, the part or the bound.

use super::guard::{Blame, Charge, quietly};
use super::row::Fragment;
use super::{Accumulator, Dead};
use crate::need::UNKNOWN;
use crate::policy::Identity;
use crate::table::Tail;
use flux_io_core::{
    Accumulate, Class, Column, DeadCause, ErrorRecord, Key, KeyOf, Original, RowError, Var,
};
use std::sync::Arc;

/// The bound that a row declares: its number in the requirement, and how many.
pub(super) type Declared = Option<(u16, u32)>;

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// The bound that a row declares; `opened` is the slot that it has opened.
    #[inline(always)]
    pub(super) fn bound(&self, row: C::Ref<'_>, opened: Option<u32>) -> Declared {
        let charge = Charge::new(&self.blame, Blame::Row { what: "`bound`", opened });
        let bound = self.plan.acc.bound(row);
        charge.done();
        bound
    }

    pub(super) fn check_bound(&self, bound: Declared) -> Result<(), RowError> {
        let Some((which, n)) = bound else { return Ok(()) };
        if usize::from(which) >= self.plan.need.bounds() {
            let what = format!("bound number {which} is not in the requirement");
            return Err(RowError::wrong_type(what));
        }
        // The largest number stands for a bound that is not known.
        let max = self.plan.policy.max_index.min(UNKNOWN - 1);
        if n > max {
            return Err(RowError::wrong_type(format!("the declared bound {n} is above {max}")));
        }
        Ok(())
    }

    /// Whether a fragment of an open key may be one of its members.
    #[inline(always)]
    pub(super) fn fits(&self, slot: u32, var: Var, bound: Declared) -> bool {
        if !self.traits.bounded {
            return bound.is_none();
        }
        let bounds = self.table.tails[slot as usize].bounds(self.plan.need.bounds());
        self.plan.need.fits(bounds, var, bound, self.plan.policy.max_index)
    }

    /// Why it may not. What has no such bound is a failed row; what contradicts its key is met.
    #[cold]
    pub(super) fn unfit(
        &mut self,
        slot: u32,
        opened: bool,
        (f, var): (&Fragment, Var),
        bound: Declared,
    ) -> RowError {
        if let Err(e) = self.check_bound(bound) {
            self.give_up(opened.then_some(slot));
            return e;
        }
        let bounds = self.table.tails[slot as usize].bounds(self.plan.need.bounds());
        let e = self.plan.need.contradiction(bounds, var, bound);
        self.refuse(slot, opened, f);
        e.unwrap_or_else(|| RowError::new(DeadCause::Conflict, "it contradicts its key"))
    }

    /// A fragment that is no member is met all the same: its copies are duplicates. The key that it
    /// alone has opened is not opened.
    fn refuse(&mut self, slot: u32, opened: bool, f: &Fragment) {
        if opened {
            return self.give_up(Some(slot));
        }
        let tail = &mut self.table.tails[slot as usize];
        let before = tail.heap_bytes();
        refuse_fragment(self.traits.identity, tail, f);
        let more = tail.heap_bytes().saturating_sub(before) as u64;
        tail.heap = tail.heap.saturating_add(more);
        self.tally.heap += u128::from(more);
        _ = self.purse.owe(more);
    }

    /// Notes what the requirement's bounds need to know of a fragment that was merged.
    #[inline]
    pub(super) fn note_bound(&mut self, slot: u32, f: &Fragment, new: bool, bound: Declared) {
        let tail = &mut self.table.tails[slot as usize];
        if !new && self.plan.need.limited(f.bit) {
            repeat(tail, f.bit);
        }
        if let Some((which, n)) = bound
            && tail.declare(usize::from(which), self.plan.need.bounds(), n)
        {
            self.withdraw(slot, which, n);
        }
    }

    /// A bound is known from here on: fragments beyond it that were merged before are members no
    /// longer.
    fn withdraw(&mut self, slot: u32, which: u16, n: u32) {
        let highest = self.seen(slot).bits.highest();
        if highest.is_none_or(|bit| !self.plan.need.may_exceed(bit, n)) {
            return;
        }
        let need = Arc::clone(&self.plan.need);
        for group in need.limited_by(which) {
            self.withdraw_group(slot, group, n);
        }
    }

    #[cold]
    fn withdraw_group(&mut self, slot: u32, group: u16, n: u32) {
        let mask = self.mask(slot);
        let count = self.plan.need.beyond(&self.table.tails[slot as usize], mask, group, n);
        if count == 0 {
            return;
        }
        let row = &mut self.table.rows[slot as usize];
        let charge = Charge::new(&self.blame, Blame::Key { what: "`take_back`", slot });
        let originals = self.plan.acc.take_back(&mut row.state, group, n);
        charge.done();
        let key = row.key.as_ref().and_then(|k| quietly(|| k.to_key_bytes()));
        self.table.tails[slot as usize].fragments -= count;
        self.tally.held -= count;
        self.ledger.add(Class::DeadLetter(DeadCause::Conflict), count);
        let what = self.plan.need.beyond_text(group, n);
        let each = originals.unwrap_or_default();
        if each.len() as u64 == count {
            each.into_iter().for_each(|o| self.ruled_out(&what, key.as_ref(), 1, o));
        } else {
            self.ruled_out(&what, key.as_ref(), count, Original::None);
        }
    }

    fn ruled_out(&mut self, what: &str, key: Option<&Vec<u8>>, items: u64, original: Original) {
        let mut record = ErrorRecord::new(DeadCause::Conflict, what);
        record.stage = self.home.map_or_else(Default::default, |h| h.id);
        record.key = key.cloned();
        (record.items, record.original) = (items, original);
        self.dead.push(Dead { row: None, record });
    }
}

/// Notes one more fragment of a variable that is there.
pub(super) fn repeat(tail: &mut Tail, bit: u64) {
    *tail.more.get_or_insert_default().repeats.entry(bit).or_default() += 1;
}

/// Notes a fragment as met that is no member.
pub(super) fn refuse_fragment(identity: Identity, tail: &mut Tail, f: &Fragment) {
    match identity {
        Identity::Variable => _ = tail.more.get_or_insert_default().refused.insert(f.bit),
        Identity::SourceSeq | Identity::Id => {
            tail.more.get_or_insert_default().ids.insert(f.id);
        }
        Identity::Each => {}
    }
}
