//! Panics of user code: who pays, and how the operator goes on behind them.
//!
//! Nothing is caught row by row: one `catch_unwind` stands around a call of the stage. While the
//! stack unwinds, a [`Charge`] notes whose code it was, so rows that do not panic pay nothing. What
//! user code is asked comes before anything is changed, so that an operator left in the middle has
//! only the one row or key to put right.

use super::late::Met;
use super::leave::Exit;
use super::row::{Fragment, add_fragment};
use super::traits::{COUNT, MASK};
use super::{Accumulator, Dead, Left};
use crate::policy::Identity;
use flux_io_core::{
    Accumulate, Batch, Class, Column, DeadCause, DropCause, ErrorClass, ErrorKind, ErrorRecord,
    GiveUp, Key, KeyOf, Meta, Reason, RowError, StageError, Timestamp, mutant,
};
use std::any::Any;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Who pays for a panic.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Blame {
    /// Nobody outside: the operator itself is at fault.
    #[default]
    Nobody,
    /// The row, which opened this slot if it opened one.
    Row { what: &'static str, opened: Option<u32> },
    /// The row or the open key it was compared with.
    Open(u32),
    /// The row; it was compared with a key that has left.
    Left,
    /// The row, a late fragment of the key under this tombstone.
    Late { what: &'static str, tomb: u32, fragment: Fragment },
    /// The key, before the row was counted in.
    Merge { slot: u32, fragment: Fragment },
    /// The key; a row that is being handled has been counted in.
    Key { what: &'static str, slot: u32 },
    /// The key, which no row has asked for yet.
    Ahead { slot: u32 },
}

/// Says who pays while user code runs.
pub(super) struct Charge<'a> {
    to: &'a Cell<Blame>,
    blame: Blame,
}

impl<'a> Charge<'a> {
    #[inline(always)]
    pub(super) const fn new(to: &'a Cell<Blame>, blame: Blame) -> Self {
        Self { to, blame }
    }

    /// User code has come back: nothing is noted.
    #[inline(always)]
    pub(super) const fn done(self) {
        _ = ManuallyDrop::new(self);
    }
}

impl Drop for Charge<'_> {
    // Inlined, so that all of it is in the landing pad.
    #[inline(always)]
    fn drop(&mut self) {
        self.to.set(self.blame);
    }
}

/// The row in hand, as a local of the loop; written down when the stack unwinds.
pub(super) struct Place<'a> {
    pub(super) row: usize,
    pub(super) to: &'a Cell<Option<usize>>,
}

impl Place<'_> {
    /// The row behind those that were handled.
    #[inline(always)]
    pub(super) fn leave(self) -> usize {
        ManuallyDrop::new(self).row
    }
}

impl Drop for Place<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.to.set(Some(self.row));
    }
}

/// Whether the key of `row` is `key`, which lies in `slot`.
#[inline(always)]
pub(super) fn same<C: Column, KO: KeyOf<C>>(
    blame: &Cell<Blame>,
    of: &KO,
    row: C::Ref<'_>,
    slot: u32,
    key: &KO::Key,
) -> bool {
    let charge = Charge::new(blame, Blame::Open(slot));
    let same = of.is(row, key);
    charge.done();
    same
}

/// Runs user code whose panic costs nothing more than its answer.
pub(super) fn quietly<R>(act: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// Drops what has left the accounts already.
#[inline]
pub(crate) fn drop_quietly<T>(x: T) {
    if std::mem::needs_drop::<T>() {
        _ = quietly(|| drop(x));
    }
}

/// The text of a panic, as far as it has one.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without text".to_owned())
}

/// The row that raised a panic.
struct Raised<'a, C> {
    col: &'a C,
    meta: &'a Meta,
    row: usize,
    /// Whether its key has counted it.
    counted: bool,
    /// What it is, as far as that is known and its key has not counted it.
    fragment: Option<Fragment>,
}

