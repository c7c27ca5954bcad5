//! What the tokio engine promises about the runtime it runs on.

use flux_io_core::{Ended, Engine, RunOptions, StopMode};
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::conformance::engine::by_row;
use flux_io_testkit::doubles::{CollectSink, Gate, Line, ScriptSource, VecSource};
use flux_io_testkit::plans::HandPlan;
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
        let lines = [Line::Row(1), Line::Until(flux_io_core::Moment::START.plus(hour))];
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
