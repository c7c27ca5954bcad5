//! Between a graph and its stored form.

use super::data::{
    AccumulationSpec, BufferSpec, EdgeSpec, GiveUpSpec, GraphSpec, HintsSpec, KindSpec,
    OnErrorSpec, OperatorSpec, OrderingSpec, ParallelismSpec, RouteSpec, StageSpec, VERSION,
    WhenFullSpec,
};
use flux_io_core::{
    AccumulationDescriptor, BufferPolicy, ChannelDescriptor, ChannelOrdering, ExecutionPlan,
    GiveUp, Graph, GraphEdge, Hints, OnError, Parallelism, Retry, Route, StageKind, StageNode,
    WhenFull,
};
use std::time::Duration;

/// An enum and its written form, word for word, both ways.
macro_rules! words {
    ($($core:ident = $spec:ident { $($word:ident),* $(,)? })*) => { $(
        impl From<$core> for $spec {
            fn from(x: $core) -> Self {
                match x { $($core::$word => Self::$word),* }
            }
        }
        impl From<$spec> for $core {
            fn from(x: $spec) -> Self {
                match x { $($spec::$word => Self::$word),* }
            }
        }
    )* };
}
words! {
    StageKind = KindSpec { Source, Transform, Accumulator, Branch, Merge, Sink }
    WhenFull = WhenFullSpec { Block, DropOldest, DropNewest }
    GiveUp = GiveUpSpec { Fail, DeadLetter, Skip }
    Route = RouteSpec { Forward, Hash, RoundRobin }
    ChannelOrdering = OrderingSpec { Ordered, PartitionOrdered, Unordered }
}

/// A struct and its written form, field for field, both ways.
macro_rules! fields {
    ($($core:ident = $spec:ident { $($field:ident),* $(,)? })*) => { $(
        impl From<$core> for $spec {
            fn from(x: $core) -> Self {
                Self { $($field: x.$field.into()),* }
            }
        }
        impl From<$spec> for $core {
            fn from(x: $spec) -> Self {
                Self { $($field: x.$field.into()),* }
            }
        }
    )* };
}
fields! {
    BufferPolicy = BufferSpec { capacity, when_full }
    AccumulationDescriptor = AccumulationSpec { policy, progress_weights, engine_hint }
    Hints = HintsSpec {
        pure, stateful, fusion_barrier, cpu, waits, exact_seq, rows_out_per_in, engine,
        schedule_dependent,
    }
}

impl From<Parallelism> for ParallelismSpec {
    fn from(p: Parallelism) -> Self {
        match p {
            Parallelism::Sequential => Self::Sequential,
            Parallelism::Fixed(n) => Self::Fixed(n),
            Parallelism::CpuBound => Self::CpuBound,
            Parallelism::IoBound => Self::IoBound,
        }
    }
}

impl From<ParallelismSpec> for Parallelism {
    fn from(p: ParallelismSpec) -> Self {
        match p {
            ParallelismSpec::Sequential => Self::Sequential,
            ParallelismSpec::Fixed(n) => Self::Fixed(n),
            ParallelismSpec::CpuBound => Self::CpuBound,
            ParallelismSpec::IoBound => Self::IoBound,
        }
    }
}

/// In nanoseconds; more than `u64` holds (584 years) is that much.
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

impl From<OnError> for OnErrorSpec {
    fn from(on: OnError) -> Self {
        match on {
            OnError::Fail => Self::Fail,
            OnError::DeadLetter => Self::DeadLetter,
            OnError::Skip => Self::Skip,
            OnError::Retry { retry, then } => Self::Retry {
                attempts: retry.attempts,
                first_ns: nanos(retry.first),
                factor: retry.factor,
                longest_ns: nanos(retry.longest),
                jitter_percent: retry.jitter_percent,
                then: then.into(),
            },
        }
    }
}

impl From<OnErrorSpec> for OnError {
    fn from(on: OnErrorSpec) -> Self {
        match on {
            OnErrorSpec::Fail => Self::Fail,
            OnErrorSpec::DeadLetter => Self::DeadLetter,
            OnErrorSpec::Skip => Self::Skip,
            OnErrorSpec::Retry { attempts, first_ns, factor, longest_ns, jitter_percent, then } => {
                let (first, longest) =
                    (Duration::from_nanos(first_ns), Duration::from_nanos(longest_ns));
                let retry = Retry { attempts, first, factor, longest, jitter_percent };
                Self::Retry { retry, then: then.into() }
            }
        }
    }
}

/// The parameter that names the part of a stage made from a spec.
pub(super) const PART: &str = "part";

impl From<&StageNode> for StageSpec {
    fn from(n: &StageNode) -> Self {
        let mut params = n.params.clone();
        let operators = n.operators.iter().map(|o| OperatorSpec {
            name: o.name.clone(),
            word: o.word.to_owned(),
            on_error: o.on_error.into(),
        });
        Self {
            name: n.name.clone(),
            part: params.remove(PART),
            kind: n.kind.into(),
            operators: operators.collect(),
            ins: n.ins.iter().map(|c| c.name.to_owned()).collect(),
            outs: n.outs.iter().map(|c| c.name.to_owned()).collect(),
            parallelism: n.parallelism.into(),
            hints: n.hints.clone().into(),
            params,
            buffer: n.buffer.map(Into::into),
            on_error: n.on_error.into(),
            accumulation: n.accumulation.clone().map(Into::into),
        }
    }
}

impl GraphSpec {
    /// The stored form of a plan. Decisions of planners are not part of it: they are made again.
    #[must_use]
    pub fn of_plan(plan: &ExecutionPlan<'_>) -> Self {
        Self::of(&plan.graph, plan.dead_letters)
    }

    /// The stored form of a graph whose dead letters go to the stage of this number.
    #[must_use]
    pub fn of(g: &Graph, dead_letters: Option<usize>) -> Self {
        let name = |i: usize| g.nodes.get(i).map_or_else(String::new, |n| n.name.clone());
        let edge = |e: &GraphEdge| EdgeSpec {
            from: name(e.from.0),
            from_port: e.from.1,
            to: name(e.to.0),
            to_port: e.to.1,
            route: e.channel.route.into(),
            ordering: e.channel.ordering.into(),
            buffer: e.channel.buffer.map(Into::into),
        };
        Self {
            version: VERSION,
            metadata: g.metadata.clone(),
            max_rows: g.max_rows,
            buffer: g.buffer.into(),
            budget_bytes: g.budget.map(|b| b.0.get()),
            dead_letters: dead_letters.map(name),
            stages: g.nodes.iter().map(StageSpec::from).collect(),
            edges: g.edges.iter().map(edge).collect(),
        }
        .sorted()
    }

    /// Stages and edges by their names: the order of description does not show.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.stages.sort_by(|a, b| a.name.cmp(&b.name));
        self.edges.sort_by(|a, b| {
            let key = |e: &EdgeSpec| (e.from.clone(), e.from_port, e.to.clone(), e.to_port);
            key(a).cmp(&key(b))
        });
        self
    }
}

impl EdgeSpec {
    pub(super) fn channel(&self) -> ChannelDescriptor {
        ChannelDescriptor {
            buffer: self.buffer.map(Into::into),
            ordering: self.ordering.into(),
            route: self.route.into(),
        }
    }
}
