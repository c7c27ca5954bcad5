//! Sans-IO stages: state machines that an engine drives.
//!
//! A stage never reads a clock, sleeps, spawns, locks, touches files or draws random numbers of
//! its own: all of that comes through [`StageCx`]. What a user implements is [`Stage`], typed and
//! with one input and one output; what a plan holds is [`Node`], with ports and erased types.
//! [`Erased`] turns the one into the other, once per batch.
//!
//! # Laws
//! - S1: one method of one instance at a time, never re-entrant, on any thread.
//! - S2: `on_start`, then {batch, watermark, timer, policy, command, snapshot}*, then `on_end` until
//!   `Done`, then drop. `restore` comes after `on_start` and before the first batch. After a
//!   catastrophic error or under policy Fail: only drop.
//! - S3: a stage removes what it used from the front of `input`. `Done` = all used (the driver
//!   clears the rest). `Yield` = the output is full; the driver empties it and calls again with the
//!   same input. A `Yield` without a full output is a fault that the driver reports.
//! - S4: a stage may exceed "full" by what one input row makes.
//! - S5: a stage seals when the batch is full; the driver seals before it waits and at controls.
//! - S6: nothing of `input` or `out` is kept but moved rows.
//! - S7: `cx.now()` is read again by the driver after every wait.
//! - S8: output is a function of inputs, times and draws from the context.
//! - S9: a failing *row* is not an error: it goes to [`StageCx::dead`] and the stage goes on. An
//!   error of class transient is legal only before anything was emitted for the call (B99).
//! - S10: counters are plain fields, read at batch edges.
//! - S11 marks: a stage that honours watermark positions handles `input.meta.marks` itself, passes
//!   them on with [`Out::mark`] and clears them. Marks it leaves are delivered by the driver: last
//!   one first to `on_watermark`, then to the outputs.
//! - S12 numbers: only a stage that keeps sequence numbers, and gives rows in their order, passes
//!   [`Control::Passed`] on, behind every row it has taken before. Others leave it: it is lost, and
//!   promises nothing.

use crate::accumulate::{Command, Gauge, Ledger};
use crate::batch::{AnyBatch, Batch, ColumnType, WrongColumn};
use crate::column::Column;
use crate::error::{ErrorRecord, OnError, StageError};
use crate::id::{Epoch, StageId};
use crate::memory::{MemoryPool, Reservation};
use crate::sync::Arc;
use crate::time::{Moment, Timestamp};
use std::any::type_name;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

/// What a stage answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The input is used up.
    Done,
    /// The output is full: empty it and call again with the same input.
    Yield,
    /// Call again with the same input, not before this moment: an attempt that backs off, or, at a
    /// moment that is over, work without an end in sight that lets the others of its thread run.
    Wait(Moment),
    /// Call again with the same input when [`Node::poll`] has made progress (all permitted calls
    /// are in flight).
    Pending,
}

/// Items that keep their place in the row order of an edge and never need a data credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// No row with event time `<=` this is still to come.
    Watermark(Timestamp),
    /// This input has nothing now and does not hold the watermark back until it has.
    Idle,
    /// A checkpoint's cut.
    Barrier(Epoch),
    /// Rows behind this see this version of the policies.
    Policy(Epoch),
    /// No row with a sequence number below this is still to come. Branches say it, so that a
    /// join by number knows what a branch has dropped also where no row follows.
    Passed(u64),
    /// The sender is set aside; its watermark does not count.
    Quarantined,
    /// The sender is back.
    Resumed,
    /// End of one turn of a round-robin exchange; the merge goes on to the next instance.
    Turn,
    /// Nothing follows.
    End,
}

/// What moves inside a task: a batch, or a control at its place behind the batches before it.
#[derive(Debug)]
pub enum Parcel {
    /// Rows.
    Batch(AnyBatch),
    /// A control item.
    Control(Control),
}

/// An output port: one open batch, parcels ready to go, used batches to fill again.
#[derive(Debug)]
pub struct Outbox {
    ty: ColumnType,
    open: Option<AnyBatch>,
    ready: VecDeque<Parcel>,
    batches: usize,
    spare: Vec<AnyBatch>,
    max_rows: usize,
    depth: usize,
    /// Controls and marks put in so far.
    signals: u64,
    /// Batches made because no used one was there.
    pub made: u64,
    /// Batches filled again.
    pub reused: u64,
}

