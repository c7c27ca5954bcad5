//! Two sources out of order, merged, assembled by key with event-time deadlines, late and repeated
//! fragments, evictions, aborts. A recorder in front of the accumulator writes down the order in
//! which rows and watermarks came, and a plain model says what must come of exactly that.

use super::data::{Feed, Frag, Ids, Left, Log, Mix, fragments, units};
use super::model::{Model, Rules, Seen};
use super::{Oracle, Scenario, Size, lock, retried};
use flux_io::accumulate::{After, Keep, OnExpire, OnLate, Require, Then};
use flux_io::core::{
    AnyBatch, Batch, Body, ChannelDescriptor, Class, ColumnType, Command, DeadCause, Ended,
    ErrorRecord, ExecutionPlan, IoCx, Node, Out, Outbox, Outcome, Reply, Stage, StageCx,
    StageError, StageKind, StageNode, Step, Timestamp, Var,
};
use flux_io::flow::{Flow, Pipeline, Raw};
use flux_io::prelude::AccumulateExt;
use flux_io_sim::{Fault, Faults, SimRun, Swarm};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const SCENARIO: Scenario = Scenario { name: "assembled", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless()
        .with(Fault::TransientFill)
        .with(Fault::TransientWrite)
        .with(Fault::PartialWrite)
        .with(Fault::Duplicate)
        .with(Fault::Drain)
        .with(Fault::Abort)
        .with(Fault::Command)
        .with(Fault::FailFill)
        .with(Fault::FailWrite)
        .with(Fault::LeaveRows)
}

/// Passes everything on: two inputs become one.
struct Pass;

impl Node for Pass {
    fn on_batch(
        &mut self,
        _: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let fresh = input.empty();
        outs[0].push_batch(std::mem::replace(input, fresh));
        Ok(Step::Done)
    }
}

/// Joins two flows.
pub(crate) fn merge<T: Send + 'static>(
    pipeline: &Pipeline<'static>,
    a: Flow<'static, Vec<T>, Raw>,
    b: Flow<'static, Vec<T>, Raw>,
) -> Flow<'static, Vec<T>, Raw> {
    let c = ColumnType::of::<Vec<T>>();
    let node = StageNode::new("merge", StageKind::Merge, vec![c, c], vec![c]);
    let inputs = vec![a.into_port(), b.into_port()];
    let mut outs =
        pipeline.attach(node, Body::One(Box::new(Pass)), inputs, ChannelDescriptor::default());
    outs.remove(0).into_flow().expect("the column of the merge")
}

/// What came, in order, and what should not have been so.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) wrong: Arc<Mutex<Option<String>>>,
    /// The last watermark behind the accumulator.
    pub(crate) promised: Arc<Mutex<Option<i64>>>,
}

/// Writes down rows and watermarks, and whether the stage is told the right time.
pub(crate) struct Recorder {
    record: Record,
    io: IoCx,
    /// Whether no row may come at or below the watermark.
    strict: bool,
    watermark: i64,
}

impl Recorder {
    pub(crate) fn new(record: &Record, io: IoCx, strict: bool) -> Self {
        Self { record: record.clone(), io, strict, watermark: i64::MIN }
    }

    fn wrong(&self, what: String) {
        lock(&self.record.wrong).get_or_insert(what);
    }

    fn time(&self, cx: &StageCx<'_>) {
        if cx.now() != self.io.now() {
            self.wrong(format!("a stage is told {:?} at {:?}", cx.now(), self.io.now()));
        }
    }

    fn mark(&mut self, w: Timestamp) {
        self.watermark = self.watermark.max(w.0);
        lock(&self.record.seen).push(Seen::Mark(w.0));
    }
}

impl Stage for Recorder {
    type In = Vec<Frag>;
    type Out = Vec<Frag>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<Frag>>,
        out: &mut Out<'_, Vec<Frag>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.time(cx);
        let marks = input.meta.marks.clone();
        let mut marks = marks.iter().peekable();
        for (i, row) in input.col.iter().enumerate() {
            while let Some(m) = marks.next_if(|m| m.at as usize <= i) {
                self.mark(m.watermark);
            }
            if self.strict && row.time <= self.watermark {
                self.wrong(format!("{row:?} came behind watermark {}", self.watermark));
            }
            if !row.is_whole() {
                self.wrong(format!("{row:?} is not as it was sent"));
            }
            lock(&self.record.seen).push(Seen::Row(*row));
        }
        for m in marks {
            self.mark(m.watermark);
        }
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        out: &mut Out<'_, Vec<Frag>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.time(cx);
        self.mark(w);
        out.mark(w);
        Ok(Step::Done)
    }
}

