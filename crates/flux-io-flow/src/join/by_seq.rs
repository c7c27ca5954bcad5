//! `merge_by_seq` and `resequence`: rows in the order of a number that each of them has.

use super::guard::guarded;
use super::held::{Charge, Held, Hold, Reader, Writer, put};
use super::leftover::Leftover;
use flux_io_core::{
    AnyBatch, Control, DeadCause, ErrorRecord, Moment, Node, OnError, Out, Outbox, StageCx,
    StageError, Step, Timestamp, mutant,
};
use std::collections::{BTreeMap, VecDeque};

/// What is done about numbers that did not come in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gap {
    /// They are counted under "gap".
    #[default]
    Count,
    /// Each run of them is one dead letter of cause [`DeadCause::Expired`] with its first number
    /// and as many items.
    DeadLetter,
    /// The run fails.
    Fail,
}

impl Gap {
    /// The word used in plans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "counted",
            Self::DeadLetter => "dead letter",
            Self::Fail => "the run fails",
        }
    }

    /// Numbers `from..to` are missing.
    fn skip(self, from: u64, to: u64, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        match self {
            Self::Count => cx.dropped("gap", to - from),
            Self::DeadLetter => {
                let what = format!("numbers {from} to {} did not come in time", to - 1);
                let (stage, items) = (cx.home().id, to - from);
                let record = ErrorRecord::new(DeadCause::Expired, what);
                cx.dead(ErrorRecord { stage, seq: from, items, ..record });
            }
            Self::Fail => {
                let name = &cx.home().name;
                let what = format!(
                    "stage `{name}` misses numbers {from} to {}; hold more rows, be more patient, \
                     or say `Gap::Count` or `Gap::DeadLetter`",
                    to - 1
                );
                return Err(StageError::catastrophic(what));
            }
        }
        Ok(())
    }
}

/// How rows are put in order: what is done about what is missing and what comes too late, and what
/// is held meanwhile.
#[derive(Debug)]
pub struct InOrder<T> {
    pub(super) gap: Gap,
    pub(super) late: Leftover,
    pub(super) hold: Hold<T>,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self { gap: Gap::default(), late: Leftover::default(), hold: Hold::default() }
    }
}

impl<T> InOrder<T> {
    /// Holds at most so many rows, with or without patience.
    #[must_use]
    pub fn within(hold: Hold<T>) -> Self {
        Self { hold, ..Self::default() }
    }

    /// What is done about numbers that did not come; a merge knows gaps by what its inputs give
    /// next, and they are no fault there.
    #[must_use]
    pub const fn gap(mut self, gap: Gap) -> Self {
        self.gap = gap;
        self
    }

    /// What becomes of rows whose number was skipped or given before they came, counted under
    /// "late".
    #[must_use]
    pub const fn late(mut self, late: Leftover) -> Self {
        self.late = late;
        self
    }
}

/// Too late, in the words of a report.
const LATE: &str = "late";

/// One input of the stage.
#[derive(Debug, Default)]
struct Input {
    held: usize,
    bytes: usize,
    /// No row below this number is still to come.
    passed: u64,
    ended: bool,
    /// It had nothing for longer than the stage is patient: it is not waited for.
    quiet: bool,
}

/// The stage of both words: rows wait for the numbers before theirs.
///
/// With several inputs, each in order, a gap is known to be one as soon as every input holds a row
/// behind it, or has passed it. With one input it is a gap when the stage is full, or its patience
/// is over.
pub(super) struct BySeq<T, F> {
    number: F,
    waiting: BTreeMap<(u64, u32, u64), Held<T>>,
    /// Rows whose turn has come; empty between calls, unless the output is full.
    ready: VecDeque<Held<T>>,
    inputs: Vec<Input>,
    /// The next number, which may be behind the greatest one, and how many rows came.
    next: u128,
    came: u64,
    /// The number that whoever is behind knows to be passed; none is told where it is not the
    /// rows' own.
    passed: Option<u64>,
    gap: Gap,
    late: Leftover,
    on: OnError,
    hold: Hold<T>,
    exact: bool,
    watermark: Timestamp,
    told: Timestamp,
    /// When the wait for what is missing began.
    since: Option<Moment>,
    /// The wait was too long: the gap in front is skipped.
    skip: bool,
    charge: Charge,
}

