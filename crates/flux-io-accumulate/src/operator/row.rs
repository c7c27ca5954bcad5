//! One row: find its key, judge it, merge it, see whether the key leaves.

use super::guard::{Blame, Charge, drop_quietly, quietly, same};
use super::traits::{ALL, COUNT, MASK};
use super::{Accumulator, Dead, Left, none};
use crate::index::NONE;
use crate::policy::{After, Identity, OnDuplicate, OnLate, OnUnkeyed};
use crate::table::Tail;
use flux_io_core::mutant;
use flux_io_core::{
    Accumulate, At, Batch, Class, Column, Completeness, DeadCause, ErrorRecord, Key, KeyOf, Meta,
    Reason, RowError, UNKEYED, Var,
};

/// What makes the fragment itself, beside its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    /// Its row in the batch.
    pub(super) row: usize,
    /// The bit of its variable.
    pub(super) bit: u64,
    /// Its identity, where that is not its variable.
    pub(super) id: (u64, u64),
    pub(super) at: At,
}

/// Where a row's key stands.
enum Place {
    /// Open since before this row.
    Open(u32),
    /// Opened for this row.
    Opened(u32),
    /// The row is dealt with.
    Done,
}

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Handles row `i`. Returns whether a result may have been emitted or a fault noted.
    #[inline(always)]
    pub(super) fn row<const KEPT: u8>(
        &mut self,
        input: &mut Batch<C>,
        i: usize,
        hint: (u32, u32),
        ob: &mut Vec<Left<KO, A, C>>,
    ) -> bool {
        let Batch { col, meta } = input;
        let row = col.row(i);
        let (key, blame) = (&self.plan.key, &self.blame);
        let mut slot = hint.1;
        if !self.table.holds(slot, |k| same(blame, key, row, slot, k)) {
            slot = self.table.find(hint.0, |s, k| same(blame, key, row, s, k));
        }
        let charge = Charge::new(blame, Blame::Row { what: "`var`", opened: None });
        let var = self.plan.acc.var(row);
        charge.done();
        let (var, bit) = match var.and_then(|v| Ok((v, self.bit_of::<KEPT>(v)?))) {
            Ok(one) => one,
            Err(e) => {
                self.dead_row(col, meta, i, e);
                return false;
            }
        };
        let at = self.at(meta, i);
        let id = if KEPT == ALL { self.identity(row, meta, i) } else { (0, 0) };
        let fragment = Fragment { row: i, bit, id, at };
        let mut opened = false;
        if none(slot) {
            match self.place(col, meta, hint.0, &fragment, ob) {
                Place::Open(s) => slot = s,
                Place::Opened(s) => (slot, opened) = (s, true),
                Place::Done => return true,
            }
        }
        if !opened && self.counted::<KEPT>(slot, &fragment) {
            self.duplicate(col, meta, i);
            return false;
        }
        let bound = if KEPT == ALL { self.bound(col.row(i), opened.then_some(slot)) } else { None };
        if KEPT == ALL && !self.fits(slot, var, bound) {
            let e = self.unfit(slot, opened, (&fragment, var), bound);
            self.dead_row(col, meta, i, e);
            return true;
        }
        let charge = Charge::new(&self.blame, Blame::Merge { slot, fragment });
        let state = &mut self.table.rows[slot as usize].state;
        let merged = self.plan.acc.update(state, col.row_mut(i), at);
        charge.done();
        if let Err(e) = merged {
            self.give_up(opened.then_some(slot));
            self.dead_row(col, meta, i, e);
            return true;
        }
        self.forget_reopening();
        self.note::<KEPT>(slot, &fragment, bound);
        self.judge::<KEPT>(slot, opened, at, ob)
    }

    /// When row `i` comes.
    #[inline(always)]
    pub(super) fn at(&self, meta: &Meta, i: usize) -> At {
        At { time: meta.time.at(i), watermark: self.watermark, now: self.now }
    }

    #[inline(always)]
    fn bit_of<const KEPT: u8>(&self, var: Var) -> Result<u64, RowError> {
        if KEPT == MASK && var.index == 0 && u32::from(var.group) < self.traits.variables {
            return Ok(u64::from(var.group));
        }
        self.plan.need.bit(var, self.plan.policy.max_index)
    }

    pub(super) fn identity(&self, row: C::Ref<'_>, meta: &Meta, i: usize) -> (u64, u64) {
        match self.traits.identity {
            Identity::Variable | Identity::Each => (0, 0),
            Identity::SourceSeq => (u64::from(meta.source.0), meta.seq.at(i)),
            Identity::Id => {
                let blame = Blame::Row { what: "`identity`", opened: None };
                let charge = Charge::new(&self.blame, blame);
                let id = self.plan.acc.identity(row);
                charge.done();
                (0, id)
            }
        }
    }

    /// Whether an open key has counted this fragment already.
    #[inline(always)]
    fn counted<const KEPT: u8>(&self, slot: u32, f: &Fragment) -> bool {
        let mask = self.table.rows[slot as usize].mask;
        match KEPT {
            MASK => return mask >> f.bit & 1 == 1,
            COUNT => return false,
            _ => {}
        }
        holds_fragment(self.traits.identity, &self.table.tails[slot as usize], mask, f)
    }

    /// Counts a merged fragment in.
    #[inline(always)]
    fn note<const KEPT: u8>(&mut self, slot: u32, f: &Fragment, bound: Option<(u16, u32)>) {
        let row = &mut self.table.rows[slot as usize];
        self.tally.held += 1;
        match KEPT {
            MASK => {
                row.mask |= 1 << f.bit;
                return;
            }
            COUNT => {
                row.mask += 1;
                return;
            }
            _ => {}
        }
        let tail = &mut self.table.tails[slot as usize];
        let new = add_fragment(self.traits.identity, tail, &mut row.mask, f);
        tail.fragments += 1;
        if self.traits.bounded {
            self.note_bound(slot, f, new, bound);
        }
        let t = &self.traits;
        if t.watches {
            let (_, watch) = self.table.timed(slot);
            let time = f.at.time.0;
            watch.newest = watch.newest.max(time);
            if let Some(gap) = t.idle {
                watch.idle_at = watch.idle_at.max(time.saturating_add(gap));
            }
            if let Some(gap) = t.quiet {
                watch.quiet_at = watch.quiet_at.max(self.now.0.saturating_add(gap));
            }
        }
        if t.lru {
            self.table.touch(slot);
        }
        self.weigh(slot);
    }

    /// Charges what the key has grown by.
    pub(super) fn weigh(&mut self, slot: u32) {
        let row = &self.table.rows[slot as usize];
        let charge = Charge::new(&self.blame, Blame::Key { what: "`weigh`", slot });
        let state = if self.plan.policy.weighed { self.plan.acc.weight(&row.state) } else { 0 };
        let key = row.key.as_ref().map_or(0, Key::heap_bytes);
        charge.done();
        let tail = &mut self.table.tails[slot as usize];
        let heap = state.saturating_add(key).saturating_add(tail.heap_bytes()) as u64;
        let before = std::mem::replace(&mut tail.heap, heap);
        self.tally.heap = self.tally.heap + u128::from(heap) - u128::from(before);
        if heap >= before {
            _ = self.purse.owe(heap - before);
        } else {
            self.purse.release(before - heap);
        }
    }

    /// Whether the key leaves now.
    #[inline(always)]
    fn judge<const KEPT: u8>(
        &mut self,
        slot: u32,
        opened: bool,
        at: At,
        ob: &mut Vec<Left<KO, A, C>>,
    ) -> bool {
        let charge = Charge::new(&self.blame, Blame::Key { what: "`check`", slot });
        let verdict = self.plan.acc.check(&self.table.rows[slot as usize].state, at);
        charge.done();
        let complete = match verdict {
            Some(Completeness::Complete) => true,
            Some(Completeness::Incomplete { .. }) => false,
            Some(Completeness::Expired) => {
                let exit = self.exit_at_deadline(Reason::Ttl);
                self.leave(slot, exit, ob);
                return true;
            }
            None if KEPT == MASK => {
                let need = self.traits.need_mask;
                self.table.rows[slot as usize].mask & need == need
            }
            None if KEPT == COUNT => self.table.rows[slot as usize].mask >= self.traits.need_mask,
            None => self.plan.need.complete(&self.seen(slot)),
        };
        if complete {
            self.leave(slot, super::leave::Exit::Complete, ob);
            return true;
        }
        if KEPT != ALL && !opened {
            return false;
        }
        self.settle(slot, opened, ob)
    }

    /// What follows a row that left its key open: deadlines that are over already, and limits.
    fn settle(&mut self, slot: u32, opened: bool, ob: &mut Vec<Left<KO, A, C>>) -> bool {
        if opened && self.arm(slot, ob) {
            return true;
        }
        (self.traits.key_limits || self.traits.limits) && self.enforce(slot, ob)
    }

    /// Takes back the opening of a key whose first fragment failed.
    pub(super) fn give_up(&mut self, opened: Option<u32>) {
        if let Some(slot) = opened {
            drop_quietly(self.table.close(slot));
            drop_quietly(self.table.take_beside(slot));
            self.tally.opened -= 1;
        }
        self.put_back(opened.is_some());
    }

    /// A key was not opened after all.
    fn put_back(&mut self, admitted: bool) {
        if admitted && let Some(gate) = &mut self.leases.gate {
            gate.put_back();
        }
        if let Some(tomb) = self.reopening.take() {
            self.tombs.insert(tomb, &mut self.purse);
        }
    }

    /// The key whose tombstone was taken out is open again.
    #[inline(always)]
    pub(super) fn forget_reopening(&mut self) {
        if self.reopening.is_some() {
            drop_quietly(self.reopening.take());
        }
    }

    /// A row whose key is not open: opens it, or deals with the row.
    #[inline(never)]
    fn place(
        &mut self,
        col: &mut C,
        meta: &Meta,
        tag: u32,
        f: &Fragment,
        ob: &mut Vec<Left<KO, A, C>>,
    ) -> Place {
        let hash = meta.hash[f.row];
        if hash == UNKEYED || (self.default_hash == Some(hash) && self.unkeyed(col.row(f.row))) {
            return self.place_unkeyed(col, meta, f, ob);
        }
        let tomb = if self.traits.tombs {
            let (key, row) = (&self.plan.key, col.row(f.row));
            let charge = Charge::new(&self.blame, Blame::Left);
            let tomb = self.tombs.find(tag, |k| key.is(row, k));
            charge.done();
            tomb
        } else {
            NONE
        };
        self.place_key(col, meta, (tag, tomb), None, f, ob)
    }

    /// Whether a row has no key, and the hash of the default one for that.
    fn unkeyed(&self, row: C::Ref<'_>) -> bool {
        let charge = Charge::new(&self.blame, Blame::Row { what: "`key`", opened: None });
        let none = self.plan.key.key(row).is_none();
        charge.done();
        none
    }

    #[cold]
    fn place_unkeyed(
        &mut self,
        col: &mut C,
        meta: &Meta,
        f: &Fragment,
        ob: &mut Vec<Left<KO, A, C>>,
    ) -> Place {
        let Some(key) = self.plan.default_key() else {
            let e = RowError::new(DeadCause::NoKey, "the row has no key");
            self.dead_row(col, meta, f.row, e);
            return Place::Done;
        };
        let charge = Charge::new(&self.blame, Blame::Left);
        let tag = self.tag_of(&key);
        let slot = self.table.find(tag, |_, k| *k == key);
        let tomb = if none(slot) { self.tombs.find(tag, |k| *k == key) } else { NONE };
        charge.done();
        if !none(slot) {
            drop_quietly(key);
            return Place::Open(slot);
        }
        self.place_key(col, meta, (tag, tomb), Some(key), f, ob)
    }

    /// A key that is not open, with its tombstone if it has one. The key is owned only when it is
    /// opened.
    fn place_key(
        &mut self,
        col: &mut C,
        meta: &Meta,
        (tag, tomb): (u32, u32),
        key: Option<KO::Key>,
        f: &Fragment,
        ob: &mut Vec<Left<KO, A, C>>,
    ) -> Place {
        let mut generation = 0;
        if !none(tomb) {
            let reset = self.plan.policy.after == After::Reset;
            if !reset && self.buried(tomb, f) {
                if mutant!(LedgerForgets) {
                    self.tally.fragments = self.tally.fragments.wrapping_sub(1);
                    return Place::Done;
                }
                self.duplicate(col, meta, f.row);
                return Place::Done;
            }
            if !reset && self.plan.policy.on_late != OnLate::NewGeneration {
                self.late(tomb, col, meta, f, ob);
                if mutant!(ResurrectedKey) {
                    _ = self.tombs.take(tomb, &mut self.purse);
                }
                return Place::Done;
            }
            generation = self.tombs.get(tomb).generation + 1;
        }
        let key = key.or_else(|| {
            let blame = Blame::Row { what: "`key`", opened: None };
            let charge = Charge::new(&self.blame, blame);
            let key = self.plan.key.key(col.row(f.row));
            charge.done();
            key
        });
        let Some(key) = key else {
            let e = RowError::new(DeadCause::NoKey, "the row has a key hash but no key");
            self.dead_row(col, meta, f.row, e);
            return Place::Done;
        };
        if !none(tomb) {
            self.reopening = self.tombs.take(tomb, &mut self.purse);
        }
        if let Err(what) = self.admit(ob) {
            self.put_back(false);
            drop_quietly(key);
            self.dead_row(col, meta, f.row, RowError::new(DeadCause::RefusedKey, what));
            return Place::Done;
        }
        let (acc, blame) = (&self.plan.acc, &self.blame);
        let slot = self.table.open(tag, key, || {
            let charge = Charge::new(blame, Blame::Row { what: "`init`", opened: None });
            let state = acc.init();
            charge.done();
            state
        });
        self.tally.opened += 1;
        if self.traits.tails {
            self.start(slot, generation, f);
        }
        Place::Opened(slot)
    }

    /// Fills in the tail of a key that was opened.
    fn start(&mut self, slot: u32, generation: u32, f: &Fragment) {
        let (t, now) = (self.traits, self.now.0);
        let (tail, watch) = self.table.timed(slot);
        tail.generation = generation;
        tail.ttl_at = t.ttl.map_or(i64::MAX, |d| f.at.time.0.saturating_add(d));
        // The gaps are measured from the fragment that is noted right after this.
        watch.idle_at = t.idle.map_or(i64::MAX, |_| i64::MIN);
        watch.quiet_at = t.quiet.map_or(u64::MAX, |_| 0);
        watch.timeout_at = t.timeout.map_or(u64::MAX, |d| now.saturating_add(d));
        watch.flush_at = t.flush.map_or(u64::MAX, |d| now.saturating_add(d));
        if t.lru {
            self.table.touch(slot);
        }
    }

    /// Whether a key under a tombstone has counted this fragment.
    fn buried(&self, tomb: u32, f: &Fragment) -> bool {
        let tomb = self.tombs.get(tomb);
        match self.traits.identity {
            Identity::Variable => tomb.has_bit(f.bit),
            Identity::SourceSeq | Identity::Id => tomb.has_id(f.id),
            Identity::Each => false,
        }
    }

    #[cold]
    pub(super) fn duplicate(&mut self, col: &C, meta: &Meta, i: usize) {
        match self.plan.policy.on_duplicate {
            OnDuplicate::Count => self.tally.duplicate += 1,
            OnDuplicate::DeadLetter => {
                let what = "a copy of a fragment that its key has counted";
                self.dead_row(col, meta, i, RowError::new(DeadCause::Conflict, what));
            }
        }
    }

    /// A row that becomes a dead letter.
    #[cold]
    pub(super) fn dead_row(&mut self, col: &C, meta: &Meta, i: usize, e: RowError) {
        self.ledger.add(Class::DeadLetter(e.cause), 1);
        self.letter(col, meta, i, e);
    }

    /// The letter of a row.
    pub(super) fn letter(&mut self, col: &C, meta: &Meta, i: usize, e: RowError) {
        let mut record = self.record(meta, i, e);
        let key = || self.plan.key.key(col.row(i)).map(|k| k.to_key_bytes());
        record.key =
            quietly(key).map(|own| own.or_else(|| self.default_bytes())).unwrap_or_default();
        self.dead.push(Dead { row: Some(i as u32), record });
    }

    /// The bytes of the key that rows without one count as of.
    fn default_bytes(&self) -> Option<Vec<u8>> {
        match &self.plan.policy.on_unkeyed {
            OnUnkeyed::Default(bytes) => Some(bytes.clone()),
            OnUnkeyed::DeadLetter => None,
        }
    }

    /// What is known of a row that failed, its key aside.
    pub(super) fn record(&self, meta: &Meta, i: usize, e: RowError) -> ErrorRecord {
        let mut record = ErrorRecord::new(e.cause, e.what);
        record.stage = self.home.map_or_else(Default::default, |h| h.id);
        record.source = meta.source;
        record.seq = meta.seq.at(i);
        record.context = meta.context_at(i).map(std::sync::Arc::clone);
        record
    }
}

/// Whether a set holds a fragment.
#[inline]
fn holds_fragment(identity: Identity, tail: &Tail, mask: u64, f: &Fragment) -> bool {
    match identity {
        Identity::Variable => tail.bits(mask).has(f.bit) || tail.refused(f.bit),
        Identity::SourceSeq | Identity::Id => {
            tail.more.as_ref().is_some_and(|m| m.ids.contains(&f.id))
        }
        Identity::Each => false,
    }
}

/// Adds a fragment to a set: its bit, and its identity where that is something else. Returns whether
/// it is the first of its variable.
#[inline]
pub(super) fn add_fragment(
    identity: Identity,
    tail: &mut Tail,
    mask: &mut u64,
    f: &Fragment,
) -> bool {
    let new = identity == Identity::Variable || !tail.bits(*mask).has(f.bit);
    tail.vars += u32::from(new);
    if f.bit < 64 {
        *mask |= 1 << f.bit;
    } else {
        tail.more.get_or_insert_default().words.insert(f.bit - 64);
    }
    if matches!(identity, Identity::SourceSeq | Identity::Id) {
        tail.more.get_or_insert_default().ids.insert(f.id);
    }
    new
}
