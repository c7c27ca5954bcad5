//! Random plans in the simulator.

use super::run::{Ran, Wrong};
use crate::random::build::build;
use crate::random::simulated::{Simulated, faults, nothing, seen};
use flux_io_sim::{FailureKind, Swarm, simulate};
use flux_io_testkit::dag::{Dag, Expect};

/// One schedule of a plan, with faults that change no result.
pub(crate) fn run(dag: &Dag, want: &Expect) -> Result<Ran, Wrong> {
    let mut refused = false;
    let plan = |swarm: &mut Swarm| {
        (swarm.capacity, swarm.rows) = (dag.setting.edge, dag.setting.batch);
        (swarm.chain, swarm.shards) = (dag.setting.chain, dag.setting.workers);
        if dag.setting.store {
            _ = swarm.store();
        }
        let mut ends = Simulated::new(swarm);
        let plan = build(dag, &mut ends);
        let Simulated { taken, dead, .. } = ends;
        refused |= plan.is_none();
        (plan.unwrap_or_else(nothing), (taken, dead))
    };
    let simulation = simulate(plan).faults(faults()).from(dag.setting.seed);
    let tried = simulation
        .shrink_runs(0)
        .try_check(|run, (taken, dead)| want.judge(&run.report, seen(&taken, dead.as_ref())));
    match tried {
        _ if refused => Ok(Ran::Refused),
        Ok(_) => Ok(Ran::Well),
        Err(f) if f.kind == FailureKind::Stuck => Err(Wrong::Hangs(f.message.clone())),
        Err(f) => Err(Wrong::Differs(f.message.clone())),
    }
}