/// Bytes after which a batch is sealed even if it has few rows.
pub const BATCH_BYTES: usize = 64 * 1024;
/// Sealed batches a port holds before it says it is full.
const READY_BATCHES: usize = 2;

impl Outbox {
    /// A port of column `ty` that seals at `max_rows` rows or [`BATCH_BYTES`], whichever first.
    #[must_use]
    pub fn new(ty: ColumnType, max_rows: usize) -> Self {
        let by_bytes = (BATCH_BYTES / ty.row_bytes.max(1)).max(1);
        Self {
            ty,
            open: None,
            ready: VecDeque::new(),
            batches: 0,
            spare: Vec::new(),
            max_rows: max_rows.clamp(1, by_bytes),
            depth: READY_BATCHES,
            signals: 0,
            made: 0,
            reused: 0,
        }
    }

    /// Whether the port holds as many sealed batches as it should.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.batches >= self.depth
    }

    /// Whether nothing waits to be taken (an open batch aside).
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether an open batch holds rows or marks.
    #[must_use]
    pub fn has_open(&self) -> bool {
        self.open.as_ref().is_some_and(|b| !b.is_empty() || !b.meta().marks.is_empty())
    }

    /// The port for rows of column `C`.
    ///
    /// # Errors
    /// [`WrongColumn`] when the port is of another column.
    pub fn typed<C: Column>(&mut self) -> Result<Out<'_, C>, WrongColumn> {
        if self.ty.id == std::any::TypeId::of::<C>() {
            Ok(Out { port: self, column: PhantomData })
        } else {
            Err(WrongColumn { want: type_name::<C>(), got: self.ty.name })
        }
    }

    /// Closes the open batch, if it holds anything.
    pub fn seal(&mut self) {
        let Some(b) = self.open.take() else { return };
        if b.is_empty() {
            // Marks without rows need no batch.
            if let Some(m) = b.meta().marks.last().copied() {
                self.push_control(Control::Watermark(m.watermark));
            }
            self.recycle(b);
        } else {
            self.ready.push_back(Parcel::Batch(b));
            self.batches += 1;
        }
    }

    /// Puts a whole batch behind what is there.
    pub fn push_batch(&mut self, b: AnyBatch) {
        self.seal();
        self.ready.push_back(Parcel::Batch(b));
        self.batches += 1;
    }

    /// Puts a control behind what is there. A watermark rides on the open or last batch, so that
    /// it does not cut batches short.
    pub fn control(&mut self, c: Control) {
        self.signals += 1;
        if let Control::Watermark(w) = c {
            if let Some(open) = self.open.as_mut().filter(|b| !b.is_empty()) {
                open.mark(w);
                return;
            }
            if let Some(Parcel::Batch(last)) = self.ready.back_mut() {
                last.mark(w);
                return;
            }
        } else {
            self.seal();
        }
        self.push_control(c);
    }

    fn push_control(&mut self, c: Control) {
        if let (Control::Watermark(w), Some(Parcel::Control(Control::Watermark(old)))) =
            (c, self.ready.back_mut())
        {
            *old = w.max(*old);
            return;
        }
        if let (Control::Passed(n), Some(Parcel::Control(Control::Passed(old)))) =
            (c, self.ready.back_mut())
        {
            *old = n.max(*old);
            return;
        }
        self.ready.push_back(Parcel::Control(c));
    }

    /// Takes the next parcel.
    pub fn pop(&mut self) -> Option<Parcel> {
        let p = self.ready.pop_front()?;
        if matches!(p, Parcel::Batch(_)) {
            self.batches -= 1;
        }
        Some(p)
    }

    /// Takes a used batch back, to be filled again.
    pub fn recycle(&mut self, mut b: AnyBatch) {
        if self.spare.len() <= self.depth {
            if !crate::mutant!(SpareKeepsRows) {
                b.clear();
            }
            self.spare.push(b);
        }
    }

    /// Rows not yet taken, and controls put in so far: what a call has emitted shows here.
    pub(crate) fn emitted(&self) -> (u64, u64) {
        let ready = self.ready.iter().map(|p| match p {
            Parcel::Batch(b) => b.len(),
            Parcel::Control(_) => 0,
        });
        let open = self.open.as_ref().map_or(0, AnyBatch::len);
        ((ready.sum::<usize>() + open) as u64, self.signals)
    }

    fn fresh(&mut self) -> AnyBatch {
        if let Some(b) = self.spare.pop() {
            self.reused += 1;
            return b;
        }
        self.made += 1;
        (self.ty.new)()
    }

    /// The open batch, erased.
    pub fn open(&mut self) -> &mut AnyBatch {
        if self.open.is_none() {
            self.open = Some(self.fresh());
        }
        self.open.get_or_insert_with(self.ty.new)
    }
}

