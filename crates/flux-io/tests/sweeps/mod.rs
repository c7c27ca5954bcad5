//! What the sweeps share: the engines, a pipeline with user code in it, and what holds after every
//! run.

mod cancelled;
mod panics;
mod stops;

use flux_io::core::{Engine, ExecutionPlan, MemoryPool, Outcome, RunOptions, RunReport};
use flux_io::engine::Hybrid;
use flux_io::prelude::*;
use flux_io_engine_rayon::RayonEngine;
use flux_io_engine_sync::SyncEngine;
use flux_io_engine_tokio::TokioEngine;
use flux_io_testkit::doubles::BoundedPool;
use std::sync::{Arc, Once};

/// Rows of a run: three of each key.
const ROWS: u64 = 600;

/// What planned panics say.
const PLANNED: &str = "a planned panic";

/// Planned panics are not printed; others are.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str().is_none_or(|s| !s.starts_with(PLANNED)) {
                loud(info);
            }
        }));
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Sync(u64),
    Tokio(u32),
    Rayon(u32),
    Hybrid(u32),
}

/// Every engine; the seed is that of the sync engine's schedule.
fn engines(seed: u64) -> [On; 6] {
    [On::Sync(seed), On::Tokio(1), On::Tokio(2), On::Rayon(1), On::Rayon(2), On::Hybrid(2)]
}

/// Runs a plan in small batches on queues that fill up; checks what holds after every run.
fn run(on: On, mut plan: ExecutionPlan<'static>, options: RunOptions) -> RunReport {
    let workers = match on {
        On::Sync(_) => 1,
        On::Tokio(n) | On::Rayon(n) | On::Hybrid(n) => n,
    };
    let pool = Arc::new(BoundedPool::new(1 << 30));
    let mut options = options.batch(16).workers(workers).chain(false);
    options.memory = Some(Arc::<BoundedPool>::clone(&pool) as Arc<dyn MemoryPool>);
    plan.graph.buffer.capacity = 2;
    let report = match on {
        On::Sync(seed) => SyncEngine::seeded(seed).run_plan(plan, options),
        On::Tokio(_) => TokioEngine.run_plan(plan, options),
        On::Rayon(_) => RayonEngine.run_plan(plan, options),
        On::Hybrid(_) => {
            for (n, name) in plan.graph.nodes.iter_mut().zip(["tokio", "rayon"].iter().cycle()) {
                n.hints.engine = Some((*name).into());
            }
            Hybrid::new().engine().run_plan(plan, options)
        }
    };
    report.check().unwrap_or_else(|e| panic!("{on:?}: {e}"));
    assert!(pool.by_name().values().all(|held| *held == 0), "{on:?}: {:?}", pool.by_name());
    report
}

type Collected = sink::Collected<Outcome<u64, u64>>;

/// Rows through `user`, a map with this policy, into an accumulator of two instances.
fn assembled(
    user: impl FnMut(u64) -> u64 + Send + 'static,
    policy: OnError,
) -> (ExecutionPlan<'static>, Collected) {
    let (collect, got) = sink::collect();
    let plan = Pipeline::new()
        .source("in", source::iter(0..ROWS))
        .map("user", user)
        .on_error(policy)
        .fusion_barrier()
        .key_by("key", |x| x / 3)
        .accumulate("acc", |p| {
            p.require(Require::all(["a", "b", "c"]))
                .var(|x| Var::one((x % 3) as u16))
                .merge(|sum: &mut u64, x| *sum += *x)
        })
        .parallel(2)
        .sink("out", collect)
        .plan();
    (plan.unwrap(), got)
}
