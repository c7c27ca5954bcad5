//! Dataflow mode: a plan as a network of bounded blocks, for stages coarse enough to be worth a
//! task each.
//!
//! Every stage becomes a block of its own, with a bounded queue before it, a greatest number of
//! instances at work, and links that keep the order or give it up. All of that stands in a plan
//! already; this mode sets it block by block and shares no task between stages.

use crate::TokioEngine;
use flux_io_core::{
    BufferPolicy, ChannelOrdering, Engine, ExecutionPlan, Graph, Parallelism, PlanFault,
    RunOptions, RunReport, StageError,
};
use std::collections::BTreeMap;

/// How one block of a network runs. What is not set stays as the plan has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Batches that wait in front of it.
    pub capacity: Option<usize>,
    /// The most instances at work at once. A stage that the plan gave fewer keeps fewer.
    pub most: Option<u32>,
    /// Gives up the order of what its instances pass on: whoever is done first is first, and a slow
    /// instance holds up nobody.
    pub unordered: bool,
}

impl Block {
    /// A block as the plan has it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bounds what waits in front of it, in batches.
    #[must_use]
    pub const fn capacity(mut self, batches: usize) -> Self {
        self.capacity = Some(batches);
        self
    }

    /// Bounds the instances at work at once.
    #[must_use]
    pub const fn most(mut self, instances: u32) -> Self {
        self.most = Some(instances);
        self
    }

    /// Gives up the order behind it.
    #[must_use]
    pub const fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }
}

/// Runs plans on tokio as networks of bounded blocks.
#[derive(Clone, Debug, Default)]
pub struct DataflowEngine {
    every: Block,
    blocks: BTreeMap<String, Block>,
}

impl DataflowEngine {
    /// Every block as the plan has it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How blocks run that are not set by name.
    #[must_use]
    pub const fn every(mut self, block: Block) -> Self {
        self.every = block;
        self
    }

    /// How the block of a stage runs.
    #[must_use]
    pub fn block(mut self, stage: &str, block: Block) -> Self {
        self.blocks.insert(stage.to_owned(), block);
        self
    }

    fn of(&self, stage: &str) -> Block {
        self.blocks.get(stage).copied().unwrap_or(self.every)
    }

    /// Runs a plan to its end on the runtime this is awaited on. Cancel-safe, and
    /// refused, as [`TokioEngine::run`] is.
    pub async fn run(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        if let Err(fault) = self.accepts(&plan.graph, &options) {
            return RunReport::refused("dataflow", fault.into());
        }
        let (plan, options) = self.network(plan, options);
        let report = TokioEngine::new().run(plan, options).await;
        RunReport { engine: "dataflow", ..report }
    }

    /// The plan with its blocks set, and options that give each a task of its own.
    fn network(
        &self,
        mut plan: ExecutionPlan<'static>,
        options: RunOptions,
    ) -> (ExecutionPlan<'static>, RunOptions) {
        let graph = &mut plan.graph;
        for n in &mut graph.nodes {
            if let Some(most) = self.of(&n.name).most {
                let planned = n.parallelism.resolve(options.workers);
                n.parallelism = Parallelism::Fixed(planned.min(most.max(1)));
            }
        }
        for i in 0..graph.edges.len() {
            let mut e = graph.edges[i];
            let name = |n: usize| graph.nodes.get(n).map_or("", |n| &n.name);
            let to = self.of(name(e.to.0));
            if let Some(capacity) = to.capacity {
                let policy = graph.effective_buffer(&e);
                e.channel.buffer = Some(BufferPolicy { capacity, ..policy });
            }
            // Rows are dealt out to a block's instances by the edge before it.
            if to.unordered && e.channel.ordering == ChannelOrdering::Ordered {
                e.channel.ordering = ChannelOrdering::Unordered;
            }
            graph.edges[i] = e;
        }
        (plan, options.chain(false))
    }
}

impl Engine for DataflowEngine {
    fn name(&self) -> &'static str {
        "dataflow"
    }

    fn accepts(&self, graph: &Graph, options: &RunOptions) -> Result<(), PlanFault> {
        options.without_scheduler("dataflow")?;
        let Some(missing) = self.blocks.keys().find(|b| graph.find(b).is_none()) else {
            return Ok(());
        };
        let known: Vec<_> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
        Err(PlanFault {
            code: "P031",
            path: vec![missing.clone()],
            what: format!("there is no stage `{missing}` to be a block"),
            fix: format!("name one of {}", known.join(", ")),
        })
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        if let Err(fault) = self.accepts(&plan.graph, &options) {
            return RunReport::refused("dataflow", StageError::from(fault));
        }
        let (plan, options) = self.network(plan, options);
        RunReport { engine: "dataflow", ..TokioEngine::new().run_plan(plan, options) }
    }
}