/// Typed view of an output port. Take [`Out::batch`] once per call: it compares a type id.
#[derive(Debug)]
pub struct Out<'a, C> {
    port: &'a mut Outbox,
    column: PhantomData<fn() -> C>,
}

impl<C: Column> Out<'_, C> {
    /// The open batch, to append to.
    ///
    /// # Panics
    /// Never: the column was checked when the view was made.
    #[expect(clippy::expect_used, reason = "the type id was compared in `Outbox::typed`")]
    pub fn batch(&mut self) -> &mut Batch<C> {
        self.port.open().get_mut::<C>().expect("the port's column was checked")
    }

    /// Swaps the input with an empty output batch and sends it: zero copy for stages that change
    /// only metadata or work in place (C2). What was open is sealed first.
    pub fn swap(&mut self, input: &mut Batch<C>) {
        self.port.seal();
        std::mem::swap(self.batch(), input);
        self.port.seal();
    }

    /// Closes the open batch.
    pub fn seal(&mut self) {
        self.port.seal();
    }

    /// Closes the open batch if it has reached its rows or bytes.
    pub fn seal_if_full(&mut self) {
        let max = self.port.max_rows;
        if self.port.open.as_ref().is_some_and(|b| b.len() >= max) {
            self.port.seal();
        }
    }

    /// Whether the port holds as many sealed batches as it should.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.port.is_full()
    }

    /// Rows after which a batch is sealed.
    #[must_use]
    pub fn max_rows(&self) -> usize {
        self.port.max_rows
    }

    /// Passes a watermark on, behind the rows appended so far.
    pub fn mark(&mut self, w: Timestamp) {
        self.port.control(Control::Watermark(w));
    }

    /// Sends a control behind the rows appended so far.
    pub fn control(&mut self, c: Control) {
        self.port.control(c);
    }
}

/// A small, fast generator for jitter and ids: splitmix64.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draws(pub u64);

impl Draws {
    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number in `0..n` (0 when `n` is 0), by multiply and shift.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(n)) >> 32) as u32
    }
}

/// Rows that left the flow in a stage, and why; moved out by the driver at every batch edge.
#[derive(Debug, Default)]
pub struct Removed {
    /// Dead letters, in order.
    pub dead: Vec<ErrorRecord>,
    /// Rows dropped, by the policy that says so.
    pub dropped: Vec<(&'static str, u64)>,
}

impl Removed {
    /// Whether nothing left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.dead.is_empty() && self.dropped.is_empty()
    }

    /// Counts `n` rows dropped under `cause`.
    pub fn drop_rows(&mut self, cause: &'static str, n: u64) {
        match self.dropped.iter_mut().find(|d| d.0 == cause) {
            Some(d) => d.1 = d.1.saturating_add(n),
            None => self.dropped.push((cause, n)),
        }
    }
}

/// Everything a stage may know and ask for.
pub struct StageCx<'a> {
    pub(crate) now: Moment,
    pub(crate) home: &'a StageHome,
    pub(crate) timer: &'a mut Option<Moment>,
    pub(crate) removed: &'a mut Removed,
    pub(crate) retries: &'a mut u64,
    pub(crate) draws: &'a mut Draws,
}

impl fmt::Debug for StageCx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageCx({} #{} at {:?})", self.home.name, self.home.shard, self.now)
    }
}

