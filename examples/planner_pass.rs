//! A planner pass of one's own: it fits a plan to a small machine and says what it decided and why.
//!
//! A pass sees the graph as data, after validation and before lowering. It may tune how a plan is
//! run (instances, buffers, rows of a batch), never what its stages compute; and it may refuse a
//! plan, naming every fault at once. This one caps parallel instances, gives a deep buffer to
//! stages that declare that they mostly wait, and refuses policies that depend on the schedule.
//!
//! `cargo run --release -p flux-io --example planner_pass`
//!
//! Rows 52, 53, 102.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use flux_io::core::{BufferPolicy, Graph, Parallelism, PlanFault, PlannerPass, WhenFull};
use flux_io::flow::{Ended, Explain};
use flux_io::prelude::*;
use std::error::Error;
use std::time::Duration;

/// Fits plans to a machine with few cores.
struct SmallMachine {
    /// Most instances of a stage.
    cores: u32,
    /// Batches in front of a stage that mostly waits.
    deep: usize,
}

impl PlannerPass for SmallMachine {
    fn name(&self) -> &'static str {
        "small machine"
    }

    fn run(&self, graph: &mut Graph) -> Result<(), Vec<PlanFault>> {
        let faults = repeatable_only(graph);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut decisions = Vec::new();
        for stage in &mut graph.nodes {
            let wanted = stage.parallelism.resolve(self.cores);
            if wanted > self.cores {
                stage.parallelism = Parallelism::Fixed(self.cores);
                let what = format!("{} instances instead of {wanted}", self.cores);
                decisions.push((stage.name.clone(), what, "there are no more cores"));
            }
            if stage.hints.waits && stage.buffer.is_none() {
                let when_full = WhenFull::Block;
                stage.buffer = Some(BufferPolicy { capacity: self.deep, when_full });
                let what = format!("a buffer of {} batches", self.deep);
                decisions.push((stage.name.clone(), what, "the stage mostly waits"));
            }
        }
        for (stage, what, why) in decisions {
            graph.decide(self.name(), &stage, what, why.to_owned());
        }
        Ok(())
    }
}

/// What this machine's owner does not allow: results that depend on the schedule.
fn repeatable_only(graph: &Graph) -> Vec<PlanFault> {
    let stages = graph.nodes.iter().enumerate();
    let dependent = stages.filter(|(_, stage)| !stage.hints.schedule_dependent.is_empty());
    dependent
        .map(|(number, stage)| PlanFault {
            code: "SMALL1",
            path: graph.path_to(number),
            what: format!("depends on the schedule: {}", stage.hints.schedule_dependent.join(", ")),
            fix: "use event time".to_owned(),
        })
        .collect()
}

type Sums = Vec<Outcome<u64, u64>>;

/// Sums of numbers by their remainder, ten each; `timeout` is by the engine's clock.
fn sums(
    pipeline: Pipeline<'static>,
    timeout: Option<Duration>,
    results: impl Sink<Col = Sums> + 'static,
) -> Ended<'static> {
    pipeline
        .source("numbers", source::iter(0..1000_u64))
        .map("look up", |n| (n, n % 100))
        .hint(|declared| declared.waits = true)
        .key_by("remainder", |(_, remainder): &(u64, u64)| *remainder)
        .accumulate("sum", |policy| {
            let policy = policy.require(Require::count(10));
            let policy = match timeout {
                Some(after) => policy.timeout(after),
                None => policy,
            };
            policy.merge(|sum: &mut u64, (n, _): &mut (u64, u64)| *sum += *n)
        })
        .parallel(16)
        .sink("sums", results)
}

/// Runs it and gives the results in an order of their own.
fn run(pipeline: Pipeline<'static>) -> Result<Vec<(u64, u64)>, RunError> {
    let (sink, results) = sink::collect();
    engine::Sync::new().run(sums(pipeline, None, sink))?;
    let mut sums: Vec<_> = results.take().iter().map(|o| (*o.key(), *o.value())).collect();
    sums.sort_unstable();
    Ok(sums)
}

fn main() -> Result<(), Box<dyn Error>> {
    let pass = || SmallMachine { cores: 2, deep: 32 };
    let (sink, _) = sink::collect();
    println!("{}", sums(Pipeline::new().pass(pass()), None, sink).plan()?.explain());

    let (sink, _) = sink::collect();
    let timeout = Some(Duration::from_secs(5));
    if let Err(refused) = sums(Pipeline::new().pass(pass()), timeout, sink).plan() {
        println!("with a timeout by the clock it is refused:\n{refused}\n");
    }

    let (plain, tuned) = (run(Pipeline::new())?, run(Pipeline::new().pass(pass()))?);
    if plain != tuned {
        return Err("the pass changed the results".into());
    }
    println!("{} sums, the same with the pass and without", tuned.len());
    Ok(())
}
