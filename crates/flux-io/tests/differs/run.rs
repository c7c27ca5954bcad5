//! A random plan on an engine, within a time limit.

use super::real::Real;
use crate::random::build::build;
use crate::random::parts::Taken;
use flux_io::core::{
    Engine, ExecutionPlan, OnStuck, RunHandle, RunOptions, RunReport, StopMode, Watchdog,
};
use flux_io::engine::{DataflowEngine, Hybrid};
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::dag::{Dag, Expect, Seen};
use flux_io_testkit::doubles::MemorySnapshots;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Where a plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sync,
    Tokio,
    Rayon,
    Hybrid,
    Dataflow,
    Sim,
}

impl On {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Sync, Self::Tokio, Self::Rayon, Self::Hybrid, Self::Dataflow, Self::Sim];
}

/// How long a run may take. It is milliseconds; a run that is not over by then never is.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How a run that was not wrong went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It gave what it must.
    Well,
    /// The builder refused the plan.
    Refused,
}

/// Why a run was wrong.
#[derive(Clone, Debug)]
pub(crate) enum Wrong {
    /// It does not end.
    Hangs(String),
    /// What it gave differs.
    Differs(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hangs(how) => write!(f, "it does not end: {how}"),
            Self::Differs(what) => f.write_str(what),
        }
    }
}

impl Wrong {
    /// The first line of it.
    pub(crate) fn line(&self) -> String {
        self.to_string().lines().next().unwrap_or_default().chars().take(200).collect()
    }

    pub(crate) const fn hangs(&self) -> bool {
        matches!(self, Self::Hangs(_))
    }
}

/// Runs a plan, and compares what it gave with what it must give.
pub(crate) fn run(on: On, dag: &Dag, want: &Expect, limit: Duration) -> Result<Ran, Wrong> {
    if on == On::Sim {
        return super::simulated::run(dag, want);
    }
    let mut ends = Real::default();
    let Some(plan) = build(dag, &mut ends) else { return Ok(Ran::Refused) };
    let report = within(on, dag, plan, &ends.handle, limit, None)?;
    let seen = Seen {
        sinks: ends.taken.iter().map(Taken::take).collect(),
        letters: ends.dead.as_ref().map(|d| d.take()),
    };
    want.judge(&report, seen).map(|()| Ran::Well).map_err(Wrong::Differs)
}

/// A plan that does not end once more, watched: who waits for whom.
pub(crate) fn dump(on: On, dag: &Dag) -> String {
    let mut ends = Real::default();
    let Some(plan) = build(dag, &mut ends) else { return String::new() };
    let dog = Watchdog::new(Duration::from_millis(200), 5).then(OnStuck::Fail);
    match within(on, dag, plan, &ends.handle, Duration::from_secs(5), Some(dog)) {
        Ok(r) => match r.stuck {
            Some(stuck) => stuck.to_string(),
            None => format!("it ended {:?} when it was watched", r.ended),
        },
        Err(_) => "it does not end when it is watched, either".to_owned(),
    }
}

fn within(
    on: On,
    dag: &Dag,
    plan: ExecutionPlan<'static>,
    handle: &RunHandle,
    limit: Duration,
    dog: Option<Watchdog>,
) -> Result<RunReport, Wrong> {
    let options = options(dag, handle, dog);
    let seed = dag.setting.seed;
    let (tx, rx) = sync_channel(1);
    start(move || _ = tx.send(on_engine(on, seed, plan, options)));
    let ended = match dag.setting.ticks {
        0 => rx.recv_timeout(limit),
        ticks => ask(&rx, handle, Duration::from_micros(ticks), limit),
    };
    match ended {
        Ok(report) => Ok(report),
        Err(RecvTimeoutError::Disconnected) => Err(Wrong::Differs("the engine panicked".into())),
        Err(RecvTimeoutError::Timeout) => {
            handle.stop(StopMode::Abort);
            let aborted = rx.recv_timeout(Duration::from_secs(2)).is_ok();
            let and = if aborted { "an abort ends it" } else { "an abort does not end it" };
            Err(Wrong::Hangs(format!("not over after {limit:?}; {and}")))
        }
    }
}

/// Waits for the report, and asks for a checkpoint meanwhile, again and again.
fn ask(
    rx: &Receiver<RunReport>,
    handle: &RunHandle,
    tick: Duration,
    limit: Duration,
) -> Result<RunReport, RecvTimeoutError> {
    for _ in 0..200 {
        match rx.recv_timeout(tick) {
            Err(RecvTimeoutError::Timeout) => _ = handle.checkpoint(),
            over => return over,
        }
    }
    rx.recv_timeout(limit)
}

#[expect(clippy::disallowed_methods, reason = "who may hang must not be waited for")]
fn start(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

fn options(dag: &Dag, handle: &RunHandle, dog: Option<Watchdog>) -> RunOptions {
    let s = dag.setting;
    let mut options = RunOptions::default()
        .batch(s.batch)
        .workers(s.workers)
        .seed(s.seed)
        .chain(s.chain)
        .handle(handle);
    if s.store {
        options.snapshots = Some(Arc::new(MemorySnapshots::new()));
    }
    options.watchdog = dog;
    options
}

fn on_engine(on: On, seed: u64, mut plan: ExecutionPlan<'static>, o: RunOptions) -> RunReport {
    match on {
        On::Sync | On::Sim => SyncEngine::seeded(seed).run_plan(plan, o),
        On::Tokio => TokioEngine.run_plan(plan, o),
        On::Rayon => RayonEngine.run_plan(plan, o),
        On::Dataflow => DataflowEngine::new().run_plan(plan, o),
        On::Hybrid => {
            for (i, n) in plan.graph.nodes.iter_mut().enumerate() {
                let engine = ["tokio", "rayon"][(seed >> (i % 60)) as usize & 1];
                n.hints.engine = Some(engine.into());
            }
            Hybrid::new().engine().run_plan(plan, o)
        }
    }
}
