//! The portfolio that the simulator runs: real pipelines, each with an oracle of its own.

mod assembled;
mod branched;
mod called;
mod data;
mod demanding;
mod durable;
mod faulty;
mod idle;
#[path = "../../../flux-io-sim/tests/it/line.rs"]
pub(crate) mod line;
mod lossy;
mod model;
mod paired;
#[cfg(flux_io_mutants)]
pub(crate) mod random;
mod sequenced;
mod tape;

use flux_io::core::ExecutionPlan;
use flux_io_sim::{Failure, Fault, Faults, SimRun, SimStats, Swarm, simulate};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a run of a plan is asked afterwards.
type Oracle = Box<dyn FnOnce(&SimRun) -> Result<(), String>>;

/// A pipeline of the portfolio.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    make: fn(&mut Swarm, Size) -> (ExecutionPlan<'static>, Oracle),
    faults: fn() -> Faults,
}

/// How many rows a run has, at least and at most.
#[derive(Clone, Copy)]
pub(crate) struct Size(pub(crate) u32, pub(crate) u32);

/// Rows from which on a run is a long one.
const LONG: u32 = 10_000;

/// Every pipeline; those with the most ways to go have two or three places. Random plans have seeds
/// of their own: in the gate beside the other engines (`heavy_dag`), and for the known faults.
pub(crate) const ALL: [Scenario; 15] = [
    assembled::SCENARIO,
    durable::SCENARIO,
    line_scenario(),
    demanding::SCENARIO,
    idle::SCENARIO,
    lossy::SCENARIO,
    faulty::SCENARIO,
    branched::SCENARIO,
    assembled::SCENARIO,
    paired::SCENARIO,
    sequenced::SCENARIO,
    called::SCENARIO,
    sequenced::SCENARIO,
    paired::SCENARIO,
    sequenced::SCENARIO,
];

const fn line_scenario() -> Scenario {
    Scenario { name: "line", make: line_plan, faults: line_faults }
}

fn line_plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let (mut plan, job) = line::line(swarm, (size.0, size.1));
    retried(&mut plan);
    let oracle = move |run: &SimRun| {
        line::in_order(run, &job)?;
        let all = run.effects.of(Fault::Drain) > 0 || run.items == u64::from(job.n);
        if all { Ok(()) } else { Err(format!("{} of {} rows were read", run.items, job.n)) }
    };
    (plan, Box::new(oracle))
}

fn line_faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Drain)
}

impl Scenario {
    /// Runs seeds, and asks the oracle of each; `shrink` runs may go into a failure.
    pub(crate) fn run(
        self,
        from: u64,
        seeds: u64,
        size: Size,
        shrink: usize,
    ) -> Result<SimStats, Box<Failure>> {
        let make = self.make;
        let mut faults = (self.faults)();
        if size.0 >= LONG {
            // Long runs are to be read to their end.
            let over = [Fault::FailFill, Fault::FailWrite, Fault::LeaveRows];
            for f in [Fault::Drain, Fault::Abort].into_iter().chain(over) {
                faults = faults.without(f);
            }
        }
        simulate(move |s| make(s, size))
            .faults(faults)
            .from(from)
            .seeds(seeds)
            .shrink_runs(shrink)
            .try_check(|run, oracle: Oracle| oracle(run))
    }
}

/// The pipeline that a seed of the portfolio runs.
pub(crate) const fn of_seed(seed: u64) -> Scenario {
    ALL[(seed % ALL.len() as u64) as usize]
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every stage of the plan tries again what may pass, more often than faults strike in a row.
fn retried(plan: &mut ExecutionPlan<'static>) {
    use flux_io::core::{GiveUp, OnError, Retry};
    for n in &mut plan.graph.nodes {
        n.on_error = OnError::Retry { retry: Retry::default(), then: GiveUp::Fail };
    }
}

/// The run ended well: nothing failed, and nothing was aborted.
fn ended_well(run: &SimRun) -> Result<(), String> {
    if run.report.is_success() {
        return Ok(());
    }
    Err(format!("ended {:?}: {:?}", run.report.ended, run.report.failure))
}
