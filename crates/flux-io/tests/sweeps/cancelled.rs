//! Tasks and runs that are dropped at every poll.

use flux_io::core::{
    Batch, Ended, ErrorRecord, Host, MemoryPool, Out, RunOptions, StageCx, StageError, Step, Task,
    tasks,
};
use flux_io::prelude::*;
use flux_io_engine_tokio::{DataflowEngine, TokioEngine};
use flux_io_testkit::conformance::engine::{KeyBy, OnBatch};
use flux_io_testkit::doubles::{
    BoundedPool, CollectSink, Fault, Faults, FlakySink, Line, ManualHost, ScriptSource, Shelf,
};
use flux_io_testkit::plans::HandPlan;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const ROWS: u64 = 120;

/// A plan with every kind of wait: a source that is pending and sleeps, a stage that retries, an
/// accumulator behind an exchange, a slow sink that retries, a sink of dead letters, queues of one
/// batch.
fn plan() -> (flux_io::core::ExecutionPlan<'static>, Shelf<u64>, Shelf<ErrorRecord>) {
    let lines = (0..ROWS).flat_map(|r| match r % 10 {
        3 => vec![Line::Row(r), Line::Cut, Line::Yield],
        6 => vec![Line::Bad("unreadable".into()), Line::Row(r)],
        9 => vec![Line::Row(r), Line::Cut, Line::Until(flux_io::core::Moment(r * 1_000_000))],
        _ => vec![Line::Row(r)],
    });
    let mut tries = 0;
    let flaky = OnBatch(
        move |b: &mut Batch<Vec<u64>>, out: &mut Out<'_, Vec<u64>>, _: &mut StageCx<'_>| {
            tries += 1;
            if tries % 4 == 1 {
                return Err(StageError::transient("again"));
            }
            out.swap(b);
            Ok(Step::Done)
        },
    );
    let (sink, shelf) = CollectSink::<u64>::new();
    let faults = (0..40).map(|n| (n, if n % 3 == 0 { Fault::Late } else { Fault::Transient }));
    let sink = FlakySink::new(sink, Faults::at(faults.filter(|(n, _)| n % 3 < 2)));
    let (dead, letters) = CollectSink::<ErrorRecord>::new();
    let retry = OnError::Retry { retry: Retry::default(), then: GiveUp::DeadLetter };
    let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines))
        .capacity(1)
        .then("flaky", flaky)
        .on_error(retry)
        .then("key", KeyBy(|r| r % 7))
        .into("out", sink)
        .on_error(retry);
    p.dead_letters("dead", dead);
    (p.plan(), shelf, letters)
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Polls the tasks of a run in turn and drops the one that is polled as the `at`-th, after that
/// poll; `None` drops none. Gives how the run ended and how many polls there were.
fn dropped_at(at: Option<u64>, chain: bool) -> (Ended, u64) {
    let host = ManualHost::new();
    let dyn_host: Arc<dyn Host> = Arc::<ManualHost>::clone(&host);
    let pool = Arc::new(BoundedPool::new(1 << 20));
    let mut options = RunOptions::default().batch(4).chain(chain);
    options.memory = Some(Arc::<BoundedPool>::clone(&pool) as Arc<dyn MemoryPool>);
    let (plan, shelf, letters) = plan();
    let (list, mut collector) = tasks(plan, &dyn_host, &options);
    let mut cells: Vec<(Option<Task<'_>>, Arc<Flag>)> =
        list.into_iter().map(|t| (Some(t), Arc::new(Flag(AtomicBool::new(true))))).collect();
    let mut polls = 0;
    while cells.iter().any(|c| c.0.is_some()) {
        let mut moved = false;
        for (cell, flag) in &mut cells {
            let Some(task) = cell.as_mut() else { continue };
            if !flag.0.swap(false, Ordering::AcqRel) {
                continue;
            }
            moved = true;
            polls += 1;
            let waker = Waker::from(Arc::clone(flag));
            match Pin::new(task).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(report) => {
                    *cell = None;
                    collector.add(report);
                }
                Poll::Pending if Some(polls) == at => {
                    let name = cell.take().map(|t| t.name().to_owned()).unwrap_or_default();
                    collector.lost(&name, "dropped".into());
                }
                Poll::Pending => {}
            }
        }
        assert!(moved || host.advance(), "dropped at {at:?}: the others wait for ever");
    }
    drop(cells);
    let report = collector.finish("manual");
    assert_eq!(report.check(), Ok(()), "dropped at {at:?}");
    assert_eq!(host.timers(), 0, "dropped at {at:?}: timers are left");
    assert!(pool.by_name().values().all(|held| *held == 0), "dropped at {at:?}");
    // Each sink is closed once or gives up once.
    assert_eq!(shelf.closed() + shelf.aborted(), 1, "dropped at {at:?}");
    assert_eq!(letters.closed() + letters.aborted(), 1, "dropped at {at:?}");
    let rows = shelf.take();
    assert!(rows.windows(2).all(|w| w[0] < w[1]), "dropped at {at:?}: {rows:?}");
    (report.ended, polls)
}

/// Each task of a run, dropped at each of its awaits: the others end, no timer, memory or row's
/// place is left behind, every sink gives up or was done.
#[test]
fn every_task_dropped_at_every_await() {
    for chain in [true, false] {
        let (ended, polls) = dropped_at(None, chain);
        assert_eq!(ended, Ended::Completed);
        assert!(polls > 50, "{polls}");
        let mut failed = 0;
        for at in 1..=polls {
            let (ended, _) = dropped_at(Some(at), chain);
            failed += u64::from(ended == Ended::Failed);
        }
        assert!(failed > polls / 2, "{failed} of {polls}");
    }
}

/// The future of a whole run on tokio, dropped after each step of 10 ms of its virtual time: its tasks go away with it, and
/// its sinks give up unless they were done.
#[tokio::test(start_paused = true)]
async fn every_run_dropped_at_every_step() {
    for network in [false, true] {
        let mut most = None;
        for at in 1.. {
            let (plan, shelf, letters) = plan();
            let options = RunOptions::default().batch(4);
            let handle = options.handle.clone();
            let (tokio, dataflow) = (TokioEngine::new(), DataflowEngine::new());
            let mut run: Pin<Box<dyn Future<Output = RunReport> + Send + '_>> = if network {
                Box::pin(dataflow.run(plan, options))
            } else {
                Box::pin(tokio.run(plan, options))
            };
            let mut ended = None;
            for _ in 0..at {
                let once = poll_fn(|cx| Poll::Ready(run.as_mut().poll(cx))).await;
                if let Poll::Ready(report) = once {
                    ended = Some(report);
                    break;
                }
                tokio::time::advance(Duration::from_millis(10)).await;
            }
            drop(run);
            let metrics = tokio::runtime::Handle::current().metrics();
            while metrics.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
            for (closed, aborted) in
                [(shelf.closed(), shelf.aborted()), (letters.closed(), letters.aborted())]
            {
                assert_eq!(closed + aborted, 1, "dropped at {at}");
            }
            if let Some(report) = ended {
                assert_eq!(report.ended, Ended::Completed);
                most = Some(at);
                break;
            }
            assert!(handle.is_stopping(), "dropped at {at}");
        }
        assert!(most.is_some_and(|n| n > 50), "{most:?}");
    }
}
