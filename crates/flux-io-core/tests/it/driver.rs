//! The driver on the smallest host: timers that do not pile up, tasks that may be dropped, reports
//! of runs that stop at once, and retries of a user's own.

use flux_io_core::{
    AnyBatch, Ended, ErrorClass, ErrorKind, GiveUp, Host, IoCx, Moment, Node, OnError, Outbox,
    Phase, Retry, RunOptions, StageCx, StageDecorator, StageError, StageNode, Step, StopMode,
    Timestamp, tasks,
};
use flux_io_testkit::conformance::engine::{KeyBy, OnBatch, by_row};
use flux_io_testkit::doubles::{
    CollectSink, Fault, Faults, FlakySink, Line, ManualEngine, ManualHost, ScriptSource, VecSource,
};
use flux_io_testkit::plans::HandPlan;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn at(n: u64) -> Moment {
    Moment(n * 1_000_000)
}

/// Rings every millisecond and gives a row each time.
struct Ticker;

impl flux_io_core::Stage for Ticker {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut flux_io_core::Batch<Vec<u64>>,
        out: &mut flux_io_core::Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        cx.wake_at(cx.now().plus(ms(1)));
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_timer(
        &mut self,
        out: &mut flux_io_core::Out<'_, Vec<u64>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.batch().col.push(cx.now().0);
        cx.wake_at(cx.now().plus(ms(1)));
        Ok(Step::Done)
    }
}

/// Law H1: a task has at most one timer armed, a sleep one; none is left at the end. A timer for
/// each poll would grow without bound.
#[test]
fn timers_never_pile_up() {
    for chain in [true, false] {
        // A source that sleeps, four stages that ring all the time, one that backs off.
        let lines =
            (0..50).flat_map(|i| [Line::Row(i), Line::Cut, Line::Until(at(10 * i)), Line::Yield]);
        let mut left = 30;
        let flaky = OnBatch(
            move |b: &mut flux_io_core::Batch<Vec<u64>>,
                  out: &mut flux_io_core::Out<'_, Vec<u64>>,
                  _: &mut StageCx<'_>| {
                left -= i32::from(left > 0);
                if left % 2 == 1 {
                    return Err(StageError::transient("later"));
                }
                out.swap(b);
                Ok(Step::Done)
            },
        );
        let retry = Retry { first: ms(2), jitter_percent: 0, ..Retry::default() };
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
            .capacity(2)
            .then("tick 1", Ticker)
            .then("tick 2", Ticker)
            .then("flaky", flaky)
            .on_error(OnError::Retry { retry, then: GiveUp::Fail })
            .then("tick 3", Ticker)
            .into("out", sink);
        let run = ManualEngine::new().watch(plan.plan(), &RunOptions::default().chain(chain));
        assert_eq!(run.report.ended, Ended::Completed, "{:?}", run.report.failure);
        assert!(shelf.len() > 1_000, "the tickers ran: {}", shelf.len());
        let sleeps = 1;
        assert!(run.most_timers <= run.tasks + sleeps, "{run:?}");
        assert_eq!(run.left, 0, "no timer outlives its run");
        // One for each ring of each ticker, one for each sleep and retry, and as many again for
        // deadlines that were replaced: far from one a poll.
        assert!(run.armed < 12_000, "{} timers armed", run.armed);
    }
}

/// Law H2: tasks may be dropped at any step; sinks are told to give up, once, and what was not
/// through is nowhere else.
#[test]
fn dropped_tasks_give_up_their_sinks() {
    for steps in 0..12 {
        let host = ManualHost::new();
        let dyn_host: Arc<dyn Host> = Arc::<ManualHost>::clone(&host);
        let (sink, shelf) = CollectSink::<u64>::new();
        let sink = FlakySink::new(sink, Faults::always(Fault::Late));
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..100))
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let options = RunOptions::default().batch(10).chain(false);
        let (mut list, _) = tasks(plan.plan(), &dyn_host, &options);
        let mut cx = Context::from_waker(Waker::noop());
        let n = list.len();
        let mut ended = vec![false; n];
        for k in 0..steps {
            let i = k % n;
            if !ended[i] {
                ended[i] = Pin::new(&mut list[i]).poll(&mut cx).is_ready();
            }
        }
        let closed = shelf.closed();
        drop(list);
        assert_eq!(shelf.closed() + shelf.aborted(), 1, "after {steps} steps");
        assert_eq!(shelf.closed(), closed);
        assert_eq!(host.timers(), 0);
    }
}