impl<T, F> BySeq<T, F>
where
    T: Send + 'static,
    F: FnMut(&T, u64) -> u64 + Send,
{
    pub(super) fn new(
        inputs: usize,
        number: F,
        spec: InOrder<T>,
        on: OnError,
        exact: bool,
        tells: bool,
    ) -> Self {
        let InOrder { gap, late, hold } = spec;
        Self {
            number,
            waiting: BTreeMap::new(),
            ready: VecDeque::new(),
            inputs: (0..inputs).map(|_| Input::default()).collect(),
            next: 0,
            came: 0,
            passed: tells.then_some(0),
            gap,
            late,
            on,
            hold,
            exact,
            watermark: Timestamp::MIN,
            told: Timestamp::MIN,
            since: None,
            skip: false,
            charge: Charge::default(),
        }
    }

    fn alone(&self) -> bool {
        self.inputs.len() < 2
    }

    fn ended(&self) -> bool {
        self.inputs.iter().all(|i| i.ended)
    }

    /// Whether the first row that waits, of this number, may go, although numbers before it have not
    /// come.
    fn is_gap(&self, number: u64) -> bool {
        if self.ended() || self.skip {
            return true;
        }
        if self.alone() {
            return self.is_full(0);
        }
        let has_passed = |i: &Input| i.held > 0 || i.ended || i.quiet || i.passed >= number;
        self.inputs.iter().all(has_passed)
    }

    fn is_full(&self, port: usize) -> bool {
        self.inputs.get(port).is_some_and(|i| self.hold.is_full(i.held, i.bytes))
    }

    /// Takes the rows of a batch; those whose number is over are left behind.
    fn load(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        if input.is_empty() {
            return Ok(());
        }
        self.inputs[port].quiet = false;
        for held in self.hold.take(input.get_mut()?, 0, &mut self.charge, cx)? {
            let (number, bytes) = (&mut self.number, held.at.bytes);
            let Some((held, number)) = guarded(held, self.on, cx, |row, at| number(row, at.seq))?
            else {
                self.charge.shrink(bytes);
                continue;
            };
            if u128::from(number) < self.next {
                self.charge.shrink(bytes);
                self.late.leave(held, LATE, cx)?;
                continue;
            }
            self.hold_row(number, port as u32, self.came, held);
            self.came += 1;
            self.advance(cx)?;
        }
        Ok(())
    }

    fn hold_row(&mut self, number: u64, port: u32, nth: u64, held: Held<T>) {
        if let Some(i) = self.inputs.get_mut(port as usize) {
            i.held += 1;
            i.bytes = i.bytes.saturating_add(held.at.bytes);
            self.waiting.insert((number, port, nth), held);
        }
    }

    /// Finds the rows whose turn has come: asked after each row, so that batches do not show.
    fn advance(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        while let Some((&(number, port, nth), _)) = self.waiting.first_key_value() {
            let in_turn = u128::from(number) <= self.next;
            if !in_turn && !self.is_gap(number) {
                break;
            }
            if let Ok(next) = u64::try_from(self.next)
                && !in_turn
                && self.alone()
            {
                self.gap.skip(next, number, cx)?;
            }
            if let Some(held) = self.waiting.remove(&(number, port, nth)) {
                let i = &mut self.inputs[port as usize];
                i.held -= 1;
                i.bytes = i.bytes.saturating_sub(held.at.bytes);
                self.ready.push_back(held);
            }
            self.next = self.next.max(u128::from(number) + 1);
            // One skip, one gap; and what was waited for is not what is waited for now.
            self.skip &= in_turn;
            self.since = None;
        }
        Ok(())
    }

    /// Gives what may go, then says what may be promised and how long is waited.
    fn pump(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.advance(cx)?;
        let Some(port) = outs.first_mut() else { return Ok(Step::Done) };
        let mut out: Out<'_, Vec<T>> = port.typed()?;
        while !self.ready.is_empty() {
            if out.is_full() {
                return Ok(Step::Yield);
            }
            if let Some(held) = self.ready.pop_front() {
                self.charge.shrink(held.at.bytes);
                put(&mut out, held.row, held.at, self.exact);
            }
        }
        if let Some(w) = self.promised() {
            out.mark(w);
        }
        if let Some(n) = self.passes() {
            out.control(Control::Passed(n));
        }
        self.wait(cx);
        Ok(Step::Done)
    }

    /// What may be promised now and was not: less than the time of any row that waits.
    fn promised(&mut self) -> Option<Timestamp> {
        if self.watermark <= self.told {
            return None;
        }
        let held = self.waiting.values().filter(|_| !mutant!(MarkPassesHeld));
        let earliest = held.map(|h| h.at.time).min();
        let before = |t: Timestamp| Timestamp(t.0.saturating_sub(1));
        let w = earliest.map_or(self.watermark, |t| self.watermark.min(before(t)));
        (w > self.told).then(|| {
            self.told = w;
            w
        })
    }

    /// The number that is passed now, where that is news: no row below it is still to come out.
    fn passes(&mut self) -> Option<u64> {
        let told = self.passed?;
        let live = self.inputs.iter().filter(|i| !i.ended);
        let came = live.map(|i| if self.alone() { 0 } else { i.passed }).min();
        let first = self.waiting.first_key_value().map(|(at, _)| at.0);
        let coming = came.into_iter().chain(first).min().map_or(0, u128::from);
        let passed = u64::try_from(self.next.max(coming)).unwrap_or(u64::MAX);
        (passed > told).then(|| {
            self.passed = Some(passed);
            passed
        })
    }

    /// Begins to be patient, or goes on with it, where something is missing.
    fn wait(&mut self, cx: &mut StageCx<'_>) {
        let Some(patience) = self.hold.patience else { return };
        let full = (0..self.inputs.len()).any(|port| self.is_full(port));
        if self.waiting.is_empty() || !(full || self.alone()) {
            self.since = None;
            cx.cancel_wake();
            return;
        }
        let since = *self.since.get_or_insert(cx.now());
        cx.wake_at(since.plus(patience));
    }
}

