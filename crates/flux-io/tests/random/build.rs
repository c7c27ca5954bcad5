//! A random plan in the builder's words.

use super::closures::{Failures, Tried, call, calls, hurt, on_error, policy, refused, retried};
use super::keyed::accumulate;
use flux_io::core::{
    ErrorRecord, ExecutionPlan, GiveUp, OnError, Retry, RunHandle, StageKind, Timestamp, WhenFull,
};
use flux_io::flow::{
    Batching, Flow, Hold, InOrder, Join, JoinStrategy, Joined, Leftover, Pipeline, Raw, SharedRows,
    Unrouted,
};
use flux_io_testkit::dag::{Dag, IdJoin, Lose, Op, OpKind, Port, Row, Step, What};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) type Rows = Flow<'static, Vec<Row>, Raw>;

/// Where a plan's sources and sinks come from.
pub(crate) trait Ends {
    /// The n-th source.
    fn source(&mut self, pipeline: &Pipeline<'static>, dag: &Dag, n: usize) -> Rows;
    /// The end of the n-th open flow.
    fn sink(&mut self, flow: Rows, dag: &Dag, n: usize);
    /// The sink of dead letters.
    fn letters(&mut self, pipeline: Pipeline<'static>) -> Pipeline<'static>;
    /// Who is asked for checkpoints.
    fn handle(&self) -> Option<RunHandle>;
}

/// The plan, ready to run; `None` when the builder refuses it because it pairs by place what a
/// branch has dealt out.
pub(crate) fn build(dag: &Dag, ends: &mut dyn Ends) -> Option<ExecutionPlan<'static>> {
    let mut pipeline = Pipeline::new().default_buffer(dag.setting.edge, WhenFull::Block);
    if dag.setting.letters {
        pipeline = ends.letters(pipeline);
    }
    let mut flows: BTreeMap<Port, Rows> = BTreeMap::new();
    for n in 0..dag.sources.len() {
        flows.insert((n, 0), ends.source(&pipeline, dag, n));
    }
    for (i, step) in dag.steps.iter().enumerate() {
        let node = dag.sources.len() + i;
        let ins: Vec<Rows> = step.ins.iter().filter_map(|p| flows.remove(p)).collect();
        let outs = attach(&format!("n{node}"), step, ins, ends.handle());
        flows.extend(outs.into_iter().enumerate().map(|(p, f)| ((node, p), f)));
    }
    for (n, port) in dag.open().into_iter().enumerate() {
        if let Some(flow) = flows.remove(&port) {
            ends.sink(flow, dag, n);
        }
    }
    let mut plan = match pipeline.plan() {
        Ok(plan) => plan,
        Err(faults) if faults.0.iter().all(|f| f.code == "P021") => return None,
        Err(faults) => panic!("{dag}\n{faults}"),
    };
    let first = Duration::from_micros(30);
    // The moods of a plan and the faults of a simulation may follow each other.
    let retry = Retry { attempts: 12, first, factor: 2, longest: first * 8, jitter_percent: 50 };
    for node in &mut plan.graph.nodes {
        if matches!(node.kind, StageKind::Sink | StageKind::Source) {
            node.on_error = OnError::Retry { retry, then: GiveUp::Fail };
        }
    }
    Some(plan)
}

fn attach(name: &str, step: &Step, mut ins: Vec<Rows>, handle: Option<RunHandle>) -> Vec<Rows> {
    if step.what.joins() {
        return vec![join(name, step, ins)];
    }
    let flow = ins.remove(0);
    let salt = step.salt;
    let one = match &step.what {
        What::Fused { ops, parallel } => fused(flow, name, ops, *parallel),
        What::Scan { poison, lose, durable } => scan(flow, name, salt, *poison, *lose, *durable),
        What::Calls(c) => {
            let (c, failures) = (*c, Failures::default());
            let policy = if c.attempts > 0 {
                retried(c.attempts, salt % 80, c.lose)
            } else {
                on_error(c.lose)
            };
            let called = flow.async_map(name, calls(c), move |r| call(c, salt, &failures, *r));
            called.on_error(policy)
        }
        What::Batch(n) => flow.batch(name, Batching::Fixed(*n)),
        What::Buffer(n) => flow.map(name, |r: Row| r).buffer(*n),
        What::Barrier => flow.map(name, |r: Row| r).fusion_barrier(),
        What::Resequence { durable } => {
            flow.resequence_by_seq(name, InOrder::within(held(None, *durable)))
        }
        What::EventTime { ordered: true } => flow.event_time(name, time),
        What::EventTime { ordered: false } => {
            let any = move |r: &Row| Timestamp(r.pick(salt, 1 << 40) as i64);
            flow.event_time(name, any).lag(Duration::from_secs(1))
        }
        What::Ask { every, policy } => {
            let (every, policy, mut n) = (*every, *policy, 0_u64);
            let ask = move |_: &Row| {
                n += 1;
                match &handle {
                    Some(h) if n.is_multiple_of(every) && policy => _ = h.policy(),
                    Some(h) if n.is_multiple_of(every) => _ = h.checkpoint(),
                    _ => {}
                }
            };
            flow.inspect(name, ask).fusion_barrier()
        }
        What::Accumulate(acc) => accumulate(flow, name, salt, *acc),
        _ => return fork(flow, name, step),
    };
    vec![one]
}

fn fork(flow: Rows, name: &str, step: &Step) -> Vec<Rows> {
    let salt = step.salt;
    match step.what {
        What::Split { poison, lose } => {
            let (left, right) = flow.split(name, move |r: &Row| {
                hurt(poison, salt, r);
                r.is_left(salt)
            });
            let left = left.on_error(on_error(lose));
            vec![left, right]
        }
        What::Route { n, lose, poison } => {
            let unrouted = match lose {
                Lose::Letter => Unrouted::DeadLetter,
                Lose::Drop => Unrouted::Drop,
            };
            let mut flows = flow.route(name, n, unrouted, move |r: &Row| {
                hurt(poison, salt, r);
                r.route(salt, n)
            });
            let first = flows.remove(0).on_error(on_error(lose));
            flows.insert(0, first);
            flows
        }
        What::Broadcast(n) => {
            let own = |(i, f): (usize, Flow<'static, SharedRows<Vec<Row>>, Raw>)| {
                f.map_rows(&format!("{name} own {i}"), |r: &Row| *r).fusion_barrier()
            };
            flow.broadcast(name, n).into_iter().enumerate().map(own).collect()
        }
        _ => {
            let (well, failed) = flow.try_map(name, move |r: &Row| refused(salt, r)).errors();
            let original = |e: ErrorRecord| match e.into_dead_letter::<Row>() {
                Ok(letter) => letter.original,
                Err(_) => Row::default(),
            };
            vec![well, failed.map(&format!("{name} failed"), original).fusion_barrier()]
        }
    }
}

fn scan(flow: Rows, name: &str, salt: u64, poison: bool, lose: Lose, durable: bool) -> Rows {
    let scanned = flow.scan(name, salt, move |state: &mut u64, r: Row| {
        hurt(poison, salt, &r);
        let row = r.onto(*state);
        *state = row.value;
        row
    });
    let scanned = scanned.on_error(on_error(lose));
    if !durable {
        return scanned.fusion_barrier();
    }
    let save = |s: &u64, to: &mut Vec<u8>| to.extend_from_slice(&s.to_le_bytes());
    let load = |b: &[u8]| b.try_into().ok().map(u64::from_le_bytes);
    scanned.durable(save, load).fusion_barrier()
}

/// Adds an operator to an open flow of any kernel, and goes on.
macro_rules! operator {
    ($flow:expr, $name:expr, $n:expr, $op:expr, $next:ident => $then:expr) => {{
        let op: Op = $op;
        let name = format!("{}.{}", $name, $n);
        match op.kind {
            OpKind::Map => {
                let f = move |r: Row| {
                    hurt(op.poison, op.salt, &r);
                    r.changed(op.salt)
                };
                let $next = $flow.map(&name, f).on_error(policy(op));
                $then
            }
            OpKind::Filter(_) | OpKind::Gap(..) => {
                let f = move |r: &Row| {
                    hurt(op.poison, op.salt, r);
                    r.stays(op)
                };
                let $next = $flow.filter(&name, f).on_error(policy(op));
                $then
            }
            OpKind::Flat(most) => {
                let f = move |r: Row| {
                    hurt(op.poison, op.salt, &r);
                    r.expanded(op.salt, most)
                };
                let $next = $flow.flat_map(&name, f).on_error(policy(op));
                $then
            }
            OpKind::Try(..) => {
                let mut tried = Tried::default();
                let f = move |r: &Row| tried.ask(op, r);
                let $next = $flow.try_map(&name, f).on_error(policy(op));
                $then
            }
        }
    }};
}

/// Closes a segment.
macro_rules! closed {
    ($flow:expr, $parallel:expr) => {
        match $parallel {
            Some(n) => $flow.parallel(n),
            None => $flow.fusion_barrier(),
        }
    };
}

/// One to three operators as one segment.
fn fused(flow: Rows, name: &str, ops: &[Op], parallel: Option<u32>) -> Rows {
    match *ops {
        [] => flow,
        [a] => operator!(flow, name, 0, a, f => closed!(f, parallel)),
        [a, b] => {
            operator!(flow, name, 0, a, f => operator!(f, name, 1, b, f => closed!(f, parallel)))
        }
        [a, b, c, ..] => operator!(flow, name, 0, a, f => operator!(f, name, 1, b, f => {
            let mut tried = Tried::default();
            let third = f.try_map(&format!("{name}.2"), move |r: &Row| tried.ask(c, r));
            third.on_error(policy(c)).fusion_barrier()
        })),
    }
}

fn held(hold: Option<usize>, durable: bool) -> Hold<Row> {
    let held = hold.map_or_else(Hold::default, Hold::rows);
    if durable { held.durable(Row::save, Row::load) } else { held }
}

/// The time of a row that is in the order of time.
fn time(row: &Row) -> Timestamp {
    Timestamp(row.id as i64)
}

const fn leftover(lose: Lose) -> Leftover {
    match lose {
        Lose::Letter => Leftover::DeadLetter,
        Lose::Drop => Leftover::Drop,
    }
}

fn join(name: &str, step: &Step, mut ins: Vec<Rows>) -> Rows {
    let row = format!("{name} row");
    let salt = step.salt;
    let first = ins.remove(0);
    let parts = |j: Joined<Row>| {
        let id = j.parts.iter().flatten().next().map_or(0, |r| r.id);
        Row::of_parts(id, &j.parts)
    };
    let durable = salt.is_multiple_of(2);
    match step.what {
        What::MergeBySeq { hold, durable } => {
            first.merge_by_seq(name, ins, InOrder::within(held(hold, durable)))
        }
        What::MergeByTime { hold, durable } => {
            let timed = |(n, f): (usize, Rows)| f.event_time(&format!("{name} time {n}"), time);
            let first = timed((0, first));
            let ins: Vec<Rows> = (1..).zip(ins).map(timed).collect();
            first.merge_by_time(name, ins, held(hold, durable))
        }
        What::Zip { hold, rest } => {
            let other = ins.remove(0);
            let (left, right) = (held(hold, durable), held(hold, durable));
            let zipped = first.zip_with(name, other, leftover(rest), left, right);
            zipped.map(&row, |(l, r)| Row::of_pair(Some(l), Some(r))).fusion_barrier()
        }
        What::ZipLongest => {
            let other = ins.remove(0);
            let (left, right) = (held(None, durable), held(None, durable));
            let zipped = first.zip_longest(name, other, left, right);
            zipped.map(&row, |(l, r)| Row::of_pair(l, r)).fusion_barrier()
        }
        What::JoinPlace { rest } => {
            let join = Join::by_place(JoinStrategy::AllComplete).rest(leftover(rest));
            first.join(name, ins, join.hold(held(None, durable))).map(&row, parts).fusion_barrier()
        }
        What::JoinSeq { partial, hold, rest } => {
            let join = Join::by_seq(JoinStrategy::AllComplete).rest(leftover(rest));
            let join = join.hold(held(hold, durable));
            let join = if partial { join.partial() } else { join };
            first.join(name, ins, join).map(&row, parts).fusion_barrier()
        }
        What::JoinId { how, partial, hold, poison, rest } => {
            let strategy = match how {
                IdJoin::All => JoinStrategy::AllComplete,
                IdJoin::First => JoinStrategy::FirstWins,
                IdJoin::Quorum(n) => JoinStrategy::Quorum(n),
            };
            let id = move |r: &Row| {
                hurt(poison, salt, r);
                r.id
            };
            let join = Join::by_id(id, strategy).rest(leftover(rest));
            let join = join.hold(held(hold, durable));
            let join = if partial { join.partial() } else { join };
            first
                .join(name, ins, join)
                .on_error(on_error(rest))
                .map(&row, move |j: Joined<Row>| how.row(j.id, &j.parts))
                .fusion_barrier()
        }
        _ => first.merge(name, ins),
    }
}
