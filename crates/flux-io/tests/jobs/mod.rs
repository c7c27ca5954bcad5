//! The jobs as pipelines of the facade, and where they run.

pub(crate) mod matrix;

use flux_io::accumulate::{AccumulateExt, After, Keep, Require};
use flux_io::core::{
    Batch, ByteColumn, ConnectorDescriptor, DeadCause, Ended, Engine, ExecutionPlan, Filled, IoCx,
    Ledger, OnError, Outcome, RowError, RunOptions, RunReport, Source, StageError, Timestamp, Var,
};
use flux_io::engine::Hybrid;
use flux_io::{flow::Pipeline, sink};
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::jobs::expected::Expected;
use flux_io_testkit::jobs::flights;
use flux_io_testkit::jobs::fragment::{self, Fragment, Job, MAX_RECORD_BYTES};
use flux_io_testkit::jobs::lines::Lines;
use flux_io_testkit::jobs::orders::DEADLINE_DAYS;
use flux_io_testkit::jobs::outcome::{OutcomeLine, Tally};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where a job runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Sync,
    Seeded(u64),
    Tokio(u32),
    Rayon(u32),
    /// Neighbours forced onto different executors.
    Hybrid(u32),
}

pub(crate) const ENGINES: [On; 6] =
    [On::Sync, On::Tokio(1), On::Tokio(2), On::Rayon(1), On::Rayon(2), On::Hybrid(2)];

impl On {
    /// Its workers, `alone` where there is one thread.
    pub(crate) const fn workers(self, alone: u32) -> u32 {
        match self {
            Self::Tokio(n) | Self::Rayon(n) | Self::Hybrid(n) => n,
            Self::Sync | Self::Seeded(_) => alone,
        }
    }
}

/// A job, and how it is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) job: Job,
    pub(crate) deadline: bool,
    pub(crate) batch: usize,
    pub(crate) shards: u32,
}

impl Case {
    pub(crate) const fn flights(batch: usize) -> Self {
        Self { job: Job::Flights, deadline: false, batch, shards: 0 }
    }

    pub(crate) const fn orders(batch: usize) -> Self {
        Self { job: Job::Orders, deadline: false, batch, shards: 0 }
    }
}

pub(crate) struct Ran {
    pub(crate) tally: Tally,
    pub(crate) lines: Vec<OutcomeLine>,
    pub(crate) late: u64,
    pub(crate) ledger: Ledger,
    pub(crate) dead: BTreeMap<DeadCause, u64>,
}

pub(crate) fn dead_of(expected: &Expected) -> BTreeMap<DeadCause, u64> {
    let cause = |name: &str| match name {
        "poison" => DeadCause::Poison,
        "type" => DeadCause::Type,
        _ => DeadCause::Oversize,
    };
    let all = expected.dead_letters.iter().flatten().map(|(name, n)| (cause(name), *n));
    all.filter(|(_, n)| *n > 0).collect()
}

/// Lines in memory, as a source of byte rows.
struct Feed {
    lines: Arc<Vec<Vec<u8>>>,
    next: usize,
}

impl Source for Feed {
    type Col = ByteColumn;

    fn try_fill(
        &mut self,
        out: &mut Batch<ByteColumn>,
        max: usize,
    ) -> Option<Result<Filled, StageError>> {
        let end = self.lines.len().min(self.next + max);
        self.lines[self.next..end].iter().for_each(|l| out.col.push(l));
        self.next = end;
        Some(Ok(if end == self.lines.len() { Filled::End } else { Filled::More }))
    }

    async fn fill(&mut self, out: &mut Batch<ByteColumn>, cx: &IoCx) -> Result<Filled, StageError> {
        self.try_fill(out, cx.max_rows()).unwrap_or(Ok(Filled::End))
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("lines in memory", "")
    }
}

fn parse(job: Job, line: &[u8]) -> Result<Fragment, RowError> {
    if line.len() > MAX_RECORD_BYTES {
        return Err(RowError::new(DeadCause::Oversize, "over 1 MiB"));
    }
    job.parse(line).map_err(|cause| match cause {
        fragment::DeadCause::Oversize => RowError::new(DeadCause::Oversize, "over 1 MiB"),
        fragment::DeadCause::Poison => RowError::poison("not JSON"),
        fragment::DeadCause::Type => RowError::wrong_type("a field has another type"),
        fragment::DeadCause::NoKey => RowError::new(DeadCause::NoKey, "no key"),
    })
}

fn require(job: Job) -> Require {
    match job {
        Job::Flights => Require::all(["schedule", "aircraft", "departure", "arrival"]),
        Job::Orders => {
            Require::new().one("header").each("shipped", "lines").each("received", "lines")
        }
    }
}

