//! A key leaves: its fragments get their class, its result goes out, and what the policy keeps of
//! it stays.

use super::guard::{Blame, Charge, drop_quietly};
use super::{Accumulator, Dead, Left, clamp};
use crate::need::{UNKNOWN, clamp_score};
use crate::policy::{After, Keep, OnLate};
use crate::table::{Tail, Watch};
use crate::timers::ordered;
use crate::tombs::{Rest, Tomb};
use flux_io_core::mutant;
use flux_io_core::{
    Accumulate, At, Class, Column, Completeness, DeadCause, DropCause, ErrorClass, ErrorKind,
    ErrorRecord, Headers, Key, KeyOf, Missing, Original, Outcome, Reason, StageError, Timestamp,
};

/// How a key leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Complete.
    Complete,
    /// As a partial result.
    Partial(Reason),
    /// As a dead letter; the reason for `why`.
    Dead(DeadCause, Reason),
    /// Without a result.
    Drop(Reason),
    /// As a dead letter, and the run fails.
    Abort(Reason),
}

impl Exit {
    #[inline]
    const fn reason(self) -> Reason {
        match self {
            Self::Complete => Reason::Complete,
            Self::Partial(r) | Self::Dead(_, r) | Self::Drop(r) | Self::Abort(r) => r,
        }
    }

    #[inline]
    const fn class(self) -> Class {
        match self {
            Self::Complete => Class::Complete,
            Self::Partial(r) => Class::Partial(r),
            Self::Dead(c, _) => Class::DeadLetter(c),
            Self::Drop(_) => Class::Dropped(DropCause::ExpireDrop),
            Self::Abort(_) => Class::DeadLetter(DeadCause::Abort),
        }
    }

