//! `merge_by_time`: several flows as one in the order of event times.

use super::held::{Charge, Held, Hold, Reader, Writer, put};
use flux_io_core::{
    AnyBatch, ErrorClass, ErrorKind, Node, Out, Outbox, StageCx, StageError, Step, Timestamp,
    mutant,
};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// A row at its place in the order: time, then input, then place in the input.
struct Due<T> {
    place: (Timestamp, u32, u64),
    held: Held<T>,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}
impl<T> Eq for Due<T> {}
impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Due<T> {
    /// The earliest is the greatest: the heap gives it first.
    fn cmp(&self, other: &Self) -> Ordering {
        if mutant!(TieOfInputsLost) {
            return other.place.0.cmp(&self.place.0);
        }
        other.place.cmp(&self.place)
    }
}

/// What a batch brought, in its order.
enum Came<T> {
    Row(Due<T>),
    Mark(Timestamp),
}

/// The stage of `merge_by_time`: rows wait until the watermark has reached their time. Rows that
/// the watermark had passed when they came go out at once, behind it.
pub(super) struct ByTime<T> {
    waiting: BinaryHeap<Due<T>>,
    came: VecDeque<Came<T>>,
    /// Rows held of each input, and rows it brought so far.
    held: Vec<usize>,
    bytes: Vec<usize>,
    /// Those of them that were restored, until a watermark comes: before that it is not known which
    /// input holds the others back, and all must be heard.
    restored: Vec<usize>,
    brought: Vec<u64>,
    /// Of each input, the number that no row of it still to come is below, where branches say so.
    passed: Vec<u64>,
    ended: Vec<bool>,
    watermark: Timestamp,
    told: Timestamp,
    hold: Hold<T>,
    exact: bool,
    charge: Charge,
}

impl<T: Send + 'static> ByTime<T> {
    pub(super) fn new(inputs: usize, hold: Hold<T>, exact: bool) -> Self {
        Self {
            waiting: BinaryHeap::new(),
            came: VecDeque::new(),
            held: vec![0; inputs],
            bytes: vec![0; inputs],
            restored: vec![0; inputs],
            brought: vec![0; inputs],
            passed: vec![0; inputs],
            ended: vec![false; inputs],
            watermark: Timestamp::MIN,
            told: Timestamp::MIN,
            hold,
            exact,
            charge: Charge::default(),
        }
    }

    /// Queues what a batch brought: rows, and the marks at their places.
    fn load(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        cx: &StageCx<'_>,
    ) -> Result<(), StageError> {
        let rows = input.len();
        let marks = std::mem::take(&mut input.meta_mut().marks);
        let mut marks = marks.into_iter().peekable();
        let taken = self.hold.take(input.get_mut()?, 0, &mut self.charge, cx)?;
        self.held[port] += rows;
        for (i, held) in taken.enumerate() {
            self.bytes[port] = self.bytes[port].saturating_add(held.at.bytes);
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                self.came.push_back(Came::Mark(m.watermark));
            }
            let place = (held.at.time, port as u32, self.brought[port]);
            self.brought[port] += 1;
            self.came.push_back(Came::Row(Due { place, held }));
        }
        self.came.extend(marks.map(|m| Came::Mark(m.watermark)));
        Ok(())
    }

    fn rise(&mut self, watermark: Timestamp) {
        self.watermark = self.watermark.max(watermark);
        self.restored.fill(0);
    }

    fn give(&mut self, due: Due<T>, out: &mut Out<'_, Vec<T>>) {
        let (port, bytes) = (due.place.1 as usize, due.held.at.bytes);
        self.charge.shrink(bytes);
        self.held[port] -= 1;
        self.bytes[port] = self.bytes[port].saturating_sub(bytes);
        put(out, due.held.row, due.held.at, self.exact);
    }

    /// Gives every row that is due at `until`; `false` = the output is full.
    fn release(&mut self, until: Timestamp, out: &mut Out<'_, Vec<T>>) -> bool {
        while self.waiting.peek().is_some_and(|d| d.place.0 <= until) {
            if out.is_full() {
                return false;
            }
            if let Some(due) = self.waiting.pop() {
                self.give(due, out);
            }
        }
        true
    }

    fn out<'a>(outs: &'a mut [Outbox]) -> Result<Option<Out<'a, Vec<T>>>, StageError> {
        Ok(outs.first_mut().map(Outbox::typed).transpose()?)
    }

    /// Whether input `port` has brought all that it may.
    fn is_full(&self, port: usize) -> bool {
        let Some((&rows, &restored)) = self.held.get(port).zip(self.restored.get(port)) else {
            return false;
        };
        let restored = if mutant!(FullAfterRestore) { 0 } else { restored };
        // While it is not known who holds the others back, bytes are not asked either.
        let bytes = if restored > 0 { 0 } else { self.bytes[port] };
        self.hold.is_full(rows.saturating_sub(restored), bytes)
    }

    /// Every input that lives is full, or a branch that has passed what a full one brought, and not
    /// all have promised something: it would wait for ever.
    fn timeless(&self) -> bool {
        let ports = || 0..self.ended.len();
        if self.watermark > Timestamp::MIN || !ports().any(|port| self.is_full(port)) {
            return false;
        }
        let of_full = self.waiting.iter().filter(|due| self.is_full(due.place.1 as usize));
        let first = of_full.map(|due| due.held.at.seq).min();
        let stands = |port: usize| {
            self.is_full(port) || first.is_some_and(|first| self.passed[port] > first)
        };
        ports().all(|port| self.ended[port] || stands(port))
    }

    fn check(&self, cx: &StageCx<'_>) -> Result<Step, StageError> {
        if !self.timeless() {
            return Ok(Step::Done);
        }
        let what = format!(
            "stage `{}` waits for watermarks, but its inputs have none; put `.event_time(name, \
             |row| ..)` in front of it",
            cx.home().name
        );
        Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::User, what))
    }
}