/// Row 184. A catastrophic error stops the run at once, whatever the policies say, and the report
/// is the crash report: who failed and why, how far every stage and edge had come, what was lost.
#[test]
fn a_catastrophe_is_reported_whole() {
    for policy in [OnError::Fail, OnError::Skip, OnError::DeadLetter] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let broken = OnBatch(
            |b: &mut flux_io_core::Batch<Vec<u64>>,
             out: &mut flux_io_core::Out<'_, Vec<u64>>,
             _: &mut StageCx<'_>| {
                if b.col.contains(&25) {
                    let cause = std::io::Error::other("the disk is gone");
                    return Err(StageError::catastrophic("cannot go on").because(cause));
                }
                out.swap(b);
                Ok(Step::Done)
            },
        );
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..1_000))
            .capacity(2)
            .then("broken", broken)
            .on_error(policy)
            .into("out", sink);
        let options = RunOptions::default().batch(10).chain(false);
        let report = ManualEngine::new().watch(plan.plan(), &options).report;
        assert_eq!(report.ended, Ended::Failed);
        let failure = report.failure.as_ref().expect("who failed");
        assert_eq!(
            (failure.stage.as_str(), failure.error.class),
            ("broken", ErrorClass::Catastrophic)
        );
        assert!(!failure.is_transient());
        assert_eq!(
            flux_io_core::chain(failure),
            "stage `broken` failed: cannot go on: the disk is gone"
        );
        let stage = report.stage("broken").expect("its state");
        assert_eq!((stage.phase, stage.errors), (Phase::Failed, 1));
        assert_eq!(stage.last_error.as_deref(), Some("cannot go on: the disk is gone"));
        assert_eq!((stage.counts.rows_in, stage.counts.rows_out), (30, 20));
        let read = report.stage("in").map(|s| s.counts.rows_out).expect("how far the source came");
        assert!((30..=60).contains(&read), "stopped at once, not at the end: {read}");
        let into = report.edges.iter().find(|e| e.to == "broken").expect("its edge").stats;
        assert_eq!(into.sent, into.taken + into.undeliverable + into.waiting);
        assert!(shelf.take().iter().all(|r| *r < 20));
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1));
    }
}

/// Tries again on a schedule of its own: first at once, then after prime numbers of milliseconds.
struct Primes;

struct Patient<'env> {
    inner: Box<dyn Node + 'env>,
    waits: std::vec::IntoIter<u64>,
}

impl StageDecorator for Primes {
    fn decorate<'env>(
        &self,
        stage: &StageNode,
        node: Box<dyn Node + 'env>,
    ) -> Box<dyn Node + 'env> {
        match stage.name.as_str() {
            "flaky" => Box::new(Patient { inner: node, waits: vec![0, 2, 3, 5, 7].into_iter() }),
            _ => node,
        }
    }
}

impl Node for Patient<'_> {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        match self.inner.on_batch(port, input, outs, cx) {
            Err(e) if e.class == ErrorClass::Transient => match self.waits.next() {
                Some(n) => Ok(Step::Wait(cx.now().plus(ms(n)))),
                None => Err(e),
            },
            other => other,
        }
    }
}

