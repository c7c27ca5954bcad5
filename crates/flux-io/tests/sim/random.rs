//! Random plans out of everything the builder has.

use super::{Oracle, Scenario, Size};
use crate::random::simulated::{drawn, faults};
use flux_io::core::ExecutionPlan;
use flux_io_sim::Swarm;

pub(crate) const SCENARIO: Scenario = Scenario { name: "random", make: plan, faults };

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    // Small ones: a fault shows in few rows, or in none.
    drawn(swarm, size.1 / 3)
}
