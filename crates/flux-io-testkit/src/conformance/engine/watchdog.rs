//! Laws of runs that are watched: what stands still is found and told, what only takes its time is
//! left alone.

use super::kit::{OnBatch, Split, Zip, by_row, completed, every_way};
use crate::doubles::{
    CollectSink, Fault, Faults, FlakySink, Gate, Line, Noted, RecordingObserver, ScriptSource,
    Shelf, VecSource,
};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Batch, ChannelDescriptor, Command, Doing, Ended, Engine, ErrorKind, ExecutionPlan,
    Filled, GiveUp, IoCx, Moment, Node, Observer, OnError, OnStuck, Out, Outbox, Retry, RunOptions,
    RunReport, Silence, Source, Stage, StageCx, StageError, StageKind, Step, Stuck, Timestamp,
    Watchdog,
};
use std::sync::Arc;
use std::time::Duration;

/// Together long beside what a busy machine may keep a thread waiting; a thread that is kept so
/// long is passed by so many looks of another one only if they share no processor.
const EVERY: Duration = Duration::from_millis(20);
const INTERVALS: u32 = 10;

fn watched(options: RunOptions, then: OnStuck) -> RunOptions {
    options.watchdog(Watchdog::new(EVERY, INTERVALS).then(then))
}

/// The run was found stuck after as long as was said; gives what was seen.
fn found(report: RunReport) -> Stuck {
    let stuck = *report.stuck.unwrap_or_else(|| Box::new(stuck_nowhere()));
    assert!(stuck.quiet >= EVERY * INTERVALS, "{stuck}");
    stuck
}

const fn stuck_nowhere() -> Stuck {
    Stuck {
        quiet: Duration::ZERO,
        tasks: Vec::new(),
        queues: Vec::new(),
        waits: flux_io_core::WaitFor { waits: Vec::new() },
        dead: Vec::new(),
    }
}

/// A watched run gives what an unwatched one gives and ends when its tasks do, not when its
/// watchdog would look next.
pub fn a_run_that_goes_on_is_not_held_by_its_watchdog(engine: &dyn Engine) {
    let hour = Duration::from_secs(3_600);
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..2_000))
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let options = options.watchdog(Watchdog::new(hour, 1).then(OnStuck::Fail));
        let report = engine.run_plan(plan.plan(), options);
        completed(&report);
        assert!(report.stuck.is_none() && report.elapsed < hour);
        assert_eq!(shelf.take(), (0..2_000).collect::<Vec<_>>());
    }
}

/// A write that never returns: the run fails, or is aborted, as the policy says; the dump names the
/// task, what it waits for, and the queues before it.
pub fn a_sink_that_hangs_is_found(engine: &dyn Engine) {
    for (options, then) in every_way().zip([OnStuck::Fail, OnStuck::Abort].into_iter().cycle()) {
        let (sink, shelf) = CollectSink::<u64>::new();
        let sink = FlakySink::new(sink, Faults::at([(0, Fault::Hang)]));
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
            .capacity(1)
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), watched(options, then));
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
        if then == OnStuck::Abort {
            assert_eq!(report.ended, Ended::Aborted, "{:?}", report.failure);
        } else {
            let failure = report.failure.as_ref();
            assert_eq!(
                failure.map(|f| (&*f.stage, f.error.kind)),
                Some(("watchdog", ErrorKind::Stuck))
            );
            assert!(failure.is_some_and(|f| f.error.what.contains("waits for its sink")));
        }
        let stuck = found(report);
        let ends_in_sink = |t: &&flux_io_core::StuckTask| t.stages.iter().any(|s| s == "out");
        let hung = stuck.tasks.iter().find(ends_in_sink);
        assert_eq!(hung.map(|t| t.doing), Some(Doing::Sink), "{stuck}");
    }
}

/// A source of even rows alone, split into two branches that a zip joins again over queues of one
/// batch: the split waits for room at the zip, and the zip for odd rows of the split.
fn deadlock() -> ExecutionPlan<'static> {
    deadlock_in(HandPlan::new()).plan()
}

fn deadlock_in(p: HandPlan) -> HandPlan {
    let mut p = p.capacity(1);
    let from = p.source("in", VecSource::<u64>::new((0..400).map(|r| 2 * r)));
    let two = || [column::<Vec<u64>>(), column::<Vec<u64>>()].concat();
    let split = p.node("split", column::<Vec<u64>>(), two(), Split);
    let zip = p.node("zip", two(), column::<Vec<u64>>(), Zip::default());
    let out = p.sink("out", CollectSink::<u64>::new().0);
    p.join(from, split);
    p.edge((split, 0), (zip, 0), ChannelDescriptor::default());
    p.edge((split, 1), (zip, 1), ChannelDescriptor::default());
    p.join(zip, out);
    p
}

