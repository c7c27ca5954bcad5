//! Laws of timers: once, not early, the earliest first, withdrawn when asked.

use super::kit::{completed, every_way};
use crate::doubles::{CollectSink, Gate, Line, ScriptSource, Shelf};
use crate::plans::HandPlan;
use flux_io_core::{Batch, Engine, Moment, Out, RunOptions, Stage, StageCx, StageError, Step};
use std::time::Duration;

/// Milliseconds.
pub(super) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The row that withdraws the timer.
const WITHDRAW: u64 = u64::MAX;

/// Asks for timers as rows say, in milliseconds from now, and notes when they fire.
struct Bell {
    fired: Shelf<(Moment, Moment)>,
    due: Option<Moment>,
    /// Opened by the first and the second timer.
    rung: [Gate; 2],
}

impl Stage for Bell {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        _out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for row in input.col.drain(..) {
            if row == WITHDRAW {
                cx.cancel_wake();
                self.due = None;
                // On a machine that was slow it may have fired before.
                drop(self.fired.take());
            } else {
                let at = cx.now().plus(ms(row));
                cx.wake_at(at);
                self.due = Some(self.due.map_or(at, |d| d.min(at)));
            }
        }
        Ok(Step::Done)
    }

    fn on_timer(
        &mut self,
        _out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.fired.put((self.due.take().unwrap_or(Moment::START), cx.now()));
        if let Some(gate) = self.rung.get(self.fired.len() - 1) {
            gate.open();
        }
        Ok(Step::Done)
    }
}

/// Runs a script through a [`Bell`]; gives when each timer was due and when it fired. The script
/// may wait until the first and the second timer have fired.
pub(super) fn ring(
    engine: &dyn Engine,
    options: RunOptions,
    lines: impl FnOnce([Line<u64>; 2]) -> Vec<Line<u64>>,
) -> Vec<(Moment, Moment)> {
    let (fired, rung) = (Shelf::default(), [Gate::new(), Gate::new()]);
    let lines = lines(rung.clone().map(Line::Gate));
    let bell = Bell { fired: fired.clone(), due: None, rung };
    let (sink, _) = CollectSink::<u64>::new();
    let plan =
        HandPlan::from("in", ScriptSource::<u64>::new(lines)).then("bell", bell).into("out", sink);
    completed(&engine.run_plan(plan.plan(), options));
    fired.take()
}

const fn at(n: u64) -> Moment {
    Moment(n * 1_000_000)
}

/// A timer fires once, at its moment or later.
pub fn a_timer_fires_once_and_not_early(engine: &dyn Engine) {
    for options in every_way() {
        let fired = ring(engine, options, |[first, _]| {
            vec![Line::Row(10), Line::Cut, Line::Until(at(30)), first, Line::Until(at(40))]
        });
        assert_eq!(fired.len(), 1);
        assert!(fired[0].1 >= fired[0].0 && fired[0].0 >= at(10), "{fired:?}");
    }
}

/// Of several deadlines asked for, the earliest fires; the stage keeps the others itself.
pub fn the_earliest_deadline_counts(engine: &dyn Engine) {
    for options in every_way() {
        let fired = ring(engine, options, |[first, _]| {
            vec![Line::Row(900_000), Line::Row(5), Line::Row(700_000), Line::Cut, first]
        });
        assert_eq!(fired.len(), 1);
        assert!(fired[0].0 < at(700_000) && fired[0].1 >= fired[0].0, "{fired:?}");
    }
}

/// A withdrawn timer does not fire.
pub fn a_withdrawn_timer_never_fires(engine: &dyn Engine) {
    for options in every_way() {
        let fired = ring(engine, options, |_| {
            vec![Line::Row(10), Line::Row(WITHDRAW), Line::Cut, Line::Until(at(30))]
        });
        assert_eq!(fired, []);
    }
}

/// Timers fire while the source of their chain waits, and the wait is not begun again: what was
/// due at 60 ms comes at 60 ms and not later by the timers between.
pub fn timers_fire_while_a_source_waits(engine: &dyn Engine) {
    for options in every_way() {
        let fired = ring(engine, options, |[first, second]| {
            let ask = || [Line::Row(5), Line::Cut];
            let wait = |n, rung| [Line::Until(at(n)), rung];
            [ask(), wait(30, first), ask(), wait(60, second)].concat()
        });
        assert_eq!(fired.len(), 2, "{fired:?}");
        assert!(fired[0].1 >= at(5) && fired[1].1 >= at(35), "{fired:?}");
    }
}

/// Gives a row at every ring of its timer, five at once, and yields when there is no room.
struct Burst {
    left: u64,
}

impl Stage for Burst {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        cx.wake_at(cx.now());
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_timer(
        &mut self,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        while self.left > 0 {
            if out.is_full() {
                return Ok(Step::Yield);
            }
            self.left -= 1;
            out.batch().col.push(1_000 - self.left);
            out.seal();
        }
        Ok(Step::Done)
    }
}

/// A timer whose output has no room, since the next stage is trying again later, waits for room:
/// nothing spins, nothing is lost, order is kept.
pub fn a_timer_waits_for_room(engine: &dyn Engine) {
    for options in every_way() {
        let mut refusals = 3;
        let slow = super::OnBatch(
            move |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
                if b.col.contains(&1) && refusals > 0 {
                    refusals -= 1;
                    return Err(StageError::transient("later"));
                }
                out.swap(b);
                Ok(Step::Done)
            },
        );
        let (sink, shelf) = CollectSink::<u64>::new();
        let retry = flux_io_core::Retry { first: ms(3), ..flux_io_core::Retry::default() };
        let lines = [Line::Row(1), Line::Cut, Line::Until(at(20))];
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .then("burst", Burst { left: 20 })
            .then("slow", slow)
            .on_error(flux_io_core::OnError::Retry { retry, then: flux_io_core::GiveUp::Fail })
            .into("out", sink);
        completed(&engine.run_plan(plan.plan(), options));
        let rows = shelf.take();
        assert_eq!(rows.first(), Some(&1));
        assert!(rows.is_sorted() && rows.len() <= 21, "{rows:?}");
    }
}
