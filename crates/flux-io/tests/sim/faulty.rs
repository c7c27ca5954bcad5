//! A stage that fails: before it has emitted (tried again), after it has (not), for good, and by a
//! panic; and user code that panics on poison. Each row is delivered or a dead letter, once.

use super::data::{Feed, Log};
use super::{Oracle, Scenario, Size, ended_well};
use flux_io::core::{
    Batch, ErrorRecord, ExecutionPlan, GiveUp, OnError, Out, Retry, Stage, StageCx, StageError,
    Step,
};
use flux_io::flow::Pipeline;
use flux_io_sim::{Fault, Faults, Swarm};
use std::time::Duration;

pub(crate) const SCENARIO: Scenario = Scenario { name: "faulty", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Panic)
        .with(Fault::Drain)
}

/// What the flaky stage adds to the first row of a batch to make a row of its own.
const OWN: u64 = 1 << 40;

/// Fails at every so many calls: in turn before and behind its first rows.
struct Flaky {
    calls: u32,
    every: u32,
}

impl Stage for Flaky {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.calls += 1;
        let fails = self.calls.is_multiple_of(self.every);
        if fails && self.calls.is_multiple_of(2) {
            return Err(StageError::transient("not now"));
        }
        if fails {
            // Something of its own: made again, it would come twice.
            out.batch().col.extend(input.col.first().map(|x| x + OWN));
            return Err(StageError::transient("half done"));
        }
        out.batch().col.append(&mut input.col);
        out.seal_if_full();
        Ok(Step::Done)
    }
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let n = u64::from(swarm.pick(size.0, size.1));
    let every = swarm.pick(2, 9);
    let (log, dead) = (Log::<u64>::default(), Log::<ErrorRecord>::default());
    let source = Feed::new((0..n).collect()).slow(swarm.delays());
    let pipeline = Pipeline::new().dead_letters("dead", swarm.sink("dead", dead.clone()));
    let sink = swarm.sink("out", log.clone()).traced(|x: &u64| *x);
    let mut plan = pipeline
        .source("rows", swarm.source("rows", source))
        .filter_map("poison", |x: u64| if x % 31 == 5 { None } else { Some(x) })
        .stage("flaky", Flaky { calls: 0, every })
        .sink("out", sink)
        .plan()
        .expect("a plan without faults");
    let retry = Retry { first: Duration::from_millis(3), ..Retry::default() };
    for node in &mut plan.graph.nodes {
        node.on_error = OnError::Retry { retry, then: GiveUp::DeadLetter };
    }
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        let (mut own, mut out): (Vec<u64>, Vec<u64>) =
            log.rows().into_iter().partition(|x| *x >= OWN);
        own.sort_unstable();
        let twice = own.windows(2).any(|w| w[0] == w[1]);
        if twice || own.iter().any(|x| out.contains(&(x - OWN))) {
            return Err("a call that had emitted was made again".to_owned());
        }
        let sorted = out.is_sorted();
        let mut letters = 0;
        for d in dead.rows() {
            let rows = d.original.downcast::<flux_io::core::AnyBatch>();
            let rows = rows.map_err(|_| "a dead letter without its rows".to_owned())?;
            let rows = rows.get::<Vec<u64>>().map_err(|e| e.to_string())?;
            letters += rows.len();
            out.extend(&rows.col);
        }
        if !sorted {
            return Err("rows were delivered out of order".to_owned());
        }
        out.sort_unstable();
        // A panic takes a batch before or behind the filter.
        let want: Vec<u64> = (0..run.items).filter(|x| x % 31 != 5).collect();
        let mut kept: Vec<u64> = out.iter().copied().filter(|x| x % 31 != 5).collect();
        if kept == want {
            return Ok(());
        }
        kept.dedup();
        let twice = out.len() - kept.len();
        Err(format!("{} of {} rows, {letters} of them dead, {twice} twice", kept.len(), want.len()))
    });
    (plan, oracle)
}