/// Where a stage instance stands: fixed for a run.
#[derive(Clone)]
pub struct StageHome {
    /// The stage's name: the identity of its state.
    pub name: String,
    /// Its number in the plan.
    pub id: StageId,
    /// Which of its instances this is.
    pub shard: u32,
    /// How many instances there are.
    pub shards: u32,
    /// The seed of the key hashes of this run.
    pub hash_seed: u64,
    /// The budget, if the run has one.
    pub memory: Option<Arc<dyn MemoryPool>>,
    /// What happens to what fails in the stage. The driver goes by it; a stage that handles panics of
    /// user code itself does so as it says.
    pub on_error: OnError,
}

impl fmt::Debug for StageHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageHome({} {}/{})", self.name, self.shard, self.shards)
    }
}

impl StageHome {
    /// A single instance called `name`, with hash seed 0, no budget and error policy Fail.
    pub fn alone(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            id: StageId(0),
            shard: 0,
            shards: 1,
            hash_seed: 0,
            memory: None,
            on_error: OnError::Fail,
        }
    }
}

impl StageCx<'_> {
    /// The engine's time; does not move during a call.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// Where the stage stands.
    #[must_use]
    pub const fn home(&self) -> &StageHome {
        self.home
    }

    /// Asks for `on_timer` at `at`. A stage has one pending deadline, the earliest asked for since
    /// the last `on_timer`; more deadlines are its own queue.
    pub fn wake_at(&mut self, at: Moment) {
        *self.timer = Some(self.timer.map_or(at, |t| t.min(at)));
    }

    /// Withdraws the pending deadline.
    pub fn cancel_wake(&mut self) {
        *self.timer = None;
    }

    /// Hands a failed item over. The stage goes on.
    pub fn dead(&mut self, record: ErrorRecord) {
        self.removed.dead.push(record);
    }

    /// Takes back the dead letters handed over during this call, those of nodes within included: a
    /// node around another one sends them where it wants them.
    pub fn take_dead(&mut self) -> Vec<ErrorRecord> {
        std::mem::take(&mut self.removed.dead)
    }

    /// Counts `n` rows dropped by the policy called `cause`.
    pub fn dropped(&mut self, cause: &'static str, n: u64) {
        self.removed.drop_rows(cause, n);
    }

    /// Counts `n` attempts made again after a failure, of rows or calls.
    pub const fn retried(&mut self, n: u64) {
        *self.retries += n;
    }

    /// 32 random bits, the same in every run with the same seed.
    pub fn draw(&mut self) -> u32 {
        self.draws.next_u32()
    }

    /// A new, empty reservation against the run's budget, named after the stage.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        self.home
            .memory
            .as_ref()
            .map_or_else(Reservation::default, |m| Reservation::new(Arc::clone(m), &self.home.name))
    }
}

/// Rows in and out of one operator, counted exactly also when operators are fused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows taken.
    pub rows_in: u64,
    /// Rows given.
    pub rows_out: u64,
    /// Rows that failed (dead-lettered or skipped).
    pub failed: u64,
}

impl Counts {
    /// The sum of both.
    #[must_use]
    pub const fn plus(self, o: Self) -> Self {
        Self {
            rows_in: self.rows_in + o.rows_in,
            rows_out: self.rows_out + o.rows_out,
            failed: self.failed.saturating_add(o.failed),
        }
    }
}

/// A stage with one input and one output: what a user implements. See the module for its laws.
///
/// ```
/// use flux_io_core::{Batch, Out, Stage, StageCx, StageError, Step};
///
/// /// Adds up; gives the sum at the end.
/// struct Sum(u64);
/// impl Stage for Sum {
///     type In = Vec<u64>;
///     type Out = Vec<u64>;
///     fn on_batch(
///         &mut self,
///         input: &mut Batch<Vec<u64>>,
///         _out: &mut Out<'_, Vec<u64>>,
///         _cx: &mut StageCx<'_>,
///     ) -> Result<Step, StageError> {
///         self.0 += input.col.iter().sum::<u64>();
///         Ok(Step::Done)
///     }
///     fn on_end(&mut self, out: &mut Out<'_, Vec<u64>>, _cx: &mut StageCx<'_>) -> Result<Step, StageError> {
///         out.batch().col.push(self.0);
///         Ok(Step::Done)
///     }
/// }
/// let mut sum = flux_io_core::ByHand::new(Sum(0));
/// sum.feed(Batch::of(vec![1, 2, 3]))?;
/// assert_eq!(sum.end()?, [6]);
/// # Ok::<(), StageError>(())
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is not a stage", note = "implement `Stage`")]
pub trait Stage: Send {
    /// Column of the input.
    type In: Column;
    /// Column of the output.
    type Out: Column;