/// Identities listed in the letter of a key.
const LISTED: usize = 32;

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    /// Calls `act` until no user code panics in it; what panicked has paid before each repetition.
    pub(super) fn guarded<R>(
        &mut self,
        mut act: impl FnMut(&mut Self) -> Result<R, StageError>,
    ) -> Result<R, StageError> {
        loop {
            match catch_unwind(AssertUnwindSafe(|| act(self))) {
                Ok(answer) => return answer,
                Err(p) => self.panicked(&*p, None)?,
            }
        }
    }

    /// Lets a key leave in the middle of another's row; a panic is the leaving key's own.
    pub(super) fn leave_guarded(&mut self, slot: u32, exit: Exit, ob: &mut Vec<Left<KO, A, C>>) {
        if let Err(p) = catch_unwind(AssertUnwindSafe(|| self.leave(slot, exit, ob)))
            && let Err(e) = self.panicked(&*p, None)
        {
            self.fault.get_or_insert(e);
        }
    }

    /// Makes whoever is to blame pay. The operator goes on behind that, unless the policy says that
    /// the run fails.
    ///
    /// # Errors
    /// Under policy Fail, and when the fault is the operator's own.
    #[cold]
    pub(super) fn panicked(
        &mut self,
        panic: &(dyn Any + Send),
        at: Option<(usize, &Batch<C>)>,
    ) -> Result<(), StageError> {
        let text = panic_text(panic);
        let blame = self.blame.take();
        let place = at.map(|(i, input)| (input.meta.seq.at(i), input.meta.source));
        let raised = at.map(|(row, input)| {
            self.tally.fragments += (row - self.cursor.row) as u64;
            self.cursor.row = row;
            Raised { col: &input.col, meta: &input.meta, row, counted: false, fragment: None }
        });
        let in_row = raised.is_some() && !matches!(blame, Blame::Ahead { .. });
        let what = match (blame, raised) {
            (Blame::Ahead { slot }, _) => {
                self.poison(slot, &panicked(TOUCHING, &text), None);
                TOUCHING
            }
            (Blame::Key { what, slot }, raised) => {
                let raised = raised.map(|r| Raised { counted: true, ..r });
                self.poison(slot, &panicked(what, &text), raised);
                what
            }
            (Blame::Merge { slot, fragment }, Some(r)) => {
                let r = Raised { fragment: Some(fragment), ..r };
                self.poison(slot, &panicked(MERGING, &text), Some(r));
                MERGING
            }
            (Blame::Row { what, opened }, Some(r)) => {
                self.give_up(opened);
                self.spoil(&r, DeadCause::Panicked, what, &text)
            }
            (Blame::Late { what, tomb, fragment }, Some(r)) => {
                self.remember(tomb, &fragment, Met::Refused);
                self.spoil(&r, DeadCause::Poison, what, &text)
            }
            (Blame::Open(slot), Some(r)) => self.unlike(slot, r, &text),
            (Blame::Left, Some(r)) => self.spoil(&r, DeadCause::Poison, COMPARING, &text),
            _ => return Err(own_fault(&text)),
        };
        if in_row {
            self.cursor.row += 1 + usize::from(mutant!(PanicCostsNextRow));
            self.tally.fragments += 1;
        }
        if self.on_error.finally() != GiveUp::Fail {
            return Ok(());
        }
        let at = place.filter(|_| in_row).map(|(seq, of)| format!(" at row {seq} of {of}"));
        let told = format!("{what} panicked{}: {text}", at.unwrap_or_default());
        Err(StageError::new(ErrorClass::Permanent, ErrorKind::Panicked, told))
    }

    /// Counts fragments that a panic costs, as the policy says.
    fn count_lost(&mut self, cause: DeadCause, fragments: u64) {
        if self.on_error.finally() == GiveUp::Skip {
            self.skipped += fragments;
            self.ledger.add(Class::Dropped(DropCause::Skip), fragments);
        } else {
            self.ledger.add(Class::DeadLetter(cause), fragments);
        }
    }

    /// One row is lost.
    fn spoil(
        &mut self,
        r: &Raised<'_, C>,
        cause: DeadCause,
        what: &'static str,
        text: &str,
    ) -> &'static str {
        self.count_lost(cause, 1);
        if self.on_error.finally() == GiveUp::DeadLetter {
            let e = RowError::new(cause, panicked(what, text));
            self.letter(r.col, r.meta, r.row, e);
        }
        what
    }

    /// The key of a row could not be compared with an open key. If they are one, the key pays.
    fn unlike(&mut self, slot: u32, r: Raised<'_, C>, text: &str) -> &'static str {
        let row = r.col.row(r.row);
        let Some(key) = quietly(|| self.plan.key.key(row)) else {
            return self.spoil(&r, DeadCause::Panicked, "`key`", text);
        };
        let bytes = key.as_ref().and_then(|k| quietly(|| k.to_key_bytes()));
        let own = self.table.rows[slot as usize].key.as_ref();
        let own = own.and_then(|k| quietly(|| k.to_key_bytes()));
        drop_quietly(key);
        if bytes.is_none() || bytes != own {
            return self.spoil(&r, DeadCause::Poison, COMPARING, text);
        }
        let fragment = quietly(|| {
            let var = self.plan.acc.var(row).ok()?;
            let bit = self.plan.need.bit(var, self.plan.policy.max_index).ok()?;
            let (id, at) = (self.identity(row, r.meta, r.row), self.at(r.meta, r.row));
            Some(Fragment { row: r.row, bit, id, at })
        });
        let raised = Raised { fragment: fragment.flatten(), ..r };
        self.poison(slot, &panicked(COMPARING, text), Some(raised));
        COMPARING
    }

    /// A key is lost: all its fragments become dead letters, one letter says so, and it leaves as
    /// any key does.
    #[cold]
    fn poison(&mut self, slot: u32, cause: &str, raised: Option<Raised<'_, C>>) {
        let held = self.fragments(slot);
        let told = format!("{cause}; {}", self.earlier(slot, raised.as_ref()));
        let more = raised.as_ref().is_some_and(|r| !r.counted);
        if let Some(f) = raised.as_ref().and_then(|r| r.fragment) {
            self.meet(slot, &f);
        }
        let fragments = held + u64::from(more);
        self.count_lost(DeadCause::Poison, fragments);
        self.tally.held -= held;
        if self.on_error.finally() == GiveUp::DeadLetter {
            let key = self.table.rows[slot as usize].key.as_ref();
            let key = key.and_then(|k| quietly(|| k.to_key_bytes()));
            let mut record = match &raised {
                Some(r) => self.record(r.meta, r.row, RowError::new(DeadCause::Poison, told)),
                None => ErrorRecord::new(DeadCause::Poison, told),
            };
            record.stage = self.home.map_or_else(Default::default, |h| h.id);
            (record.key, record.items) = (key, fragments);
            self.dead.push(Dead { row: raised.as_ref().map(|r| r.row as u32), record });
        }
        // A key that makes room while another is opened leaves that one's tombstone alone.
        if raised.is_some() {
            self.forget_reopening();
        }
        self.bury_poisoned(slot, fragments);
    }

    /// The same for a key that could not be kept, without a panic.
    #[cold]
    pub(super) fn lose_key(&mut self, slot: u32, what: &'static str, text: &str) {
        self.poison(slot, &format!("{what} failed: {text}"), None);
        if self.on_error.finally() == GiveUp::Fail {
            self.fault = Some(StageError::permanent(format!("{what} failed: {text}")));
        }
    }

    /// The key's state may be in any condition: it is only dropped.
    fn bury_poisoned(&mut self, slot: u32, fragments: u64) {
        let (mask, tag) = (self.mask(slot), self.table.rows[slot as usize].tag);
        let key = match quietly(|| self.plan.acc.init()) {
            Some(fresh) => {
                let state = &mut self.table.rows[slot as usize].state;
                drop_quietly(std::mem::replace(state, fresh));
                self.table.close(slot)
            }
            None => self.table.retire(slot),
        };
        let beside = self.take_beside(slot);
        match (key, beside) {
            (Some(key), Some((tail, watch))) if self.traits.tombs => {
                let moment = self.watermark.max(Timestamp(watch.newest));
                let exit = Exit::Dead(DeadCause::Poison, Reason::Poison);
                self.entomb((key, tag, mask), tail, moment, (fragments, exit, None));
            }
            (key, _) => drop_quietly(key),
        }
        self.give_back();
    }

    /// A fragment is met: it is in the key's set, and counted by nobody.
    pub(super) fn meet(&mut self, slot: u32, f: &Fragment) {
        let row = &mut self.table.rows[slot as usize];
        match self.traits.kept {
            MASK => row.mask |= 1 << f.bit,
            COUNT => {}
            _ => {
                let tail = &mut self.table.tails[slot as usize];
                add_fragment(self.traits.identity, tail, &mut row.mask, f);
            }
        }
    }

    /// The fragments of a key before the row that raised the panic: how many, and which.
    fn earlier(&self, slot: u32, raised: Option<&Raised<'_, C>>) -> String {
        let counted = raised.is_some_and(|r| r.counted);
        let n = self.fragments(slot) - u64::from(counted);
        if n == 0 {
            return "the key has no other fragment".to_owned();
        }
        let own = raised.filter(|r| r.counted).and_then(|r| {
            let row = r.col.row(r.row);
            let var = quietly(|| self.plan.acc.var(row).ok()).flatten()?;
            let bit = self.plan.need.bit(var, self.plan.policy.max_index).ok()?;
            Some((bit, quietly(|| self.identity(row, r.meta, r.row))?))
        });
        let mut names = self.identities(slot, own);
        let more = names.len().saturating_sub(LISTED);
        names.truncate(LISTED);
        let list = names.join(", ");
        let earlier = if raised.is_some() { " earlier" } else { "" };
        let s = if n == 1 { "" } else { "s" };
        match (names.is_empty(), more) {
            (true, _) => format!("{n}{earlier} fragment{s}"),
            (_, 0) => format!("{n}{earlier} fragment{s}: {list}"),
            _ => format!("{n}{earlier} fragment{s}: {list} and {more} more"),
        }
    }

    /// What a key's fragments are, `own` aside.
    fn identities(&self, slot: u32, own: Option<(u64, (u64, u64))>) -> Vec<String> {
        let more = self.table.tails.get(slot as usize).and_then(|t| t.more.as_deref());
        let ids =
            more.into_iter().flat_map(|m| &m.ids).filter(|id| own.is_none_or(|o| o.1 != **id));
        match self.traits.identity {
            Identity::Variable => {
                let bits = self.seen(slot).bits;
                let others = bits.iter().filter(|b| own.is_none_or(|o| o.0 != *b));
                others.filter_map(|b| self.plan.need.name_of(b)).map(|m| m.to_string()).collect()
            }
            Identity::SourceSeq => ids.map(|(s, seq)| format!("row {seq} of source {s}")).collect(),
            Identity::Id => ids.map(|(_, id)| id.to_string()).collect(),
            Identity::Each => Vec::new(),
        }
    }
}

const MERGING: &str = "`merge`";
const COMPARING: &str = "the key's `eq`";
const TOUCHING: &str = "the key's `touch`";

fn panicked(what: &str, text: &str) -> String {
    format!("{what} panicked: {text}")
}

fn own_fault(text: &str) -> StageError {
    let what = format!("the accumulator itself panicked: {text}");
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Panicked, what)
}