impl<T, F> Node for BySeq<T, F>
where
    T: Send + 'static,
    F: FnMut(&T, u64) -> u64 + Send,
{
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.load(port, input, cx)?;
        self.pump(outs, cx)
    }

    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        let over = self.since.zip(self.hold.patience).map(|(since, p)| since.plus(p));
        if over.is_some_and(|at| at <= cx.now()) {
            self.since = None;
            if self.alone() {
                self.skip = true;
            } else {
                let quiet = |i: &mut Input| i.quiet = i.held == 0 && !i.ended;
                self.inputs.iter_mut().for_each(quiet);
            }
        }
        self.pump(outs, cx)
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.watermark = self.watermark.max(watermark);
        Ok(Step::Done)
    }

    fn promise(&mut self, _watermark: Timestamp) -> Option<Timestamp> {
        self.promised()
    }

    fn accepts(&self, port: usize) -> bool {
        self.alone() || !self.is_full(port)
    }

    /// One input may be in any order: what its sender has passed says nothing.
    fn on_passed(
        &mut self,
        port: usize,
        number: u64,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(i) = self.inputs.get_mut(port).filter(|i| number > i.passed) {
            i.passed = number;
        }
        self.pump(outs, cx)
    }

    fn on_input_end(
        &mut self,
        port: usize,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(i) = self.inputs.get_mut(port) {
            i.ended = true;
        }
        self.pump(outs, cx)
    }

    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.inputs.iter_mut().for_each(|i| i.ended = true);
        self.pump(outs, cx)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let mut w = Writer::new(to);
        w.number(u64::try_from(self.next).unwrap_or(u64::MAX));
        w.number(u64::from(self.next > u128::from(u64::MAX)));
        w.number(self.came);
        w.time(self.watermark);
        w.time(self.told);
        w.number(self.waiting.len() as u64);
        for (&(number, port, nth), held) in &self.waiting {
            w.number(number);
            w.number(u64::from(port));
            w.number(nth);
            w.row(&held.row, &held.at, &self.hold)?;
        }
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader::new(from)?;
        self.next = u128::from(r.number()?) + u128::from(r.number()?);
        if mutant!(NumbersFromStart) {
            self.next = 0;
        }
        self.came = r.number()?;
        self.watermark = r.time()?;
        self.told = r.time()?;
        for _ in 0..r.count()? {
            let (number, port, nth) = (r.number()?, r.number()? as u32, r.number()?);
            let held = r.row(&self.hold)?;
            self.hold_row(number, port, nth, held);
        }
        r.end()
    }
}
