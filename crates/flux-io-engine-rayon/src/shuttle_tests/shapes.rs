//! Small pipelines of each shape, every stage a task of its own, and what they must give.

use flux_io_core::{
    AnyBatch, ChannelDescriptor, ExecutionPlan, Node, Outbox, Route, StageCx, StageError, Step,
};
use flux_io_testkit::conformance::engine::{Split, Tape, Zip, by_row};
use flux_io_testkit::doubles::{CollectSink, Shelf, VecSource};
use flux_io_testkit::plans::{HandPlan, column};

/// Rows of each source.
pub(super) const ROWS: u64 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One source, one stage, one sink.
    Chain,
    /// Two sources into one stage.
    Merge,
    /// One source that is split to two sinks.
    Branch,
    /// One source that is split, and merged again as rows come.
    Diamond,
    /// One source that is split, and joined again row by row: each side waits for the other.
    Zip,
    /// The same, but one side gets all its rows before the other gets one: as many as the edge
    /// holds besides the one that the join has taken. The join must let the sender on first.
    Skewed,
    /// Two instances of a stage, fed in turn, put back in order.
    Parallel,
}

pub(super) const SHAPES: [Shape; 7] = [
    Shape::Chain,
    Shape::Merge,
    Shape::Branch,
    Shape::Diamond,
    Shape::Zip,
    Shape::Skewed,
    Shape::Parallel,
];

/// A pipeline of some shape, to be run once.
pub(super) struct Pipeline {
    pub(super) plan: ExecutionPlan<'static>,
    pub(super) sinks: Vec<Shelf<u64>>,
    pub(super) sources: &'static [&'static str],
    /// The stage that every row passes, once, where there is one: it snapshots how many did.
    pub(super) fence: Option<&'static str>,
}

/// Rows below `.0` to port 0, others to port 1.
struct Halves(u64);

impl Node for Halves {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for row in input.get_mut::<Vec<u64>>()?.col.drain(..) {
            let mut out = outs[usize::from(row >= self.0)].typed::<Vec<u64>>()?;
            out.batch().col.push(row);
            out.seal_if_full();
        }
        Ok(Step::Done)
    }
}

fn source(plan: &mut HandPlan, name: &str, rows: u64) -> usize {
    plan.source(name, VecSource::new(0..rows).ready())
}

fn fence(plan: &mut HandPlan) -> usize {
    plan.stage("fence", Tape::new().0)
}

fn sink(plan: &mut HandPlan, name: &str, from: (usize, usize)) -> Shelf<u64> {
    let (sink, shelf) = CollectSink::<u64>::new();
    let to = plan.sink(name, sink);
    plan.edge(from, (to, 0), ChannelDescriptor::default());
    shelf
}

fn split(plan: &mut HandPlan, from: usize, by: impl Node + 'static) -> usize {
    let outs = [column::<Vec<u64>>(), column::<Vec<u64>>()].concat();
    let to = plan.node("split", column::<Vec<u64>>(), outs, by);
    plan.join(from, to);
    to
}

fn zip(plan: &mut HandPlan, split: usize) -> usize {
    let ins = [column::<Vec<u64>>(), column::<Vec<u64>>()].concat();
    let zip = plan.node("zip", ins, column::<Vec<u64>>(), Zip::default());
    for port in 0..2 {
        plan.edge((split, port), (zip, port), ChannelDescriptor::default());
    }
    zip
}

/// Rows of each side of [`Shape::Skewed`].
const fn side(capacity: usize) -> u64 {
    capacity as u64 + 1
}

impl Shape {
    pub(super) fn pipeline(self, capacity: usize) -> Pipeline {
        let mut p = HandPlan::new().capacity(capacity);
        let a = source(&mut p, "a", if self == Self::Skewed { 2 * side(capacity) } else { ROWS });
        let mut sources: &'static [&'static str] = &["a"];
        let mut fenced = Some("fence");
        let sinks = match self {
            Self::Chain => {
                let fence = fence(&mut p);
                p.join(a, fence);
                vec![sink(&mut p, "out", (fence, 0))]
            }
            Self::Merge => {
                let b = source(&mut p, "b", ROWS);
                let fence = fence(&mut p);
                p.join(a, fence);
                p.join(b, fence);
                sources = &["a", "b"];
                vec![sink(&mut p, "out", (fence, 0))]
            }
            Self::Branch => {
                let split = split(&mut p, a, Split);
                fenced = None;
                vec![sink(&mut p, "even", (split, 0)), sink(&mut p, "odd", (split, 1))]
            }
            Self::Diamond => {
                let split = split(&mut p, a, Split);
                let fence = fence(&mut p);
                for port in 0..2 {
                    p.edge((split, port), (fence, 0), ChannelDescriptor::default());
                }
                vec![sink(&mut p, "out", (fence, 0))]
            }
            Self::Zip => {
                let split = split(&mut p, a, Split);
                let zip = zip(&mut p, split);
                fenced = None;
                vec![sink(&mut p, "out", (zip, 0))]
            }
            Self::Skewed => {
                let split = split(&mut p, a, Halves(side(capacity)));
                let zip = zip(&mut p, split);
                fenced = None;
                vec![sink(&mut p, "out", (zip, 0))]
            }
            Self::Parallel => {
                let twins = p.many("twins", 2, |_| by_row(|row, out| out.push(row)));
                let in_turn = ChannelDescriptor { route: Route::RoundRobin, ..Default::default() };
                p.edge((a, 0), (twins, 0), in_turn);
                let fence = fence(&mut p);
                p.join(twins, fence);
                vec![sink(&mut p, "out", (fence, 0))]
            }
        };
        Pipeline { plan: p.plan(), sinks, sources, fence: fenced }
    }

    /// What the sinks hold when everything was read.
    pub(super) fn expected(self, capacity: usize) -> Vec<Vec<u64>> {
        let rows = 0..ROWS;
        match self {
            Self::Chain | Self::Diamond | Self::Parallel => vec![rows.collect()],
            Self::Merge => vec![rows.flat_map(|r| [r, r]).collect()],
            Self::Branch => (0..2).map(|k| rows.clone().filter(|r| r % 2 == k).collect()).collect(),
            Self::Zip => vec![rows.step_by(2).map(|r| r * 1_000 + r + 1).collect()],
            Self::Skewed => {
                let n = side(capacity);
                vec![(0..n).map(|r| r * 1_000 + r + n).collect()]
            }
        }
    }

    /// Rows that come out when `read` rows were accepted; those without a partner do not.
    pub(super) const fn through(self, capacity: usize, read: u64) -> u64 {
        match self {
            Self::Zip => read / 2,
            Self::Skewed => read.saturating_sub(side(capacity)),
            _ => read,
        }
    }

    /// Whether the order of the rows at a sink is promised.
    pub(super) const fn ordered(self) -> bool {
        !matches!(self, Self::Merge | Self::Diamond)
    }
}
