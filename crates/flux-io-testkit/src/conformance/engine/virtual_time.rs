//! Laws of an engine whose clock moves only when nothing can run: exact times, and the same bytes
//! again from the same seed.

use super::kit::{KeyBy, OnBatch, Tape, completed, every_way};
use super::timers::{ms, ring};
use crate::doubles::{CollectSink, Gate, Line, ScriptSource, Shelf, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{
    Batch, Ended, Engine, GiveUp, IoCx, Moment, OnError, Out, Retry, RunOptions, Sink, StageCx,
    StageError, Step, StopMode,
};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// Without jitter the time of a run that only retries is the sum of its waits.
pub fn retries_wait_exactly(engine: &dyn Engine) {
    for options in every_way() {
        let retry =
            Retry { attempts: 6, first: ms(100), factor: 3, longest: ms(1_000), jitter_percent: 0 };
        let mut left = 5;
        let flaky = OnBatch(
            move |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
                if left > 0 {
                    left -= 1;
                    return Err(StageError::transient("not yet"));
                }
                out.swap(b);
                Ok(Step::Done)
            },
        );
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..5))
            .then("flaky", flaky)
            .on_error(OnError::Retry { retry, then: GiveUp::Fail })
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), options);
        completed(&report);
        assert_eq!(shelf.len(), 5);
        // 100, 300, 900, then the longest wait twice.
        assert_eq!(report.elapsed, ms(100 + 300 + 900 + 1_000 + 1_000));
    }
}

/// A timeout is neither evaluated at once nor never: it fires at its very moment (B29).
pub fn b029_timers_fire_at_their_moment(engine: &dyn Engine) {
    for options in every_way() {
        let at = |n: u64| Moment(n * 1_000_000);
        let lines = vec![
            Line::Row(40),
            Line::Cut,
            Line::Until(at(10)),
            Line::Row(20),
            Line::Cut,
            Line::Until(at(100)),
            Line::Row(900),
            Line::Cut,
            Line::Until(at(1_500)),
        ];
        let fired = ring(engine, options, |_| lines);
        assert_eq!(fired, [(at(30), at(30)), (at(1_000), at(1_000))]);
    }
}

/// A year of waiting passes in a moment, to the nanosecond.
pub fn a_long_wait_costs_no_real_time(engine: &dyn Engine) {
    let year = Duration::from_secs(365 * 24 * 3_600);
    let lines = vec![Line::Row(1), Line::Cut, Line::Until(Moment::START.plus(year))];
    let (sink, _) = CollectSink::<u64>::new();
    let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink);
    let report = engine.run_plan(plan.plan(), RunOptions::default());
    completed(&report);
    assert_eq!(report.elapsed, year);
}

/// Opens a gate from another thread once it was told to, while `run` goes on.
fn opened<R>(gate: &Gate, run: impl FnOnce(SyncSender<()>) -> R) -> R {
    let (tell, told) = sync_channel(1);
    std::thread::scope(|s| {
        s.spawn(move || {
            let came = told.recv();
            gate.open();
            came
        });
        run(tell)
    })
}

/// No time passes that another thread does not take: a deadline an hour ahead is not over while a
/// source waits for what a thread gives.
pub fn time_waits_for_what_comes_from_outside(engine: &dyn Engine) {
    for options in every_way() {
        let gate = Gate::new();
        let fired = opened(&gate, |tell| {
            let tells = Line::call(move || {
                _ = tell.try_send(());
            });
            let hour = Line::Row(3_600_000);
            ring(engine, options, |_| vec![hour, Line::Cut, tells, Line::Gate(gate.clone())])
        });
        assert_eq!(fired, []);
    }
}

/// Tells that a write has begun, and waits in it for a gate.
struct Slow(SyncSender<()>, Gate);

impl Sink for Slow {
    type Col = Vec<u64>;

    async fn write(&mut self, batch: &mut Batch<Vec<u64>>, _cx: &IoCx) -> Result<(), StageError> {
        _ = self.0.try_send(());
        self.1.wait().await;
        batch.clear();
        Ok(())
    }
}

/// Neither is the deadline of a drain over while a sink waits for a thread to take what it gives.
pub fn time_waits_for_what_is_taken_outside(engine: &dyn Engine) {
    for options in every_way() {
        let gate = Gate::new();
        let report = opened(&gate, |tell| {
            let (handle, sink) = (options.handle.clone(), Slow(tell, gate.clone()));
            let deadline = Some(Duration::from_secs(3_600));
            let stops = Line::call(move || handle.stop(StopMode::Graceful { deadline }));
            let lines = [Line::Row(1), stops, Line::Row(2)];
            let source = ScriptSource::<u64>::new(lines);
            engine.run_plan(HandPlan::from("in", source).into("out", sink).plan(), options)
        });
        assert_eq!(report.ended, Ended::Drained, "{:?}", report.failure);
        assert!(report.elapsed < ms(3_600_000), "{:?}", report.elapsed);
    }
}

/// Runs a keyed job over three shards and two sources with timers; gives what came out, in order,
/// with what the shards saw. What a seeded engine is compared by.
#[must_use]
pub fn fingerprint(engine: &dyn Engine) -> (Vec<u64>, Vec<(u32, super::Seen)>) {
    let (sink, shelf) = CollectSink::<u64>::new();
    let log = Shelf::default();
    let mut p = HandPlan::new().capacity(2);
    let script = |from: u64| {
        (0..200).flat_map(move |r| {
            let row = Line::Row(from + r);
            let wait = (r % 50 == 49).then(|| Line::Until(Moment(r * 1_000)));
            [Some(row), wait].into_iter().flatten()
        })
    };
    let a = p.source("a", ScriptSource::<u64>::new(script(0)));
    let b = p.source("b", ScriptSource::<u64>::new(script(1_000)));
    let key = p.stage("key", KeyBy(|r| r % 13));
    p.join(a, key);
    p.join(b, key);
    let taped = log.clone();
    let tape = p.many("tape", 3, move |_| Tape::onto(&taped));
    p.edge((key, 0), (tape, 0), super::exchange::BY_HASH);
    let out = p.sink("out", sink);
    p.join(tape, out);
    completed(&engine.run_plan(p.plan(), RunOptions::default().batch(16)));
    (shelf.take(), log.take())
}