impl<T: Send + 'static> Node for ByTime<T> {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        // Empty, unless this is the rest of a batch that has been loaded.
        self.load(port, input, cx)?;
        let Some(mut out) = Self::out(outs)? else { return Ok(Step::Done) };
        loop {
            if !self.release(self.watermark, &mut out) || out.is_full() {
                return Ok(Step::Yield);
            }
            if self.watermark > self.told {
                self.told = self.watermark;
                out.mark(self.told);
            }
            match self.came.pop_front() {
                Some(Came::Mark(w)) => self.rise(w),
                Some(Came::Row(due)) if due.place.0 <= self.watermark => self.give(due, &mut out),
                Some(Came::Row(due)) => self.waiting.push(due),
                None => break,
            }
        }
        self.check(cx)
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.rise(watermark);
        let Some(mut out) = Self::out(outs)? else { return Ok(Step::Done) };
        Ok(if self.release(self.watermark, &mut out) { Step::Done } else { Step::Yield })
    }

    fn on_passed(
        &mut self,
        port: usize,
        number: u64,
        _outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(passed) = self.passed.get_mut(port) {
            *passed = number.max(*passed);
        }
        self.check(cx)
    }

    fn promise(&mut self, watermark: Timestamp) -> Option<Timestamp> {
        (watermark > self.told).then(|| {
            self.told = watermark;
            watermark
        })
    }

    fn follows_time(&self) -> bool {
        true
    }

    fn accepts(&self, port: usize) -> bool {
        !self.is_full(port)
    }

    fn on_input_end(
        &mut self,
        port: usize,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(ended) = self.ended.get_mut(port) {
            *ended = true;
        }
        Ok(Step::Done)
    }

    fn on_end(&mut self, outs: &mut [Outbox], _cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        let Some(mut out) = Self::out(outs)? else { return Ok(Step::Done) };
        Ok(if self.release(Timestamp::MAX, &mut out) { Step::Done } else { Step::Yield })
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        let mut w = Writer::new(to);
        w.time(self.watermark);
        self.brought.iter().for_each(|n| w.number(*n));
        w.number(self.waiting.len() as u64);
        for due in &self.waiting {
            w.number(u64::from(due.place.1));
            w.number(due.place.2);
            w.row(&due.held.row, &due.held.at, &self.hold)?;
        }
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let mut r = Reader::new(from)?;
        self.watermark = r.time()?;
        for n in &mut self.brought {
            *n = r.number()?;
        }
        for _ in 0..r.count()? {
            let (port, nth) = (r.number()? as u32, r.number()?);
            let held = r.row(&self.hold)?;
            for held in [&mut self.held, &mut self.restored] {
                if let Some(n) = held.get_mut(port as usize) {
                    *n += 1;
                }
            }
            if let Some(bytes) = self.bytes.get_mut(port as usize) {
                *bytes = bytes.saturating_add(held.at.bytes);
            }
            self.waiting.push(Due { place: (held.at.time, port, nth), held });
        }
        r.end()
    }
}
