//! Sources and sinks of random plans in the simulator.

use super::build::{Ends, Rows};
use super::parts::{Moody, Quiet, Taken, awaited};
use flux_io::core::{ErrorRecord, ExecutionPlan, RunHandle};
use flux_io::flow::Pipeline;
use flux_io::prelude::{sink, source};
use flux_io_sim::Swarm;
use flux_io_testkit::dag::{Dag, Seen, SourceKind};

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
            SourceKind::Iter => {
                pipeline.source(&name, self.swarm.source(&name, source::iter(of.all())))
            }
            // A thread would be outside of the simulation.
            SourceKind::Fed | SourceKind::Awaited => {
                pipeline.source(&name, self.swarm.source(&name, awaited(of)))
            }
            SourceKind::Quiet => pipeline.source(&name, self.swarm.source(&name, Quiet::new(of))),
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
