//! What the tokio engine promises about the runtime it runs on.

use flux_io_core::{
    Ended, Engine, ErrorKind, ExecutionPlan, Moment, RunOptions, RunReport, StopMode,
};
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::conformance::engine::by_row;
use flux_io_testkit::doubles::{CollectSink, Gate, Line, ScriptSource, Shelf, VecSource};
use flux_io_testkit::plans::HandPlan;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use tokio::runtime::{Builder, Runtime};

fn runtime(workers: usize) -> Runtime {
    let mut b = match workers {
        1 => Builder::new_current_thread(),
        n => {
            let mut b = Builder::new_multi_thread();
            b.worker_threads(n);
            b
        }
    };
    b.enable_time().build().unwrap_or_else(|e| panic!("no runtime: {e}"))
}

/// Waits until no task is alive on the runtime; a leaked one makes this loop for ever.
async fn quiet(rt: &tokio::runtime::Handle) {
    while rt.metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Row 336. The engine runs on the runtime of a host program, as many runs at once as it likes.
#[test]
fn runs_share_a_runtime() {
    let rt = runtime(2);
    let shelves: Vec<_> = rt.block_on(async {
        let mut shelves = Vec::new();
        let mut runs = Vec::new();
        for n in 1..=4_u64 {
            let (sink, shelf) = CollectSink::<u64>::new();
            let plan = HandPlan::from("in", VecSource::<u64>::new(0..1_000 * n))
                .then("pass", by_row(|r, out| out.push(r)))
                .into("out", sink)
                .plan();
            let options = RunOptions::default().chain(false);
            runs.push(tokio::spawn(async move { TokioEngine::new().run(plan, options).await }));
            shelves.push((n, shelf));
        }
        for r in runs {
            assert_eq!(r.await.expect("a report").ended, Ended::Completed);
        }
        quiet(&tokio::runtime::Handle::current()).await;
        shelves
    });
    for (n, shelf) in shelves {
        assert_eq!(shelf.take(), (0..1_000 * n).collect::<Vec<_>>());
    }
}

/// Row 221. Dropping the future of a run aborts it: the sink gives up, no task is left behind.
#[test]
fn a_dropped_run_gives_up_and_leaves_nothing() {
    for workers in [1, 2] {
        let rt = runtime(workers);
        let (sink, shelf) = CollectSink::<u64>::new();
        let begun = Gate::new();
        let opens = begun.clone();
        let lines =
            [Line::Row(1), Line::Cut, Line::call(move || opens.open()), Line::Gate(Gate::new())];
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink).plan();
        let options = RunOptions::default();
        let (engine, handle) = (TokioEngine::new(), options.handle.clone());
        rt.block_on(async {
            tokio::select! {
                r = engine.run(plan, options) => panic!("ended: {r:?}"),
                () = begun.wait() => {}
            }
            quiet(&tokio::runtime::Handle::current()).await;
        });
        assert!(handle.is_stopping());
        assert_eq!((shelf.closed(), shelf.aborted()), (0, 1), "{workers} workers");
    }
}

/// Row 206. The clock of a run is tokio's: with its clock paused, an hour passes at once.
#[test]
fn time_is_the_runtimes() {
    let hour = std::time::Duration::from_secs(3_600);
    let rt = Builder::new_current_thread().enable_time().start_paused(true).build();
    let report = rt.expect("a runtime").block_on(async {
        let lines = [Line::Row(1), Line::Until(Moment::START.plus(hour))];
        let (sink, _) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink);
        TokioEngine::new().run(plan.plan(), RunOptions::default()).await
    });
    assert_eq!(report.ended, Ended::Completed);
    assert!(report.elapsed >= hour && report.elapsed < 2 * hour, "{:?}", report.elapsed);
}

/// A handle that was stopped before the run aborts it at its first step.
#[test]
fn a_run_stopped_before_it_begins_ends() {
    for workers in [1, 2] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..10)).into("out", sink).plan();
        let options = RunOptions::default().workers(workers);
        options.handle.stop(StopMode::Abort);
        let report = TokioEngine::new().run_plan(plan, options);
        assert_eq!((report.ended, report.engine), (Ended::Aborted, "tokio"));
        assert_eq!((shelf.len(), shelf.closed()), (0, 0));
    }
}

