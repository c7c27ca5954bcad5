//! The operator: one instance of keyed accumulation as a [`Stage`].
//!
//! Rows are handled strictly in order, a block at a time: the first passes over a block only bring
//! memory closer (index cells, the rows of the slots found there, what lies behind their keys), the
//! last does everything. A slot that was found is a guess: the last pass compares the key itself, and a
//! slot that was freed or filled anew meanwhile is looked up again. So the result is that of
//! batches of one row, at every batch size, with watermarks at their exact places.

mod batch;
mod blueprint;
mod bounds;
mod command;
mod end;
mod expire;
mod guard;
mod late;
mod leave;
mod limits;
mod row;
mod snapshot;
mod traits;

use crate::index::NONE;
use crate::need::Seen;
use crate::pool::{Lease, Leases};
use crate::purse::Purse;
use crate::table::Table;
use crate::timers::{Entry, Timers};
use crate::tombs::{Tomb, Tombs};
use flux_io_core::mutant;
use flux_io_core::{
    Accumulate, Batch, Class, Column, Command, Draws, ErrorRecord, Gauge, Key, KeyOf, Ledger,
    Moment, OnError, Out, Outcome, Stage, StageCx, StageError, StageHome, StageId, Step, Timestamp,
    hash_of,
};
use guard::{Blame, quietly};
use leave::Exit;
use traits::{ALL, COUNT, MASK, Traits};

pub use blueprint::Blueprint;
pub(crate) use guard::drop_quietly;
use std::cell::Cell;
use std::fmt;

/// A key that is to leave, in its place in the order of leaving.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: u64,
    /// Whether `at` is an event time.
    event: bool,
    slot: u32,
    life: u32,
    exit: Exit,
}

/// A dead letter on its way; the row's original is added when the batch is done.
#[derive(Debug)]
struct Dead {
    row: Option<u32>,
    record: ErrorRecord,
}

/// Where in the input the operator stands, between two calls with the same batch.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    row: usize,
    mark: usize,
    /// A mark whose keys have left but which is not passed on yet.
    marking: Option<Timestamp>,
    /// Rows that the hints are of.
    block: (usize, usize),
}

impl Cursor {
    /// Whether a batch is in hand.
    const fn under_way(&self) -> bool {
        self.row > 0 || self.mark > 0
    }
}

/// Classes that are counted often; the others are in the ledger at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    fragments: u64,
    complete: u64,
    duplicate: u64,
    late: u64,
    opened: u64,
    emitted: [u64; 4],
    /// Fragments held now.
    held: u64,
    /// Heap bytes behind open keys, wider than what user code says of each.
    heap: u128,
}

/// Keyed accumulation until complete: holds fragments by key, emits [`Outcome`]s.
///
/// Made by [`Blueprint::make`]; driven by an engine, or by hand with [`flux_io_core::ByHand`].
/// Rows need their key hashes (`key_by` adds them) and take their event time from the batch.
/// Output is ordered per key; keys that leave at the same place leave by (deadline, key bytes).
pub struct Accumulator<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> {
    plan: Blueprint<C, KO, A>,
    traits: Traits,
    table: Table<KO::Key, A::State>,
    tombs: Tombs<KO::Key>,
    events: Timers,
    clocks: Timers,
    leases: Leases,
    purse: Purse,
    tally: Tally,
    ledger: Ledger,
    watermark: Timestamp,
    now: Moment,
    due: Vec<Due>,
    due_at: usize,
    dead: Vec<Dead>,
    dropped: u64,
    /// Fragments that a panic cost under policy Skip.
    skipped: u64,
    /// Who pays for a panic that is unwinding.
    blame: Cell<Blame>,
    on_error: OnError,
    /// The hash of the key that rows without one count as of.
    default_hash: Option<u64>,
    fault: Option<StageError>,
    cursor: Cursor,
    hints: Vec<(u32, u32)>,
    scratch: Vec<Entry>,
    /// A tombstone taken out for a key that is being opened again.
    reopening: Option<Tomb<KO::Key>>,
    ending: bool,
    home: Option<Home>,
    stash: Option<Vec<u8>>,
}

/// What is known from the start on.
#[derive(Clone, Copy, Debug)]
struct Home {
    id: StageId,
    hash_seed: u64,
}

/// What the operator emits.
type Left<KO, A, C> = Outcome<<KO as KeyOf<C>>::Key, <A as Accumulate<C>>::Out>;

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> fmt::Debug
    for Accumulator<C, KO, A>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accumulator({} keys open, {})", self.table.len(), self.plan.policy)
    }
}

