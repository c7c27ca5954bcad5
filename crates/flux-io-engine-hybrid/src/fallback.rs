//! A preferred engine, and another one for plans that it refuses.

use flux_io_core::{Engine, ExecutionPlan, Graph, PlanFault, RunOptions, RunReport};
use std::fmt;

/// Runs plans on the first of several engines that accepts them. Which one it was stands in the
/// report ([`RunReport::engine`]); since every engine gives the same output, nothing else shows.
///
/// An engine is chosen before the run; one that fails in the middle is not replaced, because what
/// it has written is written.
pub struct Fallback {
    engines: Vec<Box<dyn Engine>>,
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.engines.iter().map(|e| e.name())).finish()
    }
}

impl Fallback {
    /// Only the preferred engine so far.
    #[must_use]
    pub fn from(preferred: impl Engine + 'static) -> Self {
        Self { engines: vec![Box::new(preferred)] }
    }

    /// And this one for plans that all before it refuse.
    #[must_use]
    pub fn to(mut self, engine: impl Engine + 'static) -> Self {
        self.engines.push(Box::new(engine));
        self
    }

    /// The engine that would run a plan of this graph.
    ///
    /// # Errors
    /// The preferred engine's reason, when no engine accepts it.
    pub fn choose(&self, graph: &Graph, options: &RunOptions) -> Result<&dyn Engine, PlanFault> {
        let mut first = None;
        for e in &self.engines {
            match e.accepts(graph, options) {
                Ok(()) => return Ok(&**e),
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        Err(first.unwrap_or_else(|| PlanFault {
            code: "P011",
            path: Vec::new(),
            what: "there is no engine".into(),
            fix: "name one".into(),
        }))
    }
}

impl Engine for Fallback {
    fn name(&self) -> &'static str {
        "fallback"
    }

    fn accepts(&self, graph: &Graph, options: &RunOptions) -> Result<(), PlanFault> {
        self.choose(graph, options).map(drop)
    }

    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        match self.choose(&plan.graph, &options) {
            Ok(engine) => engine.run_plan(plan, options),
            Err(fault) => RunReport::refused("fallback", fault.into()),
        }
    }
}
