//! Crash and restart: a seekable source, keyed state with snapshots on a disk with faults, and a
//! sink with transactions (exactly once) or without (at least once, and said).

use super::assembled::{Promise, Record, Recorder, same};
use super::data::{Feed, Frag, Ids, Left, Log, Mix, fragments, units};
use super::model::{Model, Rules, Seen};
use super::{Oracle, Scenario, Size, ended_well, lock, retried};
use flux_io::accumulate::{After, Keep, OnExpire, OnLate, Require};
use flux_io::core::{Class, ExecutionPlan, Outcome, Timestamp, Var};
use flux_io::flow::Pipeline;
use flux_io::prelude::AccumulateExt;
use flux_io_sim::{Fault, Faults, SimRun, Swarm};
use flux_io_testkit::doubles::{Books, TransactionalVec};

pub(crate) const SCENARIO: Scenario = Scenario { name: "durable", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Disk)
        .with(Fault::Crash)
}

fn save(ids: &Ids, to: &mut Vec<u8>) {
    ids.iter().for_each(|id| to.extend_from_slice(&id.to_le_bytes()));
}

fn load(bytes: &[u8]) -> Option<Ids> {
    let id = |b: &[u8]| Some(u64::from_le_bytes(b.try_into().ok()?));
    bytes.chunks(8).map(id).collect()
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let mix = Mix::draw(swarm);
    let rows = swarm.pick(size.0, size.1);
    let transactions = swarm.pick(0, 2) < 2;
    let ttl = [Some(40), Some(12), None][swarm.pick(0, 2) as usize];
    let rules = Rules {
        ttl,
        on_expire: OnExpire::Partial,
        on_late: OnLate::SideOutput,
        keep: None,
        max_keys: None,
    };
    let mut draws = swarm.draws();
    let sent = fragments(&mut draws, rows, 0..rows / 3 + 1, mix);
    // What comes when all faults are over: one whole thing, and one that stays open.
    let (thing, time) = (rows + 7, i64::from(rows) * 9);
    let fresh: Vec<Frag> = (0..5_u8)
        .map(|i| Frag::new(thing + u32::from(i / 4), i % 4, time, (1 << 62) | u64::from(i)))
        .collect();
    let lag = mix.disorder + 12;
    let record = Record::default();
    let newest = sent.iter().chain(&fresh).map(|f| f.time).max().unwrap_or(time);
    let promised = newest - i64::from(lag) - 1;
    let expected = expected(&rules, sent.iter().chain(&fresh), i64::from(lag));
    _ = swarm.store();
    let books: Books<Outcome<u32, Ids>> = swarm.keep("books", Books::default);
    let log: Log<Outcome<u32, Ids>> = swarm.keep("log", Log::default);
    let source = swarm.source("rows", Feed::new(sent.clone()).slow(swarm.delays())).fresh(fresh);
    let flow = Pipeline::new()
        .source("rows", source)
        .event_time("time", |f: &Frag| Timestamp(f.time))
        .lag(units(lag))
        .stage("record", Recorder::new(&record, swarm.io(), false))
        .key_by("key", |f: &Frag| f.key)
        .accumulate("assemble", |p| {
            let p = p.require(Require::all(["a", "b", "c", "d"]));
            let p = p.on_complete(After::Tombstone(Keep::ToEnd));
            let p = if let Some(d) = rules.ttl { p.expire_after(units(d as u32)) } else { p };
            p.var(|f: &Frag| Var::one(u16::from(f.var)))
                .merge(|ids: &mut Ids, f: &mut Frag| ids.push(f.id))
                .durable(save, load)
        })
        .parallel(swarm.shards)
        .stage("promise", Promise(record.clone()));
    let digest = |o: &Outcome<u32, Ids>| Left::of(o).digest();
    let end = if transactions {
        let sink = swarm.sink("out", TransactionalVec::new(&books)).traced(digest);
        flow.sink("out", sink)
    } else {
        flow.sink("out", swarm.sink("out", log.clone()).traced(digest))
    };
    let mut plan = end.plan().expect("a plan without faults");
    retried(&mut plan);
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        let wrong = lock(&record.wrong).clone();
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let said = *lock(&record.promised);
        if said != Some(promised) {
            return Err(format!("the last watermark is {said:?} instead of {promised}"));
        }
        let rows = if transactions { books.visible() } else { log.rows() };
        judge(run, &expected, rows.iter().map(Left::of).collect(), transactions)
    });
    (plan, oracle)
}

/// One source gives one order: what must come of it is known before the run.
fn expected<'a>(rules: &Rules, sent: impl Iterator<Item = &'a Frag>, lag: i64) -> Model {
    let (mut seen, mut newest) = (Vec::new(), i64::MIN);
    for f in sent {
        if f.time > newest {
            newest = f.time;
            seen.push(Seen::Mark(newest - lag - 1));
        }
        seen.push(Seen::Row(*f));
    }
    Model::of(rules, &seen)
}

fn judge(run: &SimRun, want: &Model, mut got: Vec<Left>, exact: bool) -> Result<(), String> {
    let ledger = run.report.ledger("assemble").unwrap_or_default();
    let (duplicates, late) = (ledger.get(Class::Duplicate), ledger.get(Class::Late));
    if (duplicates, late) != (want.duplicates, want.late) {
        return Err(format!(
            "{duplicates} duplicates and {late} late fragments instead of {} and {}",
            want.duplicates, want.late
        ));
    }
    let mut left = want.left.clone();
    left.sort_unstable();
    got.sort_unstable();
    let said = run.at_least_once == ["out"];
    if said != (!exact && run.lives > 1) {
        return Err(format!("after {} lives it is said: {:?}", run.lives, run.at_least_once));
    }
    if !exact && run.lives > 1 {
        got.dedup();
        left.dedup();
    }
    same(&got, &left)
}