impl<C: Column, KO: KeyOf<C>, A: Accumulate<C, Key = KO::Key>> Accumulator<C, KO, A> {
    fn new(plan: Blueprint<C, KO, A>) -> Self {
        let traits = Traits::of(&plan.policy, &plan.need, false);
        let home = StageHome::alone("");
        let heap = |key: &KO::Key| quietly(|| key.heap_bytes()).unwrap_or(0);
        Self {
            traits,
            table: Table::new(traits.beside(), 0),
            tombs: Tombs::new(Lease::alone(0), heap),
            events: Timers::default(),
            clocks: Timers::default(),
            leases: Leases::new(&plan.policy, &plan.shared, &home),
            purse: Purse::default(),
            tally: Tally::default(),
            ledger: Ledger::default(),
            watermark: Timestamp::MIN,
            now: Moment::START,
            due: Vec::new(),
            due_at: 0,
            dead: Vec::new(),
            dropped: 0,
            skipped: 0,
            blame: Cell::default(),
            on_error: OnError::Fail,
            default_hash: None,
            fault: None,
            cursor: Cursor::default(),
            hints: Vec::new(),
            scratch: Vec::new(),
            reopening: None,
            ending: false,
            home: None,
            stash: None,
            plan,
        }
    }

    /// The watermark as far as it was seen.
    #[must_use]
    pub const fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// What is known of an open key.
    fn seen(&self, slot: u32) -> Seen<'_> {
        let mask = self.mask(slot);
        match self.table.tails.get(slot as usize) {
            Some(tail) if self.traits.kept == ALL => Seen {
                bits: tail.bits(mask),
                vars: tail.vars,
                fragments: tail.fragments,
                bounds: tail.bounds(self.plan.need.bounds()),
            },
            _ => {
                let bits = crate::set::Bits { first: mask, rest: &[] };
                let fragments = self.fragments(slot);
                Seen { bits, vars: mask.count_ones(), fragments, bounds: &[] }
            }
        }
    }

    /// Fragments held of an open key.
    fn fragments(&self, slot: u32) -> u64 {
        match self.traits.kept {
            MASK => u64::from(self.table.rows[slot as usize].mask.count_ones()),
            COUNT => self.table.rows[slot as usize].mask,
            _ => self.table.tails[slot as usize].fragments,
        }
    }

    /// The first word of an open key's set of variables.
    fn mask(&self, slot: u32) -> u64 {
        let mask = self.table.rows[slot as usize].mask;
        if self.traits.kept == COUNT { u64::from(mask > 0) } else { mask }
    }

    /// Whether a stored deadline or place in a queue is of the slot's present life.
    fn alive(&self, slot: u32, life: u32) -> bool {
        let row = self.table.rows.get(slot as usize);
        row.is_some_and(|h| h.life == life && h.key.is_some())
    }

    /// Takes over the time, and fires what it made due.
    fn begin(&mut self, cx: &StageCx<'_>) {
        self.now = self.now.max(cx.now());
        if self.table.rest(&mut self.purse) {
            self.forget_deadlines();
        }
        self.collect_clock();
    }

    /// Hands over dead letters and counts, and asks to be woken. While a batch is in hand its letters
    /// wait for it: their originals are still among its rows.
    fn finish_call(&mut self, cx: &mut StageCx<'_>, rows: Option<&mut C>) {
        if !self.dead.is_empty() && (rows.is_some() || !self.cursor.under_way()) {
            self.hand_over_dead(cx, rows);
        }
        if self.skipped > 0 {
            cx.dropped("skip", std::mem::take(&mut self.skipped));
        }
        if self.dropped > 0 {
            cx.dropped("expire_drop", std::mem::take(&mut self.dropped));
        }
        if self.due_at < self.due.len() {
            cx.wake_at(self.now);
        } else if let Some(at) = self.clocks.next() {
            cx.wake_at(Moment(at));
        }
    }

    #[cold]
    fn hand_over_dead(&mut self, cx: &mut StageCx<'_>, rows: Option<&mut C>) {
        let originals = rows.and_then(|col| quietly(|| self.originals(col)));
        let mut originals = originals.unwrap_or_default().into_iter();
        for Dead { row, mut record } in self.dead.drain(..) {
            if row.is_some()
                && let Some(one) = originals.next()
            {
                record.original = flux_io_core::Original::value(one);
            }
            cx.dead(record);
        }
    }

    /// The failed rows of a batch that is done with, each as a column of its own.
    fn originals(&self, col: &mut C) -> Vec<C> {
        let failed: Vec<u32> = self.dead.iter().filter_map(|d| d.row).collect();
        if failed.is_empty() {
            return Vec::new();
        }
        let mut to = vec![0; col.rows()];
        for (part, row) in failed.iter().enumerate() {
            if let Some(t) = to.get_mut(*row as usize) {
                *t = part as u32 + 1;
            }
        }
        let mut parts: Vec<C> = (0..=failed.len()).map(|_| C::default()).collect();
        let mut refs: Vec<&mut C> = parts.iter_mut().collect();
        col.scatter(&to, &mut refs);
        parts.remove(0);
        parts
    }

    fn take_fault(&mut self) -> Result<(), StageError> {
        match self.fault.take() {
            Some(e) => {
                self.cursor = Cursor::default();
                Err(e)
            }
            None => Ok(()),
        }
    }
}