/// Row 182. Retries are open: a decorator answers for the stage with a schedule of its own, on the
/// engine's clock, and the stage's policy applies to what it lets through.
#[test]
fn retries_may_be_ones_own() {
    for failures in [5, 6] {
        let mut left = failures;
        let flaky = OnBatch(
            move |b: &mut flux_io_core::Batch<Vec<u64>>,
                  out: &mut flux_io_core::Out<'_, Vec<u64>>,
                  _: &mut StageCx<'_>| {
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
            .on_error(OnError::Skip)
            .into("out", sink);
        let run = ManualEngine::new().watch(plan.plan().decorated(Primes), &RunOptions::default());
        assert_eq!(run.report.ended, Ended::Completed);
        assert_eq!(run.report.elapsed, ms(2 + 3 + 5 + 7));
        let skipped = run.report.stage("flaky").and_then(|s| s.dropped.get("skip").copied());
        let expected = if failures == 5 { (5, None) } else { (0, Some(5)) };
        assert_eq!((shelf.len(), skipped), expected);
    }
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A sleep wakes whoever polled it last, also when somebody else had polled it first.
#[test]
fn a_sleep_wakes_whoever_polled_last() {
    let host = ManualHost::new();
    let io: IoCx = host.io(1);
    let (first, last) =
        (Arc::new(Count(AtomicUsize::new(0))), Arc::new(Count(AtomicUsize::new(0))));
    let mut sleep = Box::pin(io.sleep_until(at(5)));
    for waker in [&first, &first, &last, &last] {
        let waker = Waker::from(Arc::clone(waker));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(host.timers(), 1, "one timer a sleep");
    }
    assert!(host.advance());
    assert_eq!((first.0.load(Ordering::Acquire), last.0.load(Ordering::Acquire)), (0, 1));
    assert_eq!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    let mut dropped = Box::pin(io.sleep_until(at(9)));
    assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(dropped);
    assert_eq!(host.timers(), 0, "a dropped sleep disarms");
}

/// A plan whose stages cannot come by rows still ends: a stage without any input is at its end.
#[test]
fn a_stage_without_inputs_ends() {
    let (sink, shelf) = CollectSink::<u64>::new();
    let mut p = HandPlan::new();
    let lonely = p.stage("lonely", by_row(|r, out| out.push(r)));
    let out = p.sink("out", sink);
    p.join(lonely, out);
    let engine = ManualEngine::new();
    let run = engine.watch(p.plan(), &RunOptions::default());
    assert_eq!((run.report.ended, engine.stuck()), (Ended::Completed, 0));
    assert_eq!((shelf.len(), shelf.closed()), (0, 1));
}

/// A panic while a failed run is being dropped (a sink's `abort`) does not reach the caller.
#[test]
fn a_panic_in_abort_is_kept_in() {
    struct Touchy;
    impl flux_io_core::Sink for Touchy {
        type Col = Vec<u64>;
        async fn write(
            &mut self,
            _: &mut flux_io_core::Batch<Vec<u64>>,
            _: &IoCx,
        ) -> Result<(), StageError> {
            Err(StageError::new(ErrorClass::Permanent, ErrorKind::Io, "full"))
        }
        fn abort(&mut self) {
            panic!("panic in abort");
        }
    }
    let plan = HandPlan::from("in", VecSource::<u64>::new(0..5)).into("out", Touchy);
    let report = ManualEngine::new().watch(plan.plan(), &RunOptions::default()).report;
    assert_eq!(report.ended, Ended::Failed);
    assert_eq!(report.failure.map(|f| f.error.what), Some("full".into()));
}

/// Keyed rows, watermarks, waits and a stop in the middle: whatever task is polled when, a run that
/// is stopped ends, and its edges add up.
#[test]
fn a_stop_at_any_row_ends_the_run() {
    for stop in 0..40 {
        for mode in [StopMode::Abort, StopMode::Graceful { deadline: Some(ms(50)) }] {
            let options = RunOptions::default().batch(3).chain(stop % 2 == 0);
            let handle = options.handle.clone();
            let lines = (0..40).flat_map(|r| {
                let handle = handle.clone();
                let asks = move || {
                    if r == stop {
                        handle.stop(mode);
                    }
                };
                [
                    Line::At(r, Timestamp(r as i64)),
                    Line::Mark(Timestamp(r as i64)),
                    Line::call(asks),
                    Line::Until(at(r)),
                ]
            });
            let (sink, shelf) = CollectSink::<u64>::new();
            let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
                .capacity(1)
                .then("key", KeyBy(|r| r % 3))
                .then("tick", Ticker)
                .into("out", sink);
            let engine = ManualEngine::new();
            let run = engine.watch(plan.plan(), &options);
            assert_eq!(engine.stuck(), 0, "row {stop}, {mode:?}");
            let graceful = mode != StopMode::Abort;
            let expected = if graceful { Ended::Drained } else { Ended::Aborted };
            assert_eq!(run.report.ended, expected);
            assert_eq!(
                (shelf.closed(), shelf.aborted()),
                (u32::from(graceful), u32::from(!graceful))
            );
            assert_eq!(run.report.check(), Ok(()));
            assert_eq!(run.left, 0);
        }
    }
}
