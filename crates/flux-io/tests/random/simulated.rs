//! Random plans in the simulator, with panics and errors in every closure at every place. What no
//! closure failed on is exact: rows, order where it is promised, dead letters, what is dropped and
//! why, the accounts.

use super::build::{Ends, Rows, build};
use super::parts::{Moody, Quiet, Restless, Taken, awaited};
use flux_io::core::{ErrorRecord, ExecutionPlan, RunHandle};
use flux_io::flow::Pipeline;
use flux_io::prelude::{sink, source};
use flux_io_sim::{Fault, Faults, SimRun, Swarm};
use flux_io_testkit::dag::{Dag, Menu, Seen, SourceKind};

/// Rows of a source, at most: a join by default holds more than a plan can make of them.
const MOST: u32 = 1_200;

/// What a run of a plan is asked afterwards.
pub(crate) type Oracle = Box<dyn FnOnce(&SimRun) -> Result<(), String>>;

/// Faults that change no result.
pub(crate) fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
}

/// A plan out of the swarm's draws, with at most `rows` rows a source.
pub(crate) fn drawn(swarm: &mut Swarm, rows: u32) -> (ExecutionPlan<'static>, Oracle) {
    let menu = Menu { rows: rows.min(MOST), poison: 12, ..Menu::default() };
    let dag = Dag::draw(swarm.draws().next_u64(), menu);
    (swarm.capacity, swarm.rows) = (dag.setting.edge, dag.setting.batch);
    (swarm.chain, swarm.shards) = (dag.setting.chain, dag.setting.workers);
    if dag.setting.store {
        _ = swarm.store();
    }
    let want = dag.expect().expect("a drawn plan promises something");
    let mut ends = Simulated::new(swarm);
    let plan = build(&dag, &mut ends);
    let Simulated { taken, dead, .. } = ends;
    let Some(plan) = plan else { return (nothing(), Box::new(|_| Ok(()))) };
    let oracle = move |run: &SimRun| {
        let judged = want.judge(&run.report, seen(&taken, dead.as_ref()));
        judged.map_err(|e| format!("{e}\n{dag}"))
    };
    (plan, Box::new(oracle))
}

/// Sources and sinks with faults.
pub(crate) struct Simulated<'s> {
    swarm: &'s mut Swarm,
    pub(crate) taken: Vec<Taken>,
    pub(crate) dead: Option<sink::Collected<ErrorRecord>>,
}

impl<'s> Simulated<'s> {
    pub(crate) const fn new(swarm: &'s mut Swarm) -> Self {
        Self { swarm, taken: Vec::new(), dead: None }
    }
}

/// What was collected in a run that is over.
pub(crate) fn seen(taken: &[Taken], dead: Option<&sink::Collected<ErrorRecord>>) -> Seen {
    Seen { sinks: taken.iter().map(Taken::take).collect(), letters: dead.map(|d| d.take()) }
}

impl Ends for Simulated<'_> {
    fn source(&mut self, pipeline: &Pipeline<'static>, dag: &Dag, n: usize) -> Rows {
        let (name, of) = (format!("n{n}"), dag.sources[n]);
        match of.kind {
            SourceKind::Iter => pipeline.source(
                &name,
                self.swarm.source(&name, Restless::new(source::iter(of.all()), of, None)),
            ),
            // A thread would be outside of the simulation.
            SourceKind::Fed | SourceKind::Awaited => pipeline
                .source(&name, self.swarm.source(&name, Restless::new(awaited(of), of, None))),
            SourceKind::Quiet => pipeline
                .source(&name, self.swarm.source(&name, Restless::new(Quiet::new(of), of, None))),
        }
    }

    fn sink(&mut self, flow: Rows, dag: &Dag, n: usize) {
        let (name, to) = (format!("out {n}"), Taken::default());
        let mood = dag.moods.get(n % dag.moods.len().max(1)).copied().unwrap_or_default();
        let traced = self.swarm.sink(&name, Moody::new(&to, mood));
        _ = flow.sink(&name, traced.traced(|r| r.id ^ r.value));
        self.taken.push(to);
    }

    fn letters(&mut self, pipeline: Pipeline<'static>) -> Pipeline<'static> {
        let (sink, dead) = sink::collect();
        self.dead = Some(dead);
        pipeline.dead_letters("dead", sink)
    }

    fn handle(&self) -> Option<RunHandle> {
        None
    }
}

/// What runs in place of a plan that the builder refused.
pub(crate) fn nothing() -> ExecutionPlan<'static> {
    let none = Pipeline::new().source("none", source::iter([0_u64; 0])).discard("nothing");
    none.plan().expect("a plan without faults")
}
