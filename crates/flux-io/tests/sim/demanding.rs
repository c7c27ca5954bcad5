//! A diamond with a merge that takes its inputs in turn, over edges of one batch, with barriers in
//! flight: what deadlocks first when a wake or a credit is lost.

use super::data::Log;
use super::{Oracle, Scenario, Size, ended_well};
use flux_io::core::{
    AnyBatch, Batch, Body, ChannelDescriptor, ColumnType, ExecutionPlan, Node, Outbox, StageCx,
    StageError, StageKind, StageNode, Step, WrongColumn,
};
use flux_io::flow::Pipeline;
use flux_io_sim::{Fault, Faults, Swarm};
use std::collections::VecDeque;

pub(crate) const SCENARIO: Scenario = Scenario { name: "demanding", make: plan, faults };

fn faults() -> Faults {
    Faults::harmless().with(Fault::Drain).with(Fault::TransientFill)
}

/// Gives every row to both ports.
struct Both;

impl Node for Both {
    fn on_batch(
        &mut self,
        _: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = input.get::<Vec<u64>>()?.col.clone();
        for o in outs {
            o.push_batch(AnyBatch::new(Batch::of(rows.clone())));
        }
        Ok(Step::Done)
    }
}

/// Pairs the rows of its inputs; takes an input only while it has no row of it.
#[derive(Default)]
struct Zip {
    held: [VecDeque<u64>; 2],
    ended: [bool; 2],
}

impl Zip {
    fn pair(&mut self, out: &mut Outbox) -> Result<(), WrongColumn> {
        let mut out = out.typed::<Vec<(u64, u64)>>()?;
        while let (Some(a), Some(b)) = (self.held[0].front(), self.held[1].front()) {
            out.batch().col.push((*a, *b));
            out.seal_if_full();
            self.held.iter_mut().for_each(|h| _ = h.pop_front());
        }
        Ok(())
    }
}

impl Node for Zip {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.held[port].extend(input.get_mut::<Vec<u64>>()?.col.drain(..));
        self.pair(&mut outs[0])?;
        Ok(Step::Done)
    }

    fn on_input_end(
        &mut self,
        port: usize,
        _: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.ended[port] = true;
        Ok(Step::Done)
    }

    fn accepts(&self, port: usize) -> bool {
        self.held[port].is_empty() || self.ended[1 - port]
    }
}

/// Merges two sorted inputs; needs the head of both to know the smaller.
#[derive(Default)]
struct Sorted(Zip);

impl Sorted {
    fn merge(&mut self, out: &mut Outbox) -> Result<(), WrongColumn> {
        let Zip { held, ended } = &mut self.0;
        let mut out = out.typed::<Vec<(u64, u64)>>()?;
        loop {
            let port = match (held[0].front(), held[1].front()) {
                (Some(a), Some(b)) => usize::from(a > b),
                (Some(_), None) if ended[1] => 0,
                (None, Some(_)) if ended[0] => 1,
                _ => return Ok(()),
            };
            out.batch().col.extend(held[port].pop_front().map(|x| (x, port as u64)));
            out.seal_if_full();
        }
    }
}

impl Node for Sorted {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.held[port].extend(input.get_mut::<Vec<u64>>()?.col.drain(..));
        self.merge(&mut outs[0])?;
        Ok(Step::Done)
    }

    fn on_input_end(
        &mut self,
        port: usize,
        outs: &mut [Outbox],
        _: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.0.ended[port] = true;
        self.merge(&mut outs[0])?;
        Ok(Step::Done)
    }

    fn accepts(&self, port: usize) -> bool {
        self.0.accepts(port)
    }
}

/// How often a number comes from the right where the merge is a sorted one.
const fn copies_of(x: u64) -> usize {
    (x % 4) as usize
}

fn plan(swarm: &mut Swarm, size: Size) -> (ExecutionPlan<'static>, Oracle) {
    let n = u64::from(swarm.pick(size.0, size.1));
    let sorted = swarm.pick(0, 1) == 1;
    let (room, right_room) = (swarm.pick(1, 8) as usize, swarm.pick(1, 8) as usize);
    let copies = swarm.pick(1, 3);
    let fresh = vec![n, n + 1];
    let source = super::data::Feed::new((0..n).collect()).slow(swarm.delays());
    let source = swarm.source("rows", source).fresh(fresh);
    let log = Log::<(u64, u64)>::default();
    let pipeline = Pipeline::new();
    let rows = pipeline.source("rows", source);
    let c = ColumnType::of::<Vec<u64>>();
    let node = StageNode::new("both", StageKind::Branch, vec![c], vec![c, c]);
    let one = ChannelDescriptor::default();
    let both = pipeline.attach(node, Body::One(Box::new(Both)), vec![rows.into_port()], one);
    let mut branches = both.into_iter().map(|p| p.into_flow::<Vec<u64>>().expect("numbers"));
    let (Some(a), Some(b)) = (branches.next(), branches.next()) else { unreachable!() };
    let a = a.map("left", |x| x).parallel(copies).buffer(room);
    let b =
        b.flat_map("right", move |x| std::iter::repeat_n(x, if sorted { copies_of(x) } else { 1 }));
    let b = b.buffer(right_room);
    let pairs = ColumnType::of::<Vec<(u64, u64)>>();
    let node = StageNode::new("zip", StageKind::Merge, vec![c, c], vec![pairs]);
    let zip: Box<dyn Node> =
        if sorted { Box::new(Sorted::default()) } else { Box::new(Zip::default()) };
    let mut out = pipeline.attach(node, Body::One(zip), vec![a.into_port(), b.into_port()], one);
    let sink = swarm.sink("out", log.clone()).traced(|p: &(u64, u64)| p.0);
    let end = out.remove(0).into_flow::<Vec<(u64, u64)>>().expect("pairs").sink("out", sink);
    let plan = end.plan().expect("a plan without faults");
    let mut plan = plan;
    super::retried(&mut plan);
    let oracle: Oracle = Box::new(move |run| {
        ended_well(run)?;
        let got = log.rows();
        let want: Vec<(u64, u64)> = if sorted {
            let each = |x| std::iter::once((x, 0)).chain(std::iter::repeat_n((x, 1), copies_of(x)));
            (0..run.items).flat_map(each).collect()
        } else {
            (0..run.items).map(|x| (x, x)).collect()
        };
        if run.effects.of(Fault::Drain) == 0 && run.items != n + 2 {
            return Err(format!("{} of {} rows were read", run.items, n + 2));
        }
        if got == want { Ok(()) } else { Err(format!("{} pairs of {}", got.len(), want.len())) }
    });
    (plan, oracle)
}