/// Row 199. Two tasks that wait for each other: the dump has both waits and the cycle.
pub fn a_deadlock_is_named_with_its_cycle(engine: &dyn Engine) {
    for chain in [true, false] {
        let options = RunOptions::default().batch(4).chain(chain);
        let observer = Arc::new(RecordingObserver::new());
        let seen: Arc<RecordingObserver> = Arc::clone(&observer);
        let options = watched(options, OnStuck::Fail).observer(seen);
        let report = engine.run_plan(deadlock(), options);
        assert_eq!(report.ended, Ended::Failed);
        assert_eq!(report.check(), Ok(()));
        let told = observer.noted().into_iter().filter_map(|n| match n {
            Noted::Stuck(text) => Some(text),
            _ => None,
        });
        let stuck = found(report);
        assert_eq!(told.collect::<Vec<_>>(), [stuck.to_string()]);
        let cycle = stuck.waits.cycle().unwrap_or_default();
        assert_eq!(cycle.len(), 3, "{stuck}");
        assert!(cycle.iter().any(|t| t == "zip#0"), "{stuck}");
        assert!(stuck.to_string().contains("(room)") && stuck.to_string().contains("(rows)"));
    }
}

/// A stage that asks for a moment again and again and passes nothing on: timers fire, nothing
/// moves.
pub fn a_livelock_is_found(engine: &dyn Engine) {
    for options in every_way() {
        let spins =
            OnBatch(|_: &mut Batch<Vec<u64>>, _: &mut Out<'_, Vec<u64>>, cx: &mut StageCx<'_>| {
                Ok(Step::Wait(cx.now().plus(Duration::from_micros(300))))
            });
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..9)).then("spins", spins);
        let report =
            engine.run_plan(plan.into("out", sink).plan(), watched(options, OnStuck::Fail));
        assert_eq!(report.ended, Ended::Failed);
        let stuck = found(report);
        assert!(stuck.tasks.iter().any(|t| t.stages.iter().any(|s| s == "spins")), "{stuck}");
        assert_eq!((shelf.len(), shelf.closed()), (0, 0));
    }
}

/// Holds its rows until it is asked to flush, and then lets go, or not.
struct Holds {
    flushed: bool,
    lets_go: bool,
}

impl Stage for Holds {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if !self.flushed {
            return Ok(Step::Wait(cx.now().plus(Duration::from_micros(300))));
        }
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_command(
        &mut self,
        command: &Command,
        _out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        self.flushed |= self.lets_go && matches!(command, Command::FlushAll);
        Ok(true)
    }
}

/// A watchdog creates no thread of progress: it asks accumulators to flush, once, and fails the
/// run when that moves nothing.
pub fn b065_a_flush_is_asked_for_before_the_run_fails(engine: &dyn Engine) {
    for (options, lets_go) in every_way().zip([true, false].into_iter().cycle()) {
        let (sink, shelf) = CollectSink::<u64>::new();
        let mut p = HandPlan::from("in", VecSource::<u64>::new(0..20))
            .then("holds", Holds { flushed: false, lets_go });
        p.graph.nodes[1].kind = StageKind::Accumulator;
        // One that lets go must be given the time to.
        let every = if lets_go { EVERY * 3 } else { EVERY };
        let options = options.watchdog(Watchdog::new(every, INTERVALS).then(OnStuck::Flush));
        let report = engine.run_plan(p.into("out", sink).plan(), options);
        let (ended, rows) = if lets_go { (Ended::Completed, 20) } else { (Ended::Failed, 0) };
        assert_eq!((report.ended, shelf.len()), (ended, rows), "{:?}", report.failure);
        found(report);
    }
}

/// Whatever the watchdog's patience, waiting for input from outside with empty queues is no
/// standstill.
pub fn an_idle_run_is_not_stuck(engine: &dyn Engine) {
    for options in every_way() {
        let minute = Moment::START.plus(Duration::from_secs(60));
        let mut p = HandPlan::new();
        let merge = p.stage("merge", by_row(|r, out| out.push(r)));
        for (name, lines) in [
            ("waits", vec![Line::Row(1), Line::Cut, Line::Until(minute), Line::Row(2)]),
            ("comes", vec![Line::Until(minute), Line::Row(3)]),
        ] {
            let from = p.source(name, ScriptSource::<u64>::new(lines));
            p.join(from, merge);
        }
        let (sink, shelf) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        p.join(merge, out);
        let report = engine.run_plan(p.plan(), watched(options, OnStuck::Fail));
        completed(&report);
        assert!(report.stuck.is_none());
        assert_eq!(shelf.len(), 3);
    }
}

/// Passes rows on and takes no more than four: it does not learn of the end of its input.
#[derive(Default)]
struct Four(usize);