    #[inline]
    const fn emits(self) -> bool {
        matches!(self, Self::Complete | Self::Partial(_))
    }
}

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Lets an open key leave now.
    pub(super) fn leave(&mut self, slot: u32, exit: Exit, ob: &mut Vec<Left<KO, A, C>>) {
        self.leave_at(slot, exit, self.watermark, ob);
    }

    /// Lets an open key leave, `moment` being when in event time: its deadline rather than the
    /// watermark that reached it, since how far watermarks jump depends on batches and shards.
    pub(super) fn leave_at(
        &mut self,
        slot: u32,
        exit: Exit,
        moment: Timestamp,
        ob: &mut Vec<Left<KO, A, C>>,
    ) {
        let fragments = self.fragments(slot);
        // User code first: what panics has changed nothing yet.
        let charge = Charge::new(&self.blame, Blame::Key { what: "`check`", slot });
        let headers = self.headers(slot, fragments, exit);
        charge.done();
        if !exit.emits() {
            return self.leave_without(slot, exit, moment, headers, fragments);
        }
        let saved = match self.save_for_corrections(slot) {
            Ok(saved) => saved,
            Err(e) => return self.lose_key(slot, "`save`", &e.to_string()),
        };
        let row = &mut self.table.rows[slot as usize];
        let Some(key) = &row.key else { return };
        let charge = Charge::new(&self.blame, Blame::Key { what: "`finish`", slot });
        let value = self.plan.acc.finish(key, &mut row.state);
        charge.done();
        if mutant!(DoubleEmission) && exit == Exit::Complete && self.traits.events() {
            let key = key.clone();
            return self.emit((key, value), headers, exit, ob);
        }
        // Without a tombstone nobody else asks for the key.
        let copy = if self.traits.tombs {
            let what = "the key's `clone` or `heap_bytes`";
            let charge = Charge::new(&self.blame, Blame::Key { what, slot });
            _ = key.heap_bytes();
            let copy = key.clone();
            charge.done();
            Some(copy)
        } else {
            None
        };
        match exit {
            Exit::Complete => self.tally.complete += fragments,
            _ => self.ledger.add(exit.class(), fragments),
        }
        self.tally.held -= fragments;
        let (mask, tag) = (self.mask(slot), self.table.rows[slot as usize].tag);
        let Some(key) = self.table.close(slot) else { return };
        let Some(copy) = copy else {
            if self.traits.tails {
                _ = self.take_beside(slot);
            }
            self.emit((key, value), headers, exit, ob);
            return self.give_back();
        };
        self.emit((copy, value), headers, exit, ob);
        if let Some((tail, watch)) = self.take_beside(slot) {
            let moment = moment.max(Timestamp(watch.newest));
            self.entomb((key, tag, mask), tail, moment, (fragments, exit, saved));
        }
        self.give_back();
    }

    /// Takes what stands beside a closed slot, and what it weighed.
    #[inline(always)]
    pub(super) fn take_beside(&mut self, slot: u32) -> Option<(Tail, Watch)> {
        let beside = self.table.take_beside(slot);
        if let Some((tail, _)) = &beside {
            self.tally.heap -= u128::from(tail.heap);
            self.purse.release(tail.heap);
        }
        beside
    }

    /// A key leaves as a dead letter, or without a word.
    #[inline(never)]
    fn leave_without(
        &mut self,
        slot: u32,
        exit: Exit,
        moment: Timestamp,
        headers: Headers,
        fragments: u64,
    ) {
        let row = &mut self.table.rows[slot as usize];
        let Some(key) = &row.key else { return };
        let what = "the key's `write_bytes` or `heap_bytes`";
        let charge = Charge::new(&self.blame, Blame::Key { what, slot });
        let bytes = key.to_key_bytes();
        _ = key.heap_bytes();
        charge.done();
        let charge = Charge::new(&self.blame, Blame::Key { what: "`init`", slot });
        let state = std::mem::replace(&mut row.state, self.plan.acc.init());
        charge.done();
        self.tally.held -= fragments;
        self.ledger.add(exit.class(), fragments);
        let (mask, tag) = (self.mask(slot), self.table.rows[slot as usize].tag);
        let Some(key) = self.table.close(slot) else { return };
        let beside = self.take_beside(slot);
        if matches!(exit, Exit::Drop(_)) {
            self.dropped += fragments;
            drop_quietly(state);
        } else {
            self.dead_key(bytes, state, &headers, fragments, exit);
        }
        match beside {
            Some((tail, watch)) if self.traits.tombs => {
                let moment = moment.max(Timestamp(watch.newest));
                self.entomb((key, tag, mask), tail, moment, (fragments, exit, None));
            }
            _ => drop_quietly(key),
        }
        self.give_back();
    }

    #[inline]
    fn emit(
        &mut self,
        (key, value): (KO::Key, A::Out),
        headers: Headers,
        exit: Exit,
        ob: &mut Vec<Left<KO, A, C>>,
    ) {
        self.tally.emitted[usize::from(exit != Exit::Complete)] += 1;
        ob.push(match exit {
            Exit::Complete => Outcome::Complete { key, value, headers },
            _ => Outcome::Partial { key, value, headers },
        });
    }

    #[cold]
    fn dead_key(
        &mut self,
        key: Vec<u8>,
        state: A::State,
        headers: &Headers,
        fragments: u64,
        exit: Exit,
    ) {
        let (cause, abort) = match exit {
            Exit::Dead(cause, _) => (cause, false),
            _ => (DeadCause::Abort, true),
        };
        if abort {
            let what = format!(
                "key {key:02x?} was not complete at its deadline and the policy aborts; {}",
                lacks(headers),
            );
            let (class, kind) = (ErrorClass::Catastrophic, ErrorKind::CompletenessDeadlock);
            self.fault = Some(StageError::new(class, kind, what));
        }
        let what =
            format!("left incomplete, reason {}; {}", headers.reason.as_str(), lacks(headers));
        let mut record = ErrorRecord::new(cause, what);
        record.stage = self.home.map_or_else(Default::default, |h| h.id);
        record.key = Some(key);
        record.items = fragments;
        record.original = Original::value(state);
        self.dead.push(Dead { row: None, record });
    }

    fn headers(&self, slot: u32, fragments: u64, exit: Exit) -> Headers {
        let tail = self.table.tails.get(slot as usize);
        let (completeness, missing) = match exit {
            Exit::Complete => (1.0, None),
            _ => self.progress(slot),
        };
        let generation = tail.map_or(0, |t| t.generation);
        let (reason, fragments) = (exit.reason(), clamp(fragments));
        Headers { completeness, missing, spilled: false, reason, fragments, generation }
    }

    /// Score and missing variables of an open key that is not complete.
    #[inline(never)]
    pub(super) fn progress(&self, slot: u32) -> (f32, Option<Box<[Missing]>>) {
        let seen = self.seen(slot);
        let time = self.table.watch(slot).newest.max(self.watermark.0);
        let at = At { time: Timestamp(time), watermark: self.watermark, now: self.now };
        let own = match self.plan.acc.check(&self.table.rows[slot as usize].state, at) {
            Some(Completeness::Incomplete { score }) => Some(score),
            _ => None,
        };
        let missing = self.plan.need.missing(&seen);
        let score = clamp_score(own.unwrap_or_else(|| self.plan.need.score(&seen)));
        (score, (!missing.is_empty()).then(|| missing.into_boxed_slice()))
    }

    /// The state as it will be emitted, where corrections may follow.
    fn save_for_corrections(&self, slot: u32) -> Result<Option<Box<[u8]>>, StageError> {
        if !self.traits.tombs
            || self.plan.policy.on_late != OnLate::Correct
            || self.plan.policy.after == After::Reset
        {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let charge = Charge::new(&self.blame, Blame::Key { what: "`save`", slot });
        let saved = self.plan.acc.save(&self.table.rows[slot as usize].state, &mut bytes);
        charge.done();
        saved.map(|()| Some(bytes.into_boxed_slice()))
    }

    /// Keeps a tombstone, unless its time is over at once.
    #[inline]
    pub(super) fn entomb(
        &mut self,
        (key, tag, mask): (KO::Key, u32, u64),
        tail: Tail,
        moment: Timestamp,
        (fragments, exit, saved): (u64, Exit, Option<Box<[u8]>>),
    ) {
        let dies = match self.plan.policy.after {
            After::Tombstone(Keep::For(d)) => ordered(moment.plus(d)),
            _ => u64::MAX,
        };
        if dies <= ordered(self.watermark) {
            return drop_quietly(key);
        }
        let more = tail.more.filter(|_| self.plan.policy.after != After::Reset);
        let [bound, second] = tail.bounds;
        let rest = (more.is_some() || saved.is_some() || second != UNKNOWN)
            .then(|| Box::new(Rest { second, more, saved, ..Rest::default() }));
        let tomb = Tomb {
            key: Some(key),
            tag,
            life: 0,
            mask,
            generation: tail.generation,
            fragments: clamp(fragments),
            bound,
            reason: exit.reason(),
            emitted: exit.emits(),
            dies,
            rest,
        };
        self.tombs.insert(tomb, &mut self.purse);
    }

    /// The table began anew, so all deadlines are of keys that have left.
    pub(super) fn forget_deadlines(&mut self) {
        self.events.clear();
        self.clocks.clear();
    }

    /// Dead keys free their memory: deadlines of keys that have left, and the whole table when no
    /// key is open.
    pub(super) fn give_back(&mut self) {
        if self.leases.shared {
            self.settle_leases();
        }
        if self.table.len() == 0 && self.table.shrink(&mut self.purse) {
            self.forget_deadlines();
            return;
        }
        let rows = &self.table.rows;
        let keys = self.table.len();
        let alive = |e: &crate::timers::Entry| {
            rows.get(e.slot as usize).is_some_and(|h| h.life == e.life && h.key.is_some())
        };
        self.events.sweep(keys, alive);
        self.clocks.sweep(keys, alive);
    }
}

/// What a key lacked, for people.
fn lacks(headers: &Headers) -> String {
    match headers.missing.as_deref() {
        None => "nothing that the requirement names is missing".to_owned(),
        Some(missing) => format!("{} missing: {}", missing.len(), headers.missing_vars()),
    }
}
