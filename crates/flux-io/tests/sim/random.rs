//! Random plans out of everything the builder has, with panics and errors in every closure at every
//! place. What no closure failed on is exact: rows, order where it is promised, dead letters, what
//! is dropped and why, the accounts.

use super::{Oracle, Scenario, Size};
use crate::random::build::build;
use crate::random::simulated::{Simulated, nothing, seen};
use flux_io::core::ExecutionPlan;
use flux_io_sim::{Faults, SimRun, Swarm};
use flux_io_testkit::dag::{Dag, Menu};

pub(crate) const SCENARIO: Scenario = Scenario { name: "random", make: plan, faults };

/// Rows of a source, at most: a join by default holds more than a plan can make of them.
const MOST: u32 = 1_200;

/// Faults that change no result. Those of sinks are left to the sinks of the plan, which fail in
/// moods of their own.
fn faults() -> Faults {
    Faults::harmless()
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let menu = Menu { rows: size.1.min(MOST), poison: 12, ..Menu::default() };
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