/// Keeps the last promise behind an accumulator.
pub(crate) struct Promise(pub(crate) Record);

impl Stage for Promise {
    type In = Vec<Outcome<u32, Ids>>;
    type Out = Vec<Outcome<u32, Ids>>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<Outcome<u32, Ids>>>,
        out: &mut Out<'_, Vec<Outcome<u32, Ids>>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        if let Some(m) = input.meta.marks.last() {
            *lock(&self.0.promised) = Some(m.watermark.0);
        }
        out.swap(input);
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        _: &mut Out<'_, Vec<Outcome<u32, Ids>>>,
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        *lock(&self.0.promised) = Some(w.0);
        Ok(Step::Done)
    }
}

/// Longer than any run: a deadline that is armed and set anew, and never comes.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

fn rules(swarm: &mut Swarm) -> Rules {
    let ttl = [Some(40), Some(10), Some(15), None][swarm.pick(0, 3) as usize];
    let on_expire = match swarm.pick(0, 7) {
        0..=2 => OnExpire::Partial,
        3 => OnExpire::DeadLetter,
        4 => OnExpire::Drop,
        5 => OnExpire::Extend { times: 2, then: Then::Partial },
        6 => OnExpire::Extend { times: 1, then: Then::DeadLetter },
        _ => OnExpire::Abort,
    };
    let on_late = match swarm.pick(0, 3) {
        0 | 1 => OnLate::SideOutput,
        2 => OnLate::Drop,
        _ => OnLate::NewGeneration,
    };
    let keep = [None, None, Some(30), Some(5)][swarm.pick(0, 3) as usize];
    let max_keys = [None, None, Some(6)][swarm.pick(0, 2) as usize];
    Rules { ttl, on_expire, on_late, keep, max_keys }
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let mix = Mix::draw(swarm);
    let rules = rules(swarm);
    let rows = swarm.pick(size.0, size.1);
    let mut draws = swarm.draws();
    let shared = swarm.pick(0, 1) == 1;
    let keys = rows / 3 + 1;
    let mut left = fragments(&mut draws, rows / 2 + 1, 0..keys, mix);
    let right = if shared { 0..keys } else { keys..2 * keys };
    let mut right = fragments(&mut draws, rows / 2, right, mix);
    right.iter_mut().for_each(|f| *f = Frag::new(f.key, f.var, f.time, f.id | 1 << 63));
    if swarm.pick(0, 1) == 1 {
        // A last row long after all others: its watermark lets everything leave at once.
        let (key, time) = (2 * keys, i64::from(rows) * 20 + 1_000);
        left.push(Frag::new(key, 0, time, 1 << 60));
        right.push(Frag::new(key, 1, time, 1 << 61));
    }
    let shards = if rules.max_keys.is_some() { 1 } else { swarm.shards };
    let lag = mix.disorder + 12;
    // With repeats and late fragments rows do come behind the watermark.
    let strict = mix.late == 0 && mix.twice == 0 && !swarm.has(Fault::Duplicate);
    let idles = swarm.pick(0, 1) == 1;
    let record = Record::default();
    let (log, dead) = (Log::<Outcome<u32, Ids>>::default(), Log::<ErrorRecord>::default());
    swarm.command("assemble", Command::Why(1_u32.to_be_bytes().to_vec(), Reply::new()));
    let pipeline = Pipeline::new().dead_letters("dead", swarm.sink("dead", dead.clone()));
    let a = swarm.source("left", Feed::new(left).slow(swarm.delays())).duplicating();
    let b = swarm.source("right", Feed::new(right).slow(swarm.delays())).duplicating();
    let timed = |name: &str, f: Flow<'static, Vec<Frag>, Raw>| {
        let f = f.event_time(name, |f: &Frag| Timestamp(f.time)).lag(units(lag));
        if idles { f.idle_after(NEVER) } else { f }
    };
    let a = timed("left time", pipeline.source("left", a));
    let b = timed("right time", pipeline.source("right", b));
    let sink = swarm.sink("out", log.clone()).traced(|o: &Outcome<u32, Ids>| Left::of(o).digest());
    let end = merge(&pipeline, a, b)
        .stage("record", Recorder::new(&record, swarm.io(), strict))
        .key_by("key", |f: &Frag| f.key)
        .accumulate("assemble", |p| {
            let p = p.require(Require::all(["a", "b", "c", "d"]));
            let p = p.on_expire(rules.on_expire).on_late(rules.on_late);
            let keep = rules.keep.map_or(Keep::ToEnd, |d| Keep::For(units(d as u32)));
            let p = p.on_complete(After::Tombstone(keep));
            let p = if let Some(d) = rules.ttl { p.expire_after(units(d as u32)) } else { p };
            let p = if let Some(n) = rules.max_keys { p.max_keys(n) } else { p };
            p.var(|f: &Frag| Var::one(u16::from(f.var)))
                .merge(|ids: &mut Ids, f: &mut Frag| ids.push(f.id))
        })
        .parallel(shards)
        .stage("promise", Promise(record.clone()))
        .sink("out", sink);
    let mut plan = end.plan().expect("a plan without faults");
    retried(&mut plan);
    let oracle: Oracle = Box::new(move |run| {
        let wrong = lock(&record.wrong).clone();
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let seen = std::mem::take(&mut *lock(&record.seen));
        let got: Vec<Left> = log.rows().iter().map(Left::of).collect();
        judge(run, &rules, &seen, (got, dead.rows()), shards)?;
        let last =
            seen.iter().rev().find_map(|s| if let Seen::Mark(w) = s { Some(*w) } else { None });
        let promised = *lock(&record.promised);
        if run.report.is_success() && promised != last {
            return Err(format!(
                "watermark {promised:?} behind the accumulator, {last:?} before it"
            ));
        }
        Ok(())
    });
    (plan, oracle)
}

