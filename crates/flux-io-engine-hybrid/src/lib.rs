//! The hybrid engine: each stage of a plan on the executor that suits it.
//!
//! It is given two executors, one for stages that wait and one for stages that compute, and names
//! neither. Where a stage runs follows from what is declared about it
//! ([`Hints`](flux_io_core::Hints)) and, where a run was recorded, from what it cost ([`Costs`]);
//! [`HybridEngine::explain`] says where and why. A place is fixed for a run: it may change between
//! runs, which includes a run that was drained and is restored (B111).
//!
//! Two stages share a task only when they run at the same place; between two places stands an
//! ordinary bounded edge. Parallelism, routes and order are the plan's, so the output is that of
//! any other engine.

mod assign;
mod costs;
mod fallback;
mod latch;
mod sync;

pub use assign::{Assigned, Assignment, Why};
pub use costs::{Cost, Costs};
pub use fallback::Fallback;

use assign::{Executors, Work, assign};
use flux_io_core::{
    BoxFuture, Engine, ErrorClass, ErrorKind, ExecutionPlan, Executor, Graph, Lane, PlanFault,
    RunOptions, RunReport, StageError, StopMode, Tally, tasks,
};
use latch::Latch;
use std::fmt;
use sync::{Arc, Builder, scope};

/// Runs plans on two executors at once.
#[derive(Clone)]
pub struct HybridEngine {
    waits: Arc<dyn Executor>,
    computes: Arc<dyn Executor>,
    costs: Costs,
}

impl fmt::Debug for HybridEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HybridEngine({} and {})", self.waits.name(), self.computes.name())
    }
}

impl HybridEngine {
    /// An engine of an executor for stages that wait and one for stages that compute.
    #[must_use]
    pub fn new(waits: impl Executor + 'static, computes: impl Executor + 'static) -> Self {
        Self { waits: Arc::new(waits), computes: Arc::new(computes), costs: Costs::default() }
    }

    /// Uses what was measured; it beats what is declared about computing.
    #[must_use]
    pub fn costs(mut self, costs: Costs) -> Self {
        self.costs = costs;
        self
    }

    /// Adds what a run measured, for the runs to come.
    pub fn learn(&mut self, report: &RunReport) {
        self.costs.learn(report);
    }

    /// Where each stage of a plan would run, and why.
    ///
    /// # Errors
    /// When a connector needs a reactor and neither executor has one, or when the options bring a
    /// scheduler: its executors have their own.
    pub fn explain(&self, graph: &Graph, options: &RunOptions) -> Result<Assignment, PlanFault> {
        options.without_scheduler("hybrid")?;
        let reactor = match (self.waits.has_reactor(), self.computes.has_reactor()) {
            (true, _) => Some(Work::Waits),
            (false, true) => Some(Work::Computes),
            (false, false) => None,
        };
        let (waits, computes) = (self.waits.name(), self.computes.name());
        let max_rows = options.max_rows.unwrap_or(graph.max_rows).max(1);
        assign(graph, &self.costs, max_rows, &Executors { waits, computes, reactor })
    }

    /// The lanes a run needs: the one whose host it uses, then the other, if both are needed. With
    /// two lanes the one that waits has one worker, beside those that the options give the other.
    fn lanes(&self, assignment: &Assignment, workers: u32) -> Result<Lanes, StageError> {
        let open = |work: Work, workers: u32| match work {
            Work::Waits => self.waits.open(workers),
            Work::Computes => self.computes.open(workers),
        };
        let workers = workers.max(1);
        let (first, second) = if self.waits.has_reactor() || !self.computes.has_reactor() {
            (Work::Waits, Work::Computes)
        } else {
            (Work::Computes, Work::Waits)
        };
        let threads = |work| if work == Work::Waits { 1 } else { workers };
        match (assignment.uses(first), assignment.uses(second)) {
            (true, true) => Ok(Lanes {
                lead: (first, open(first, threads(first))?),
                other: Some((second, open(second, threads(second))?)),
            }),
            (false, true) => Ok(Lanes { lead: (second, open(second, workers)?), other: None }),
            _ => Ok(Lanes { lead: (first, open(first, workers)?), other: None }),
        }
    }

