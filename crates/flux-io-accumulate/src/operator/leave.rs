//! A key leaves: its fragments get their class, its result goes out, and what the policy keeps of
//! it stays.

use super::{Accumulator, Dead, Left};
use crate::need::clamp_score;
use crate::policy::{After, Keep, OnLate};
use crate::table::Tail;
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
        self.tally.held -= u64::from(fragments);
        let headers = self.headers(slot, fragments, exit);
        match exit {
            Exit::Complete => self.tally.complete += u64::from(fragments),
            Exit::Drop(_) => {
                self.dropped += u64::from(fragments);
                self.ledger.add(exit.class(), u64::from(fragments));
            }
            _ => self.ledger.add(exit.class(), u64::from(fragments)),
        }
        if mutant!(DoubleEmission)
            && exit == Exit::Complete
            && self.traits.events()
            && let Some(key) = self.table.rows[slot as usize].key.clone()
        {
            self.emit(slot, &key, headers, exit, ob);
            self.tally.complete -= u64::from(fragments);
            self.tally.held += u64::from(fragments);
            return;
        }
        let saved = if self.traits.tombs { self.save_for_corrections(slot, exit) } else { None };
        let (mask, tag) = (self.mask(slot), self.table.rows[slot as usize].tag);
        let Some(key) = self.table.close(slot) else { return };
        let beside = self.table.take_beside(slot);
        if let Some((tail, _)) = &beside {
            self.tally.heap -= tail.heap;
            self.purse.release(tail.heap);
        }
        self.emit(slot, &key, headers, exit, ob);
        if let (true, Some((tail, watch))) = (self.traits.tombs, beside) {
            let moment = moment.max(Timestamp(watch.newest));
            self.entomb((key, tag, mask), tail, moment, (fragments, exit, saved));
        }
        self.give_back();
    }

    fn emit(
        &mut self,
        slot: u32,
        key: &KO::Key,
        headers: Headers,
        exit: Exit,
        ob: &mut Vec<Left<KO, A, C>>,
    ) {
        let state = &mut self.table.rows[slot as usize].state;
        if exit.emits() {
            let value = self.plan.acc.finish(key, state);
            let key = key.clone();
            self.tally.emitted[usize::from(exit != Exit::Complete)] += 1;
            ob.push(match exit {
                Exit::Complete => Outcome::Complete { key, value, headers },
                _ => Outcome::Partial { key, value, headers },
            });
            return;
        }
        let state = std::mem::replace(state, self.plan.acc.init());
        match exit {
            Exit::Dead(cause, _) => self.dead_key(key, state, &headers, cause),
            Exit::Abort(_) => {
                self.dead_key(key, state, &headers, DeadCause::Abort);
                let what = format!(
                    "key {:02x?} was not complete at its deadline and the policy aborts; {}",
                    key.to_key_bytes(),
                    lacks(&headers),
                );
                let (class, kind) = (ErrorClass::Catastrophic, ErrorKind::CompletenessDeadlock);
                self.fault = Some(StageError::new(class, kind, what));
            }
            _ => {}
        }
    }

    #[cold]
    fn dead_key(&mut self, key: &KO::Key, state: A::State, headers: &Headers, cause: DeadCause) {
        let what =
            format!("left incomplete, reason {}; {}", headers.reason.as_str(), lacks(headers));
        let mut record = ErrorRecord::new(cause, what);
        record.stage = self.home.map_or_else(Default::default, |h| h.id);
        record.key = Some(key.to_key_bytes());
        record.items = u64::from(headers.fragments);
        record.original = Original::value(state);
        self.dead.push(Dead { row: None, record });
    }

    fn headers(&self, slot: u32, fragments: u32, exit: Exit) -> Headers {
        let tail = self.table.tails.get(slot as usize);
        let (completeness, missing) = match exit {
            Exit::Complete => (1.0, None),
            _ => self.progress(slot),
        };
        let generation = tail.map_or(0, |t| t.generation);
        let reason = exit.reason();
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
    fn save_for_corrections(&mut self, slot: u32, exit: Exit) -> Option<Box<[u8]>> {
        if self.plan.policy.on_late != OnLate::Correct
            || self.plan.policy.after == After::Reset
            || !exit.emits()
        {
            return None;
        }
        let mut bytes = Vec::new();
        match self.plan.acc.save(&self.table.rows[slot as usize].state, &mut bytes) {
            Ok(()) => Some(bytes.into_boxed_slice()),
            Err(e) => {
                self.fault = Some(e);
                None
            }
        }
    }

    /// Keeps a tombstone, unless its time is over at once.
    fn entomb(
        &mut self,
        (key, tag, mask): (KO::Key, u32, u64),
        tail: Tail,
        moment: Timestamp,
        (fragments, exit, saved): (u32, Exit, Option<Box<[u8]>>),
    ) {
        let dies = match self.plan.policy.after {
            After::Tombstone(Keep::For(d)) => ordered(moment.plus(d)),
            _ => u64::MAX,
        };
        if dies <= ordered(self.watermark) {
            return;
        }
        let more = tail.more.filter(|_| self.plan.policy.after != After::Reset);
        let rest = if more.is_some() || saved.is_some() {
            Some(Box::new(Rest { bounds: tail.bounds, more, saved }))
        } else {
            None
        };
        let tomb = Tomb {
            key: Some(key),
            tag,
            life: 0,
            mask,
            generation: tail.generation,
            fragments,
            late: 0,
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
    fn give_back(&mut self) {
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