fn judge(
    run: &SimRun,
    rules: &Rules,
    seen: &[Seen],
    (mut got, dead): (Vec<Left>, Vec<ErrorRecord>),
    shards: u32,
) -> Result<(), String> {
    ledger_and_letters(run)?;
    let mut model = Model::of(rules, seen);
    let failed = [Fault::FailFill, Fault::FailWrite, Fault::LeaveRows];
    let failed = failed.iter().any(|f| run.effects.of(*f) > 0);
    match run.report.ended {
        Ended::Failed if model.aborts => return Ok(()),
        Ended::Aborted => return Ok(()),
        Ended::Failed if failed => return Ok(()),
        Ended::Completed | Ended::Drained if !model.aborts => {}
        _ => return super::ended_well(run).and(Err("the policy aborts, the run did not".into())),
    }
    let rows = seen.iter().filter(|s| matches!(s, Seen::Row(_))).count() as u64;
    if rows != run.items {
        return Err(format!("{} rows were read, {rows} came to the accumulator", run.items));
    }
    let ledger = run.report.ledger("assemble").unwrap_or_default();
    let (duplicates, late) = (ledger.get(Class::Duplicate), ledger.get(Class::Late));
    if (duplicates, late) != (model.duplicates, model.late) {
        return Err(format!(
            "{duplicates} duplicates and {late} late fragments instead of {} and {}",
            model.duplicates, model.late
        ));
    }
    let buried = |d: &ErrorRecord| d.key.as_deref().map(<[u8]>::to_vec);
    let mut letters: Vec<_> = dead.iter().map(|d| (buried(d), d.items)).collect();
    let letter = |(key, ids): &(u32, Ids)| (Some(key.to_be_bytes().to_vec()), ids.len() as u64);
    let mut wanted: Vec<_> = model.dead.iter().map(letter).collect();
    letters.sort_unstable();
    wanted.sort_unstable();
    if letters != wanted {
        return Err(format!("dead letters {letters:?} instead of {wanted:?}"));
    }
    if shards > 1 {
        got.sort_unstable();
        model.left.sort_unstable();
    }
    same(&got, &model.left)
}

/// Two lists of results are one.
pub(crate) fn same(got: &[Left], want: &[Left]) -> Result<(), String> {
    if got == want {
        return Ok(());
    }
    let at = got.iter().zip(want).position(|(g, w)| g != w).unwrap_or(got.len().min(want.len()));
    Err(format!(
        "result {at} of {} is {:?} instead of {:?} of {}",
        got.len(),
        got.get(at),
        want.get(at),
        want.len()
    ))
}

/// What the ledger calls dead letters are dead letters of the run, cause by cause.
pub(crate) fn ledger_and_letters(run: &SimRun) -> Result<(), String> {
    let ledger = run.report.ledger("assemble").unwrap_or_default();
    let mut said: BTreeMap<DeadCause, u64> = BTreeMap::new();
    for (class, n) in ledger.classes() {
        if let Class::DeadLetter(cause) = class {
            *said.entry(cause).or_default() += n;
        }
    }
    let letters = &run.report.dead_letters;
    if said == *letters {
        return Ok(());
    }
    Err(format!("the ledger has dead letters {said:?}, the run {letters:?}"))
}
