//! `event_time`: gives rows their event time and promises what is still to come.

use super::row_wise::Judging;
use flux_io_core::{
    Batch, Column, Control, ErrorClass, ErrorKind, Mark, Moment, OnError, Out, Stage, StageCx,
    StageError, Step, Timestamp, Uniform, nanos_i64, push_mark,
};
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

/// How much disorder an event-time stage allows, and when it calls its input idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Rows may come this much later, in event time, than rows with greater times; one exactly this
    /// much later is in time.
    pub lag: Duration,
    /// By the engine's clock: without a row for this long the input is idle. `None` = never.
    pub idle_after: Option<Duration>,
}

/// The stage of `event_time`.
///
/// Before each row the watermark is `max(times seen, this row included) - lag - 1 ns`, set at that very
/// place between the rows, when it advances; the subtraction ends at the earliest time there is. So
/// a row that moves time past a deadline comes behind the mark that lets it fire, and a row exactly
/// `lag` behind the greatest time is in time. A row at or below the watermark before it is late; it
/// passes, and whoever keeps state decides. Watermarks that come from before are of other times and
/// end here.
///
/// Idleness (rule L-4): after `idle_after` without a row it says so downstream, so that it no
/// longer holds back a merge, and its watermark advances by the time that has passed since the last
/// row or the last such step, again and again until a row comes. Rows behind may then be late: idle
/// times are the one part of event time that is not a function of the data, and a plan that uses it
/// lists this stage among its schedule-dependent policies.
pub struct EventTime<C, F> {
    f: F,
    disorder: Disorder,
    judging: Judging,
    times: Vec<Timestamp>,
    greatest: Option<Timestamp>,
    watermark: Timestamp,
    since: Moment,
    column: PhantomData<fn() -> C>,
}

impl<C, F> fmt::Debug for EventTime<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventTime({:?}, watermark {})", self.disorder, self.watermark)
    }
}

impl<C, F> EventTime<C, F> {
    /// Times by `f`; `on` is for rows on which it panics.
    pub fn new(f: F, disorder: Disorder, on: OnError) -> Self {
        Self {
            f,
            disorder,
            judging: Judging::new(on),
            times: Vec::new(),
            greatest: None,
            watermark: Timestamp::MIN,
            since: Moment::START,
            column: PhantomData,
        }
    }

    fn arm(&mut self, cx: &mut StageCx<'_>) {
        if let Some(after) = self.disorder.idle_after {
            self.since = cx.now();
            cx.cancel_wake();
            cx.wake_at(cx.now().plus(after));
        }
    }

    /// The watermark before rows with these times, as marks between them.
    fn mark(&mut self, times: &[Timestamp], marks: &mut Vec<Mark>) {
        marks.clear();
        for (i, &t) in times.iter().enumerate() {
            if self.greatest.is_some_and(|g| t <= g) {
                continue;
            }
            self.greatest = Some(t);
            let w = Timestamp(t.minus(self.disorder.lag).0.saturating_sub(1));
            if w > self.watermark {
                self.watermark = w;
                push_mark(marks, Mark { at: i as u32, watermark: w });
            }
        }
    }
}

impl<C, F> Stage for EventTime<C, F>
where
    C: Column,
    F: for<'a> FnMut(C::Ref<'a>) -> Timestamp + Send,
{
    type In = C;
    type Out = C;

    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.arm(cx);
        Ok(())
    }

    fn on_batch(
        &mut self,
        input: &mut Batch<C>,
        out: &mut Out<'_, C>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let Self { f, judging, times, .. } = self;
        times.resize(input.len(), Timestamp::MIN);
        let judge = &mut |row: C::Ref<'_>, i: usize| {
            times[i] = f(row);
            Ok(true)
        };
        if let Some(at) = judging.all(&input.col, &input.meta, cx, judge)? {
            return Ok(Step::Wait(at));
        }
        input.meta.marks.clear();
        input.meta.time = Uniform::Rows(std::mem::take(times));
        judging.finish(input);
        if !input.is_empty() {
            let Batch { meta, .. } = input;
            if let Uniform::Rows(times) = &meta.time {
                self.mark(times, &mut meta.marks);
            }
            self.arm(cx);
        }
        out.swap(input);
        Ok(Step::Done)
    }

    fn promise(&mut self, _watermark: Timestamp) -> Option<Timestamp> {
        None
    }

    fn on_passed(
        &mut self,
        number: u64,
        out: &mut Out<'_, C>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.control(Control::Passed(number));
        Ok(Step::Done)
    }

    fn on_timer(&mut self, out: &mut Out<'_, C>, cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        // A restored stage is called without having asked: nobody is idle then.
        let due = self.disorder.idle_after.map(|after| self.since.plus(after));
        if due.is_none_or(|at| at > cx.now()) {
            due.into_iter().for_each(|at| cx.wake_at(at));
            return Ok(Step::Done);
        }
        if self.greatest.is_some() {
            let idle = cx.now().since(self.since);
            self.watermark = Timestamp(self.watermark.0.saturating_add(nanos_i64(idle)));
            out.mark(self.watermark);
        }
        out.control(Control::Idle);
        self.arm(cx);
        Ok(Step::Done)
    }

    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        to.push(u8::from(self.greatest.is_some()));
        to.extend_from_slice(&self.greatest.unwrap_or(Timestamp::MIN).0.to_le_bytes());
        to.extend_from_slice(&self.watermark.0.to_le_bytes());
        Ok(())
    }

    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        let number = |b: &[u8]| b.try_into().map(i64::from_le_bytes).ok();
        let parts = match from {
            [seen @ (0 | 1), rest @ ..] if rest.len() == 16 => {
                number(&rest[..8]).zip(number(&rest[8..])).map(|(g, w)| (*seen == 1, g, w))
            }
            _ => None,
        };
        let Some((seen, greatest, watermark)) = parts else {
            let what = "the snapshot of an event-time stage is not 17 bytes";
            return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::Serialization, what));
        };
        self.greatest = seen.then_some(Timestamp(greatest));
        self.watermark = Timestamp(watermark);
        Ok(())
    }
}

/// Disorder while it can still be set by the options behind `event_time`.
pub(crate) type SharedDisorder = Rc<RefCell<Disorder>>;