    /// Once, before anything else.
    ///
    /// # Errors
    /// Ends the run.
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let _ = cx;
        Ok(())
    }
    /// Rows arrived.
    ///
    /// # Errors
    /// The stage's error policy decides (S9).
    fn on_batch(
        &mut self,
        input: &mut Batch<Self::In>,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError>;
    /// The watermark advanced; the driver passes on what [`Stage::promise`] then says.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (watermark, out, cx);
        Ok(Step::Done)
    }
    /// What the stage promises downstream once its input promises `watermark`: see
    /// [`Node::promise`].
    fn promise(&mut self, watermark: Timestamp) -> Option<Timestamp> {
        Some(watermark)
    }
    /// No row with a sequence number below `number` is still to come. A stage that keeps numbers and
    /// their order says so to its output, behind what it has taken (S12); by default it does not.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (number, out, cx);
        Ok(Step::Done)
    }
    /// The deadline asked for with [`StageCx::wake_at`] is due.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_timer(
        &mut self,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (out, cx);
        Ok(Step::Done)
    }
    /// The input has ended; called until `Done`.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_end(
        &mut self,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (out, cx);
        Ok(Step::Done)
    }
    /// Rows from here on see policy version `epoch`.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_policy(&mut self, epoch: Epoch, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let _ = (epoch, cx);
        Ok(())
    }
    /// A checkpoint's cut is next: rows held back that belong before it go out now. Called until
    /// `Done`; `snapshot` follows.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_barrier(
        &mut self,
        epoch: Epoch,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (epoch, out, cx);
        Ok(Step::Done)
    }
    /// A request from outside, for example to flush a key. `false` = not understood here.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_command(
        &mut self,
        command: &Command,
        out: &mut Out<'_, Self::Out>,
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        let _ = (command, out, cx);
        Ok(false)
    }
    /// Appends the state to `to`. Stateless stages append nothing.
    ///
    /// # Errors
    /// When the state cannot be written; the checkpoint is then given up.
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let _ = to;
        Ok(())
    }
    /// Takes the state that `snapshot` wrote.
    ///
    /// # Errors
    /// When the bytes are of another stage or version.
    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let _ = from;
        Ok(())
    }
    /// Reports the counters of fused operators, in order. The driver counts the stage itself.
    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        let _ = each;
    }
    /// The ledger, if the stage keeps one.
    fn ledger(&self) -> Option<Ledger> {
        None
    }
    /// What the stage holds, if it keeps state.
    fn gauge(&self) -> Option<Gauge> {
        None
    }
}