impl<C, KO, A> Stage for Accumulator<C, KO, A>
where
    C: Column,
    KO: KeyOf<C>,
    A: Accumulate<C, Key = KO::Key>,
{
    type In = C;
    type Out = Vec<Left<KO, A, C>>;

    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let home = cx.home();
        self.on_error = home.on_error;
        self.leases = Leases::new(&self.plan.policy, &self.plan.shared, home);
        if self.traits.tombs {
            let max = self.plan.policy.max_tombstones;
            self.tombs.lease = Leases::tombstones(max, &self.plan.shared, home);
        }
        self.default_hash = self.plan.default_key().map(|key| hash_of(&key, home.hash_seed));
        self.home = Some(Home { id: home.id, hash_seed: home.hash_seed });
        self.traits = Traits::of(&self.plan.policy, &self.plan.need, home.memory.is_some());
        // One mixing more: whoever learns the hashes still does not know the places.
        let seed = Draws(home.hash_seed).next_u64();
        self.table = Table::new(self.traits.beside(), seed);
        self.purse = Purse::new(cx.reservation());
        self.now = cx.now();
        match self.stash.take() {
            Some(bytes) => {
                self.read_snapshot(&bytes)?;
                self.finish_call(cx, None);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.begin(cx);
        if mutant!(WaitsAtLimit)
            && self.plan.policy.max_keys.is_some_and(|max| self.table.len() as u64 >= max)
        {
            return Ok(Step::Wait(self.now.plus(std::time::Duration::from_secs(1))));
        }
        let step = self.batch(input, out);
        let over = !matches!(step, Ok(Step::Yield));
        self.finish_call(cx, over.then_some(&mut input.col));
        if over {
            input.clear();
        }
        step
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.begin(cx);
        let step = self.guarded(|s| match s.drain(out) {
            Ok(Step::Done) => {
                s.raise(watermark);
                s.drain(out)
            }
            other => other,
        });
        self.finish_call(cx, None);
        step
    }

    fn on_timer(
        &mut self,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.begin(cx);
        let step = self.guarded(|s| s.drain(out));
        self.finish_call(cx, None);
        step
    }

    fn on_end(
        &mut self,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        // The end fires no deadline: what is due by the clock was fired when the clock was read.
        self.now = self.now.max(cx.now());
        let step = self.guarded(|s| s.end(out));
        self.finish_call(cx, None);
        step
    }

    fn on_command(
        &mut self,
        command: &Command,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        self.begin(cx);
        let understood = self.command(command, out);
        self.finish_call(cx, None);
        understood
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.write_snapshot(to)
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        if self.home.is_some() {
            return self.read_snapshot(from);
        }
        self.stash = Some(from.to_vec());
        Ok(())
    }

    fn ledger(&self) -> Option<Ledger> {
        let mut l = self.ledger.clone();
        l.fragments = self.tally.fragments;
        l.keys_opened = self.tally.opened;
        l.emitted = self.tally.emitted;
        l.tombstones_evicted = self.tombs.evicted;
        l.add(Class::Complete, self.tally.complete);
        l.add(Class::Duplicate, self.tally.duplicate);
        l.add(Class::Late, self.tally.late);
        l.add(Class::Open, self.table.slots().map(|s| self.fragments(s)).sum());
        Some(l)
    }

    fn gauge(&self) -> Option<Gauge> {
        Some(Gauge {
            keys: self.table.len() as u64,
            items: self.tally.held,
            bytes: self.purse.used(),
            tombstones: self.tombs.len() as u64,
            spilled_keys: 0,
        })
    }
}

/// A count as results carry it.
fn clamp(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Whether a slot number stands for none.
#[inline]
const fn none(slot: u32) -> bool {
    slot == NONE
}