    fn try_run(
        &self,
        plan: ExecutionPlan<'static>,
        options: RunOptions,
    ) -> Result<RunReport, StageError> {
        let assignment = self.explain(&plan.graph, &options)?;
        let options = options.begin()?;
        let lanes = self.lanes(&assignment, options.workers)?;
        let hash_seed = options.hash_seed.unwrap_or_else(process_seed);
        let options = RunOptions { hash_seed: Some(hash_seed), ..options };
        let (tasks, collector) = tasks(cut(plan, &assignment), &lanes.lead.1.host(), &options);
        let tally = Tally::new(collector);
        let mut jobs: (Jobs, Jobs) = (Vec::new(), Vec::new());
        for t in tasks {
            let place = t.stages().first().and_then(|s| assignment.work(s));
            let other = lanes.other.as_ref().map(|o| o.0);
            let to = if place.is_some() && place == other { &mut jobs.1 } else { &mut jobs.0 };
            to.push(tally.job(t));
        }
        if let Err(e) = lanes.run(jobs) {
            options.handle.stop(StopMode::Abort);
            return Err(e);
        }
        Ok(tally.finish("hybrid"))
    }
}

impl Engine for HybridEngine {
    fn name(&self) -> &'static str {
        "hybrid"
    }

    fn accepts(&self, graph: &Graph, options: &RunOptions) -> Result<(), PlanFault> {
        self.explain(graph, options).map(drop)
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        self.try_run(plan, options).unwrap_or_else(|e| RunReport::refused("hybrid", e))
    }
}

/// The plan with a buffer wherever two neighbours run at different places: they share no task.
fn cut<'env>(mut plan: ExecutionPlan<'env>, assignment: &Assignment) -> ExecutionPlan<'env> {
    let graph = &mut plan.graph;
    for i in 0..graph.edges.len() {
        let e = graph.edges[i];
        let place = |n: usize| graph.nodes.get(n).and_then(|n| assignment.work(&n.name));
        if place(e.from.0) != place(e.to.0) {
            graph.edges[i].channel.buffer = Some(graph.effective_buffer(&e));
        }
    }
    plan
}

type Jobs = Vec<BoxFuture<'static, ()>>;

struct Lanes {
    lead: (Work, Box<dyn Lane>),
    other: Option<(Work, Box<dyn Lane>)>,
}

impl Lanes {
    /// Polls both lanes' jobs, each lane on a thread of its own, to the end. The lead goes on
    /// until the other has ended, since its host serves both. Lanes close on their own threads: a
    /// runtime must not be closed inside another.
    fn run(self, (mut lead, other): (Jobs, Jobs)) -> Result<(), StageError> {
        let start = |e| {
            let what = "cannot start a thread for a lane";
            StageError::new(ErrorClass::Catastrophic, ErrorKind::Io, what).because(e)
        };
        let latch = Latch::new();
        scope(|s| {
            let lane = |name: &str| Builder::new().name(format!("flux-io-{name}"));
            let mut threads = Vec::new();
            if let Some((_, second)) = self.other {
                lead.push(Box::pin(latch.clone()));
                let opens = latch.clone().on_drop();
                threads.push(
                    lane("lane")
                        .spawn_scoped(s, move || {
                            let _opens = opens;
                            second.poll_all(other);
                        })
                        .map_err(start)?,
                );
            }
            let first = self.lead.1;
            threads
                .push(lane("lead").spawn_scoped(s, move || first.poll_all(lead)).map_err(start)?);
            // A lane that panicked has dropped its jobs, which are counted as lost.
            threads.into_iter().for_each(|t| drop(t.join()));
            Ok(())
        })
    }
}

/// The seed of key hashes: from the operating system's randomness, so that nobody outside can
/// prepare keys that collide.
fn process_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u64)
}
