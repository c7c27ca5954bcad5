//! A graph as it is stored. Every type here is the written form of the one in `flux_io_core` that
//! has its name without `Spec`, and stands apart from it: a change there does not change files.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// A stored graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// [`VERSION`].
    pub version: u32,
    /// Free text about the pipeline.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Rows of a full batch.
    pub max_rows: usize,
    /// The buffer of edges where neither edge nor stage says otherwise.
    pub buffer: BufferSpec,
    /// The memory cap in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_bytes: Option<u64>,
    /// The stage that takes dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<String>,
    /// The stages, by name.
    pub stages: Vec<StageSpec>,
    /// The edges, by the names and ports they join.
    pub edges: Vec<EdgeSpec>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// Its name.
    pub name: String,
    /// The part of the registry that makes it, where it is not called like the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What it is.
    pub kind: KindSpec,
    /// Fused operators, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<OperatorSpec>,
    /// Columns of its input ports, by the names of their types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ins: Vec<String>,
    /// Columns of its output ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outs: Vec<String>,
    /// How many instances.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parallelism: ParallelismSpec,
    /// What is declared about it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hints: HintsSpec,
    /// Parameters of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// The buffer in front of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<BufferSpec>,
    /// What it does with what fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_error: OnErrorSpec,
    /// For accumulators: the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<AccumulationSpec>,
}

fn is_default<T: Default + PartialEq>(x: &T) -> bool {
    *x == T::default()
}

/// What a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of `StageKind`, where they are explained")]
pub enum KindSpec {
    Source,
    Transform,
    Accumulator,
    Branch,
    Merge,
    Sink,
}

/// An operator of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSpec {
    /// Its name.
    pub name: String,
    /// Its word: "map", "filter", …
    pub word: String,
    /// What it does with a row that fails in it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_error: OnErrorSpec,
}

/// How many instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of `Parallelism`, where they are explained")]
pub enum ParallelismSpec {
    #[default]
    Sequential,
    Fixed(u32),
    CpuBound,
    IoBound,
}

/// What is declared about a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the words of `Hints`, where they are explained")]
pub struct HintsSpec {
    #[serde(skip_serializing_if = "is_default")]
    pub pure: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub stateful: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub fusion_barrier: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub waits: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub exact_seq: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub rows_out_per_in: Option<f32>,
    #[serde(skip_serializing_if = "is_default")]
    pub engine: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub schedule_dependent: Vec<String>,
}

/// A bounded buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BufferSpec {
    /// Batches it holds.
    pub capacity: usize,
    /// What happens when it is full.
    pub when_full: WhenFullSpec,
}

/// What happens when a buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of `WhenFull`, where they are explained")]
pub enum WhenFullSpec {
    Block,
    DropOldest,
    DropNewest,
}

/// What a stage does with what fails in it. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the words of `OnError` and `Retry`, where they are explained")]
pub enum OnErrorSpec {
    #[default]
    Fail,
    DeadLetter,
    Skip,
    Retry {
        attempts: u32,
        first_ns: u64,
        factor: u32,
        longest_ns: u64,
        jitter_percent: u32,
        then: GiveUpSpec,
    },
}

/// What follows the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of `GiveUp`, where they are explained")]
pub enum GiveUpSpec {
    Fail,
    DeadLetter,
    Skip,
}

/// What an accumulator was told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccumulationSpec {
    /// The policy, word by word.
    pub policy: BTreeMap<String, String>,
    /// Weights of progress, by variable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub progress_weights: BTreeMap<String, f64>,
    /// The engine it prefers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_hint: Option<String>,
}

/// An edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeSpec {
    /// The stage it leaves.
    pub from: String,
    /// The output port it leaves by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from_port: usize,
    /// The stage it leads to.
    pub to: String,
    /// The input port it leads to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub to_port: usize,
    /// How rows choose among instances.
    #[serde(default, skip_serializing_if = "is_default")]
    pub route: RouteSpec,
    /// The order kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ordering: OrderingSpec,
    /// Buffer set for this very edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<BufferSpec>,
}

/// How rows choose among the instances of the next stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of `Route`, where they are explained")]
pub enum RouteSpec {
    #[default]
    Forward,
    Hash,
    RoundRobin,
}

/// In which order a consumer sees what its producers gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of `ChannelOrdering`, where they are explained")]
pub enum OrderingSpec {
    #[default]
    Ordered,
    PartitionOrdered,
    Unordered,
}