impl Node for Four {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = &mut input.get_mut::<Vec<u64>>()?.col;
        self.0 += rows.len();
        outs[0].typed::<Vec<u64>>()?.batch().col.append(rows);
        Ok(Step::Done)
    }

    fn accepts(&self, _port: usize) -> bool {
        self.0 < 4
    }
}

/// The source has ended, nobody works, and a task leaves the rest of its input where it is: nothing
/// can wake it, nor the one behind it. So it is said also where the policy leaves alone what only
/// takes long.
pub fn a_task_that_refuses_its_only_input_is_found(engine: &dyn Engine) {
    let one = column::<Vec<u64>>;
    let (sink, shelf) = CollectSink::<u64>::new();
    let mut p = HandPlan::from("in", VecSource::<u64>::new(0..8));
    let four = p.node("four", one(), one(), Four::default());
    let out = p.sink("out", sink);
    p.join(0, four);
    p.join(four, out);
    let options = RunOptions::default().batch(4).chain(false);
    let report = engine.run_plan(p.plan(), watched(options, OnStuck::FailWhenOver));
    assert_eq!(report.ended, Ended::Failed);
    assert!((4..8).contains(&shelf.len()) && shelf.closed() == 0);
    let stuck = found(report);
    assert!(stuck.is_over(), "{stuck}");
    assert_eq!(stuck.dead, ["four#0", "out#0"], "{stuck}");
}

/// Opens a gate at what it is told of, and keeps that.
#[derive(Default)]
struct Opens {
    at_stuck: Option<Gate>,
    at_silence: Option<Gate>,
    stuck: Shelf<Stuck>,
    silent: Shelf<Silence>,
}

impl Observer for Opens {
    fn on_stuck(&self, stuck: &Stuck) {
        self.stuck.put(stuck.clone());
        self.at_stuck.iter().for_each(Gate::open);
    }
    fn on_silence(&self, silence: &Silence) {
        self.silent.put(silence.clone());
        self.at_silence.iter().for_each(Gate::open);
    }
}

/// Two tasks that wait for each other are told while another part of the run only waits for its
/// input; the run fails when that has ended, and not before.
pub fn a_part_that_stands_still_is_told(engine: &dyn Engine) {
    let gate = Gate::new();
    let mut p = deadlock_in(HandPlan::new());
    let lines = [Line::Row(1), Line::Cut, Line::Gate(gate.clone()), Line::Row(2)];
    let from = p.source("waits", ScriptSource::<u64>::new(lines));
    let (sink, shelf) = CollectSink::<u64>::new();
    let out = p.sink("aside", sink);
    p.join(from, out);
    let opens = Arc::new(Opens { at_stuck: Some(gate), ..Opens::default() });
    let seen: Arc<Opens> = Arc::clone(&opens);
    let options = watched(RunOptions::default().batch(4), OnStuck::FailWhenOver).observer(seen);
    let report = engine.run_plan(p.plan(), options);
    assert_eq!(report.ended, Ended::Failed);
    assert_eq!((shelf.take(), shelf.closed()), (vec![1, 2], 1));
    let told = opens.stuck.take();
    assert!(told.len() >= 2, "{told:?}");
    let (first, last) = (&told[0], &told[told.len() - 1]);
    assert!(!first.is_over() && first.dead.iter().any(|t| t == "zip#0"), "{first}");
    assert!(last.is_over() && last.dead.iter().any(|t| t == "zip#0"), "{last}");
}

/// A row a millisecond, with a mark behind each or without, until a gate is open.
struct Ticks {
    until: Gate,
    marks: bool,
    given: u64,
}

impl Source for Ticks {
    type Col = Vec<u64>;

    async fn fill(&mut self, out: &mut Batch<Vec<u64>>, cx: &IoCx) -> Result<Filled, StageError> {
        if self.until.is_open() {
            return Ok(Filled::End);
        }
        cx.sleep_until(cx.now().plus(Duration::from_millis(1))).await;
        out.col.push(self.given);
        self.given += 1;
        if self.marks {
            out.mark(Timestamp(self.given as i64));
        }
        Ok(Filled::More)
    }
}

