//! A source that falls silent beside one that does not: the silent one must not hold the watermark
//! (rule L-4), its waiting future is kept while deadlines fire (I3), and every key that is due
//! leaves long before the silence ends.

use super::assembled::merge;
use super::data::{Frag, Ids, Left, Log, Mix, fragments, units};
use super::{Oracle, Scenario, Size, ended_well};
use flux_io::accumulate::Require;
use flux_io::core::{
    Batch, ExecutionPlan, Filled, IoCx, Moment, Outcome, Source, StageError, Timestamp, Var,
};
use flux_io::flow::{Flow, Pipeline, Raw};
use flux_io::prelude::AccumulateExt;
use flux_io_sim::{Fault, Faults, Swarm};
use std::time::Duration;

pub(crate) const SCENARIO: Scenario = Scenario { name: "idle", make: plan, faults };

/// How long the silent source is silent.
const SILENCE: Moment = Moment(300_000_000);
/// When an input counts as idle.
const IDLE: Duration = Duration::from_millis(10);
/// A key that nobody touches leaves this long after its first fragment at the latest.
const LONGEST: Moment = Moment(100_000_000);

/// The key of the rows that end the silence.
const LAST: u32 = 1 << 21;

fn faults() -> Faults {
    Faults::none().with(Fault::ShortFill).with(Fault::Spurious).with(Fault::WallJump)
}

/// Rows, a long silence, a last row.
struct Silent {
    rows: Vec<Frag>,
    last: Option<Frag>,
}

impl Source for Silent {
    type Col = Vec<Frag>;

    async fn fill(&mut self, out: &mut Batch<Vec<Frag>>, cx: &IoCx) -> Result<Filled, StageError> {
        if self.rows.is_empty() && self.last.is_none() {
            return Ok(Filled::End);
        }
        if self.rows.is_empty() {
            cx.sleep_until(SILENCE).await;
            out.col.extend(self.last.take());
            return Ok(Filled::End);
        }
        let n = self.rows.len().min(cx.max_rows());
        out.col.extend(self.rows.drain(..n));
        Ok(Filled::More)
    }
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let mix = Mix { late: 0, ..Mix::draw(swarm) };
    let rows = swarm.pick(size.0, size.1);
    let mut draws = swarm.draws();
    let sent = fragments(&mut draws, rows, 0..rows / 3 + 1, mix);
    // One that says something first, or nothing at all before it falls silent.
    let first = (swarm.pick(0, 1) == 0).then(|| Frag::new(1 << 20, 0, 0, 1 << 60));
    let last = |id: u64| Some(Frag::new(LAST, (id & 1) as u8, 1 << 40, id << 50));
    let log = Log::<Outcome<u32, Ids>>::default();
    let pipeline = Pipeline::new();
    // One that has ended holds nothing either; one that has said nothing must not be alone.
    let end = if first.is_some() { None } else { last(2) };
    let busy = swarm.source("busy", Silent { rows: sent, last: end });
    let silent = Silent { rows: first.into_iter().collect(), last: last(3) };
    let silent = swarm.source("silent", silent);
    let timed = |name: &str, f: Flow<'static, Vec<Frag>, Raw>| {
        let f = f.event_time(name, |f: &Frag| Timestamp(f.time));
        f.lag(units(mix.disorder + 12)).idle_after(IDLE)
    };
    let busy = timed("busy time", pipeline.source("busy", busy));
    let silent = timed("silent time", pipeline.source("silent", silent));
    let sink = swarm.sink("out", log.clone()).traced(|o: &Outcome<u32, Ids>| Left::of(o).digest());
    let plan = merge(&pipeline, busy, silent)
        .key_by("key", |f: &Frag| f.key)
        .accumulate("assemble", |p| {
            p.require(Require::all(["a", "b", "c", "d"]))
                .expire_after(units(20))
                .var(|f: &Frag| Var::one(u16::from(f.var)))
                .merge(|ids: &mut Ids, f: &mut Frag| ids.push(f.id))
        })
        .parallel(swarm.shards)
        .sink("out", sink)
        .plan()
        .expect("a plan without faults");
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        if run.effects.of(Fault::DroppedFill) > 0 {
            return Err("the future of a waiting source was dropped without need".to_owned());
        }
        let mut ids = Vec::new();
        for (at, o) in log.take() {
            let left = Left::of(&o);
            if at > LONGEST && left.key != LAST {
                return Err(format!("{left:?} left at {at:?} only"));
            }
            ids.extend(left.ids);
        }
        ids.sort_unstable();
        if ids.windows(2).any(|w| w[0] == w[1]) {
            return Err("a fragment came out twice".to_owned());
        }
        let ledger = run.report.ledger("assemble").unwrap_or_default();
        let repeated = ledger.get(flux_io::core::Class::Duplicate);
        if ids.len() as u64 + repeated == run.items {
            return Ok(());
        }
        Err(format!("{} of {} fragments came out, {repeated} were repeated", ids.len(), run.items))
    });
    (plan, oracle)
}
