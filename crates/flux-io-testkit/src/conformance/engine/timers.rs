//! Laws of timers: once, not early, the earliest first, withdrawn when asked.

use super::kit::{completed, every_way};
use crate::doubles::{CollectSink, Line, ScriptSource, Shelf};
use crate::plans::HandPlan;
use flux_io_core::{Batch, Engine, Moment, Out, RunOptions, Stage, StageCx, StageError, Step};
use std::time::Duration;

/// Milliseconds.
pub(super) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Asks for timers as rows say and notes when they fire. Row `n < 1000`: wake `n` ms from now;
/// row 1000: withdraw.
pub(super) struct Bell {
    fired: Shelf<(Moment, Moment)>,
    due: Option<Moment>,
}

impl Bell {
    pub(super) fn new() -> (Self, Shelf<(Moment, Moment)>) {
        let fired = Shelf::default();
        (Self { fired: fired.clone(), due: None }, fired)
    }
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
            if row == 1_000 {
                cx.cancel_wake();
                self.due = None;
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
        Ok(Step::Done)
    }
}

/// Runs a script through a [`Bell`]; gives when each timer was due and when it fired.
pub(super) fn ring(
    engine: &dyn Engine,
    options: RunOptions,
    lines: Vec<Line<u64>>,
) -> Vec<(Moment, Moment)> {
    let (bell, fired) = Bell::new();
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
        let lines = vec![Line::Row(10), Line::Cut, Line::Until(at(30))];
        let fired = ring(engine, options, lines);
        assert_eq!(fired.len(), 1);
        assert!(fired[0].1 >= fired[0].0 && fired[0].0 >= at(10), "{fired:?}");
    }
}

/// Of several deadlines asked for, the earliest fires; the stage keeps the others itself.
pub fn the_earliest_deadline_counts(engine: &dyn Engine) {
    for options in every_way() {
        let rows = [Line::Row(900), Line::Row(5), Line::Row(700)];
        let lines = rows.into_iter().chain([Line::Cut, Line::Until(at(20))]).collect();
        let fired = ring(engine, options, lines);
        assert_eq!(fired.len(), 1);
        assert!(fired[0].0 < at(700) && fired[0].1 >= fired[0].0, "{fired:?}");
    }
}

/// A withdrawn timer does not fire.
pub fn a_withdrawn_timer_never_fires(engine: &dyn Engine) {
    for options in every_way() {
        let lines = vec![Line::Row(500), Line::Row(1_000), Line::Cut, Line::Until(at(20))];
        assert_eq!(ring(engine, options, lines), []);
    }
}

/// Timers fire while the source of their chain waits, and the wait is not begun again: what was
/// due at 60 ms comes at 60 ms and not later by the timers between.
pub fn timers_fire_while_a_source_waits(engine: &dyn Engine) {
    for options in every_way() {
        let lines = vec![
            Line::Row(5),
            Line::Cut,
            Line::Until(at(30)),
            Line::Row(5),
            Line::Cut,
            Line::Until(at(60)),
        ];
        let fired = ring(engine, options, lines);
        assert_eq!(fired.len(), 2, "{fired:?}");
        assert!(fired[0].1 >= at(5) && fired[1].1 >= at(35), "{fired:?}");
    }
}