/// Runs a source that is silent until that is told, beside another one; gives what was told.
fn silent_beside<S: Source<Col = Vec<u64>> + 'static>(
    engine: &dyn Engine,
    other: impl FnOnce(Gate) -> S,
) -> Vec<Silence> {
    let gate = Gate::new();
    let mut p = HandPlan::new();
    let merge = p.stage("merge", by_row(|r, out| out.push(r)));
    let lines = [Line::Row(0), Line::Cut, Line::Gate(gate.clone()), Line::Row(u64::MAX)];
    let late = p.source("late", ScriptSource::<u64>::new(lines));
    let other = p.source("other", other(gate.clone()));
    p.join(late, merge);
    p.join(other, merge);
    let (sink, shelf) = CollectSink::<u64>::new();
    let out = p.sink("out", sink);
    p.join(merge, out);
    let opens = Arc::new(Opens { at_silence: Some(gate), ..Opens::default() });
    let seen: Arc<Opens> = Arc::clone(&opens);
    let options = watched(RunOptions::default(), OnStuck::FailWhenOver).observer(seen);
    let report = engine.run_plan(p.plan(), options);
    completed(&report);
    assert!(report.stuck.is_none());
    assert!(shelf.take().contains(&u64::MAX));
    let told = opens.silent.take();
    assert_eq!(report.silence.as_deref(), told.last());
    assert!(told.iter().all(|s| s.quiet >= EVERY * INTERVALS), "{told:?}");
    told
}

/// A source that is silent is named when everybody waits for it, and when the time of a stage does
/// while other sources go on; the run goes on when the source does.
pub fn a_silent_source_is_named(engine: &dyn Engine) {
    let told = silent_beside(engine, |_| VecSource::<u64>::new(1..3));
    assert_eq!((&told[0].sources[..], told[0].holds.len()), (&["late".to_owned()][..], 0));
    let told = silent_beside(engine, |until| Ticks { until, marks: true, given: 1 });
    assert_eq!((&*told[0].sources[0], &*told[0].holds[0]), ("late", "merge"));
    assert_eq!((told[0].sources.len(), told[0].holds.len()), (1, 1));
}

/// While other sources go on and no time waits for it, a silent source is nobody's matter.
pub fn a_silent_source_that_holds_nobody_up_is_not_told(engine: &dyn Engine) {
    let gate = Gate::new();
    let mut p = HandPlan::new();
    let silent = p.source("silent", ScriptSource::<u64>::new([Line::Gate(gate.clone())]));
    let later = Moment::START.plus(EVERY * (3 * INTERVALS));
    let ticks = Ticks { until: gate.clone(), marks: true, given: 0 };
    let ticks = p.source("ticks", ticks);
    let ends = [Line::Until(later), Line::call(move || gate.open())];
    let ends = p.source("ends", ScriptSource::<u64>::new(ends));
    for (name, from) in [("a", silent), ("b", ticks), ("c", ends)] {
        let out = p.sink(name, CollectSink::<u64>::new().0);
        p.join(from, out);
    }
    let report = engine.run_plan(p.plan(), watched(RunOptions::default(), OnStuck::Fail));
    completed(&report);
    assert_eq!((report.stuck, report.silence), (None, None));
}

/// A retry that backs off for longer than the watchdog's patience is no standstill, in a stage and
/// in a sink: the moment at which it goes on is known.
pub fn a_known_pause_is_not_stuck(engine: &dyn Engine) {
    let retry = Retry { attempts: 3, first: Duration::from_secs(9), ..Retry::default() };
    let policy = || OnError::Retry { retry, then: GiveUp::Fail };
    for options in every_way() {
        let mut left = 2;
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
        let sink = FlakySink::new(sink, Faults::at([(0, Fault::Transient), (1, Fault::Transient)]));
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..200))
            .capacity(1)
            .then("flaky", flaky)
            .on_error(policy())
            .into("out", sink)
            .on_error(policy());
        let report = engine.run_plan(plan.plan(), watched(options, OnStuck::Fail));
        completed(&report);
        assert!(report.stuck.is_none());
        assert_eq!(shelf.len(), 200);
    }
}

/// A watchdog that only reports says it once for each standstill, and looks again when something
/// has moved.
pub fn what_moves_again_is_looked_at_again(engine: &dyn Engine) {
    for options in every_way() {
        let mut waits = 0_u32;
        let hesitates = OnBatch(
            move |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, cx: &mut StageCx<'_>| {
                waits += 1;
                if !waits.is_multiple_of(40) {
                    return Ok(Step::Wait(cx.now().plus(EVERY / 3)));
                }
                out.swap(b);
                Ok(Step::Done)
            },
        );
        let lines = [Line::Row(1), Line::Cut, Line::Row(2), Line::Cut];
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).then("slow", hesitates);
        let observer = Arc::new(RecordingObserver::new());
        let seen: Arc<RecordingObserver> = Arc::clone(&observer);
        let options = watched(options, OnStuck::Report).observer(seen);
        let report = engine.run_plan(plan.into("out", sink).plan(), options);
        completed(&report);
        assert_eq!(shelf.take(), [1, 2]);
        let told = observer.noted().iter().filter(|n| matches!(n, Noted::Stuck(_))).count();
        assert_eq!(told, 2, "one for each batch that is slow");
    }
}
