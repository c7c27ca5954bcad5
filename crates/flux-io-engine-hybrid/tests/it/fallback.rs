//! Engines that stand in for one that refuses.

use flux_io_core::{Ended, Engine, ExecutionPlan, Graph, PlanFault, RunOptions, RunReport};
use flux_io_engine_hybrid::Fallback;
use flux_io_testkit::doubles::{CollectSink, ManualEngine, Shelf, VecSource};
use flux_io_testkit::plans::HandPlan;

/// Refuses plans with a stage of this name, and everything when it is `*`.
struct Picky(&'static str, &'static str);

impl Engine for Picky {
    fn name(&self) -> &'static str {
        self.0
    }
    fn accepts(&self, graph: &Graph, _: &RunOptions) -> Result<(), PlanFault> {
        let bad = self.1 == "*" || graph.find(self.1).is_some();
        let what = format!("`{}` does not like `{}`", self.0, self.1);
        let fault = PlanFault { code: "P011", path: Vec::new(), what, fix: "ask another".into() };
        if bad { Err(fault) } else { Ok(()) }
    }
    fn run_plan(&self, plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
        RunReport { engine: self.0, ..ManualEngine::default().run_plan(plan, options) }
    }
}

fn plan(name: &str) -> (ExecutionPlan<'static>, Shelf<u64>) {
    let (sink, shelf) = CollectSink::<u64>::new();
    (HandPlan::from(name, VecSource::<u64>::new(0..100)).into("out", sink).plan(), shelf)
}

/// Row 213. The first engine that accepts a plan runs it, and gives what the preferred one would.
#[test]
fn the_first_that_accepts_runs_it() {
    let engines = Fallback::from(Picky("a", "socket")).to(Picky("b", "pipe")).to(Picky("c", "*"));
    let rows = |name: &str| {
        let (plan, shelf) = plan(name);
        let report = engines.run_plan(plan, RunOptions::default());
        assert_eq!(report.ended, Ended::Completed);
        (report.engine, shelf.take())
    };
    let (first, second) = (rows("lines"), rows("socket"));
    assert_eq!((first.0, second.0), ("a", "b"));
    assert_eq!(first.1, second.1);
}

/// When all refuse, nothing runs and the preferred engine's reason is given.
#[test]
fn the_first_reason_is_given_when_all_refuse() {
    let engines = Fallback::from(Picky("a", "in")).to(Picky("b", "*"));
    let (plan, shelf) = plan("in");
    let report = engines.run_plan(plan, RunOptions::default());
    assert_eq!((report.ended, report.engine), (Ended::Failed, "fallback"));
    let what = report.failure.unwrap().error.what;
    assert_eq!(what, "P011: `a` does not like `in` (at ); ask another");
    assert_eq!(shelf.len(), 0);
}