/// What an engine drives: ports by number, types erased once per batch. The laws are those of
/// [`Stage`].
pub trait Node: Send {
    /// See [`Stage::on_start`].
    ///
    /// # Errors
    /// Ends the run.
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let _ = cx;
        Ok(())
    }
    /// Rows arrived at `port`.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError>;
    /// The watermark, the minimum over all inputs that are not idle, advanced.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (watermark, outs, cx);
        Ok(Step::Done)
    }
    /// No row with a sequence number below `number` is still to come on `port`: see
    /// [`Stage::on_passed`]. It does not wait for calls in flight; a node that has some keeps it
    /// until those are given.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_passed(
        &mut self,
        port: usize,
        number: u64,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (port, number, outs, cx);
        Ok(Step::Done)
    }
    /// See [`Stage::on_timer`].
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        let _ = (outs, cx);
        Ok(Step::Done)
    }
    /// One input has ended, others may go on.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_input_end(
        &mut self,
        port: usize,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (port, outs, cx);
        Ok(Step::Done)
    }
    /// All inputs have ended.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        let _ = (outs, cx);
        Ok(Step::Done)
    }
    /// See [`Stage::on_policy`].
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_policy(&mut self, epoch: Epoch, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let _ = (epoch, cx);
        Ok(())
    }
    /// See [`Stage::on_barrier`].
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_barrier(
        &mut self,
        epoch: Epoch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let _ = (epoch, outs, cx);
        Ok(Step::Done)
    }
    /// See [`Stage::on_command`].
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn on_command(
        &mut self,
        command: &Command,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        let _ = (command, outs, cx);
        Ok(false)
    }
    /// Whether the node takes rows of `port` now. A zip or an ordered merge refuses a port that is
    /// ahead; the driver then leaves that edge alone. While another input waits at a barrier, rows
    /// before that barrier come all the same: the node keeps them (L-3), and they are in its
    /// snapshot.
    fn accepts(&self, port: usize) -> bool {
        let _ = port;
        true
    }
    /// Whether the node waits for the watermark: the input that holds it back is then taken also
    /// where [`Node::accepts`] refuses its port, since nothing else can make room.
    fn follows_time(&self) -> bool {
        false
    }
    /// What the node promises downstream once its inputs promise `watermark`, asked after
    /// [`Node::on_watermark`]: less while it holds rows with earlier times, `None` when nothing new.
    /// A node that answers less passes the rest on itself when those rows have gone.
    fn promise(&mut self, watermark: Timestamp) -> Option<Timestamp> {
        Some(watermark)
    }
    /// Rows whose result is awaited. While there are any, controls (and the snapshot of a barrier)
    /// wait in front of the node, so that a watermark never overtakes a call before it.
    fn in_flight(&self) -> usize {
        0
    }
    /// Whether any of that is awaited from outside the run, and not a timer alone: somebody holds a
    /// clone of the waker it was polled with. Asked after [`Node::poll`], where time is virtual.
    fn awaits_outside(&self) -> bool {
        false
    }
    /// Drives what is in flight. `Ready` = something was finished and put into `outs`; the driver
    /// then moves it and calls again. Called only while `in_flight` is not 0.
    ///
    /// # Errors
    /// The stage's error policy decides.
    fn poll(
        &mut self,
        task: &mut Context<'_>,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Poll<Result<(), StageError>> {
        let _ = (task, outs, cx);
        Poll::Pending
    }
    /// See [`Stage::snapshot`].
    ///
    /// # Errors
    /// When the state cannot be written.
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let _ = to;
        Ok(())
    }
    /// See [`Stage::restore`].
    ///
    /// # Errors
    /// When the bytes are of another stage or version.
    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let _ = from;
        Ok(())
    }
    /// See [`Stage::counts`].
    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        let _ = each;
    }
    /// See [`Stage::ledger`].
    fn ledger(&self) -> Option<Ledger> {
        None
    }
    /// See [`Stage::gauge`].
    fn gauge(&self) -> Option<Gauge> {
        None
    }
}

/// A [`Stage`] as a [`Node`].
#[derive(Debug)]
pub struct Erased<S>(pub S);

fn port<C: Column>(outs: &mut [Outbox]) -> Result<Out<'_, C>, StageError> {
    match outs.first_mut() {
        Some(o) => Ok(o.typed()?),
        None => Err(WrongColumn { want: type_name::<C>(), got: "no output port" }.into()),
    }
}

impl<S: Stage> Node for Erased<S> {
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.0.on_start(cx)
    }
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.on_batch(input.get_mut()?, &mut port(outs)?, cx)
    }
    fn on_watermark(
        &mut self,
        w: Timestamp,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.on_watermark(w, &mut port(outs)?, cx)
    }
    fn promise(&mut self, w: Timestamp) -> Option<Timestamp> {
        self.0.promise(w)
    }
    fn on_passed(
        &mut self,
        _port: usize,
        number: u64,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.on_passed(number, &mut port(outs)?, cx)
    }
    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.0.on_timer(&mut port(outs)?, cx)
    }
    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.0.on_end(&mut port(outs)?, cx)
    }
    fn on_policy(&mut self, epoch: Epoch, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.0.on_policy(epoch, cx)
    }
    fn on_barrier(
        &mut self,
        epoch: Epoch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.on_barrier(epoch, &mut port(outs)?, cx)
    }
    fn on_command(
        &mut self,
        command: &Command,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        self.0.on_command(command, &mut port(outs)?, cx)
    }
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.0.snapshot(to)
    }
    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.0.restore(from)
    }
    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        self.0.counts(each);
    }
    fn ledger(&self) -> Option<Ledger> {
        self.0.ledger()
    }
    fn gauge(&self) -> Option<Gauge> {
        self.0.gauge()
    }
}
