//! The laws of engines on the hybrid engine: as it is, where a plan that declares nothing stays on
//! one lane; and with neighbours forced apart, where every edge crosses between tokio and rayon.

use flux_io::core::{Engine, ExecutionPlan, Graph, PlanFault, RunOptions, RunReport};
use flux_io::engine::HybridEngine;
use flux_io_engine_rayon::RayonExecutor;
use flux_io_engine_tokio::TokioExecutor;

fn hybrid() -> HybridEngine {
    HybridEngine::new(TokioExecutor::new(), RayonExecutor::new())
}

/// Asks for the two executors by turns.
pub(crate) struct Apart(HybridEngine, [&'static str; 2]);

impl Engine for Apart {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn accepts(&self, graph: &Graph, options: &RunOptions) -> Result<(), PlanFault> {
        self.0.accepts(graph, options)
    }
    fn run_plan(&self, mut plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        for (n, name) in plan.graph.nodes.iter_mut().zip(self.1.iter().cycle()) {
            n.hints.engine = Some((*name).into());
        }
        self.0.run_plan(plan, options)
    }
}

/// Sources on tokio, what is behind them on rayon, and so on by turns.
pub(crate) fn apart() -> Apart {
    Apart(hybrid(), ["tokio", "rayon"])
}

macro_rules! tests {
    ($($module:ident: $($law:ident),+;)+) => { $($(
        #[test]
        fn $law() {
            laws::$module::$law(&Workers(engine(), 2));
        }
    )+)+ };
}

mod together {
    use super::hybrid as engine;
    use flux_io_testkit::conformance::engine::{self as laws, Workers};

    flux_io_testkit::with_engine_laws!(tests);
}

mod apart {
    use super::apart as engine;
    use flux_io_testkit::conformance::engine::{self as laws, Workers};

    flux_io_testkit::with_engine_laws!(tests);
}

/// Sources on rayon.
mod apart_the_other_way {
    use super::{Apart, hybrid};
    use flux_io_testkit::conformance::engine::{self as laws, Workers};

    fn engine() -> Apart {
        Apart(hybrid(), ["rayon", "tokio"])
    }

    flux_io_testkit::with_engine_laws!(tests);
}