/// A plan of ten rows, and where they go.
fn ten() -> (ExecutionPlan<'static>, Shelf<u64>) {
    let (sink, shelf) = CollectSink::<u64>::new();
    (HandPlan::from("in", VecSource::<u64>::new(0..10)).into("out", sink).plan(), shelf)
}

/// The run was refused, with a reason that says this, and nothing was read.
fn refused(report: RunReport, rows: &Shelf<u64>, why: &str) {
    let failure = report.failure.expect("a failure");
    assert_eq!((report.ended, failure.stage.as_str()), (Ended::Failed, "engine"));
    assert_eq!(failure.error.kind, ErrorKind::Refused);
    assert!(failure.error.what.contains(why), "{}", failure.error.what);
    assert_eq!(rows.len(), 0);
}

/// Outside a runtime, and on one that knows no time, a run is refused; it neither panics nor waits
/// for timers that nobody serves.
#[test]
fn a_run_needs_a_runtime_with_time() {
    let (plan, rows) = ten();
    let engine = TokioEngine::new();
    let run = pin!(engine.run(plan, RunOptions::default()));
    let Poll::Ready(report) = run.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits")
    };
    refused(report, &rows, "there is none here");
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let (plan, rows) = ten();
        let rt = builder.build().unwrap();
        let report = rt.block_on(TokioEngine::new().run(plan, RunOptions::default()));
        refused(report, &rows, "has no time");
    }
}

/// A call that blocks is refused in every place of a runtime that must not block, and no other.
#[test]
fn a_run_that_blocks_is_refused_inside_a_task() {
    let blocking = || {
        let (plan, rows) = ten();
        (TokioEngine::new().run_plan(plan, RunOptions::default()), rows)
    };
    let inside = |(report, rows): (RunReport, Shelf<u64>)| refused(report, &rows, "would block");
    for workers in [1, 2] {
        let rt = runtime(workers);
        inside(rt.block_on(async { blocking() }));
        inside(rt.block_on(async { tokio::spawn(async move { blocking() }).await.unwrap() }));
        let local = tokio::task::LocalSet::new();
        inside(local.block_on(&rt, async { blocking() }));
        let (report, rows) = rt.block_on(rt.spawn_blocking(blocking)).unwrap();
        assert_eq!((report.ended, rows.len()), (Ended::Completed, 10));
        let entered = rt.enter();
        assert_eq!(blocking().0.ended, Ended::Completed, "nobody else is held up");
        drop(entered);
    }
    assert_eq!(blocking().0.ended, Ended::Completed);
}

/// However many runs wait for moments at once, on however many runtimes, one thread wakes them.
#[cfg(target_os = "linux")]
#[test]
fn one_thread_serves_the_timers_of_all_runs() {
    let timer_threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |t: std::fs::DirEntry| std::fs::read_to_string(t.path().join("comm"));
        tasks.filter_map(|t| name(t.unwrap()).ok()).filter(|n| n.trim() == "flux-io-timers").count()
    };
    let seen = Shelf::default();
    let all = Arc::new(Barrier::new(6));
    std::thread::scope(|s| {
        for _ in 0..6 {
            let (seen, all) = (seen.clone(), Arc::clone(&all));
            s.spawn(move || {
                let count = Line::call(move || {
                    // Every run has waited by now, and none has ended.
                    all.wait();
                    seen.put(timer_threads());
                    all.wait();
                });
                let wait = Line::Until(Moment(1_000_000));
                let lines = [Line::Row(1), Line::Cut, wait, count];
                let (sink, _) = CollectSink::<u64>::new();
                let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink);
                TokioEngine::new().run_plan(plan.plan(), RunOptions::default())
            });
        }
    });
    assert_eq!(seen.take(), [1; 6]);
}