fn variable(job: Job, f: &Fragment) -> Var {
    match (job, f.bit) {
        (Job::Flights, bit) => Var::one(bit as u16),
        (Job::Orders, 0) => Var::one(0),
        (Job::Orders, bit @ 1..=7) => Var::nth(1, bit),
        (Job::Orders, bit) => Var::nth(2, bit - 7),
    }
}

/// What a key's fragments become: canonical text by bit.
pub(crate) type Texts = BTreeMap<u32, Vec<u8>>;

/// What both jobs ask of their accumulator.
macro_rules! words {
    ($p:expr, $job:expr, $ttl:expr) => {{
        let p = $p.require(require($job)).on_complete(After::Tombstone(Keep::ToEnd));
        match $ttl {
            Some(ttl) => p.expire_after(ttl),
            None => p,
        }
    }};
}

/// The plan with its neighbours on different executors of the hybrid engine, by turns.
fn apart(mut plan: ExecutionPlan<'static>) -> ExecutionPlan<'static> {
    for (n, name) in plan.graph.nodes.iter_mut().zip(["tokio", "rayon"].iter().cycle()) {
        n.hints.engine = Some((*name).into());
    }
    plan
}

/// Runs a plan; whatever the report says is for the caller to judge.
pub(crate) fn run_on(on: On, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
    match on {
        On::Sync => SyncEngine::new().run_plan(plan, options),
        On::Seeded(s) => SyncEngine::seeded(s).run_plan(plan, options.seed(s)),
        On::Tokio(_) => TokioEngine.run_plan(plan, options),
        On::Rayon(_) => RayonEngine.run_plan(plan, options),
        On::Hybrid(_) => Hybrid::new().engine().run_plan(apart(plan), options),
    }
}

pub(crate) fn run(on: On, case: Case, lines: &Lines) -> Ran {
    let workers = on.workers(case.shards.max(1));
    let (plan, collected) = described(case, lines, workers);
    let options = RunOptions::default().batch(case.batch).workers(workers);
    let report = run_on(on, plan, options);
    assert_eq!(report.ended, Ended::Completed, "{:?}", report.failure);
    account(&report, &collected.take())
}

/// A job as a plan, and where its outcomes are collected.
pub(crate) fn described(
    case: Case,
    lines: &Lines,
    workers: u32,
) -> (ExecutionPlan<'static>, sink::Collected<Outcome<String, Texts>>) {
    let Case { job, deadline, .. } = case;
    let lines = Arc::new(lines.to_vecs());
    let (collect, collected) = sink::collect::<Outcome<String, Texts>>();
    let (lag, ttl) = match job {
        Job::Flights => (flights::LAG as u64, flights::DEADLINE as u64),
        Job::Orders => (0, DEADLINE_DAYS as u64 * 86_400_000_000_000),
    };
    let keyed = Pipeline::new()
        .source("lines", Feed { lines, next: 0 })
        .try_map_rows("parse", move |line: &[u8]| parse(job, line))
        .on_error(OnError::DeadLetter)
        .event_time("time", |f: &Fragment| Timestamp(f.ts))
        .lag(Duration::from_nanos(lag))
        .key_by_str("key", |f: &Fragment| &f.key);
    let merge = |texts: &mut Texts, f: &mut Fragment| {
        texts.insert(f.bit, std::mem::take(&mut f.canonical));
    };
    let ttl = deadline.then(|| Duration::from_nanos(ttl));
    let assembled = match job {
        Job::Flights => keyed.accumulate("assemble", |p| {
            words!(p, job, ttl).var(move |f: &Fragment| variable(job, f)).merge(merge)
        }),
        Job::Orders => keyed.accumulate("assemble", |p| {
            words!(p, job, ttl)
                .var(move |f: &Fragment| variable(job, f))
                .bound("lines", |f: &Fragment| f.declares)
                .merge(merge)
        }),
    };
    (assembled.parallel(workers).sink("out", collect).plan().unwrap(), collected)
}

pub(crate) fn account(report: &RunReport, outcomes: &[Outcome<String, Texts>]) -> Ran {
    report.check().unwrap();
    let ledger = report.ledger("assemble").unwrap();
    assert!(ledger.balanced(), "{ledger}");
    assert_eq!(ledger.get(flux_io::core::Class::Open), 0);
    let mut late = 0;
    let mut lines = Vec::new();
    for o in outcomes {
        let missing = o.headers().missing.as_deref().unwrap_or_default();
        let missing = missing.iter().map(ToString::to_string).collect();
        match o {
            Outcome::Late { .. } => late += 1,
            _ => lines.push(OutcomeLine::new(o.key().clone(), missing, o.value().values())),
        }
    }
    Ran { tally: Tally::of(&lines), lines, late, ledger, dead: report.dead_letters.clone() }
}
