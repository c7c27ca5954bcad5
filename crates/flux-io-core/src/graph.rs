//! The plan as data: what the builder recorded and planner passes may tune. No closure lives here,
//! so it can be printed, hashed, drawn and compared.

use crate::batch::ColumnType;
use crate::error::OnError;
use crate::flow_control::WhenFull;
use crate::io::ConnectorDescriptor;
use crate::memory::Budget;
use std::collections::BTreeMap;
use std::fmt;

/// What a stage is in the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// Gives rows.
    Source,
    /// One input, one output.
    Transform,
    /// Holds rows by key.
    Accumulator,
    /// One input, several outputs.
    Branch,
    /// Several inputs, one output.
    Merge,
    /// Takes rows.
    Sink,
}

impl StageKind {
    /// The word used in drawings and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Transform => "transform",
            Self::Accumulator => "accumulator",
            Self::Branch => "branch",
            Self::Merge => "merge",
            Self::Sink => "sink",
        }
    }
}

/// How many instances of a stage a run should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Parallelism {
    /// One.
    #[default]
    Sequential,
    /// This many (at least 1).
    Fixed(u32),
    /// As many as the run has workers.
    CpuBound,
    /// Four per worker: instances that mostly wait.
    IoBound,
}

impl Parallelism {
    /// The number of instances on an engine with `workers` workers.
    #[must_use]
    pub fn resolve(self, workers: u32) -> u32 {
        match self {
            Self::Sequential => 1,
            Self::Fixed(n) => n.max(1),
            Self::CpuBound => workers.max(1),
            Self::IoBound => workers.max(1).saturating_mul(4),
        }
    }
}

/// What is declared about a stage, for planners and engines. Never guessed from closures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Same output for the same input, no side effect: may be fused, retried, moved.
    pub pure: bool,
    /// Keeps state between rows.
    pub stateful: bool,
    /// Must not be fused with its neighbours.
    pub fusion_barrier: bool,
    /// Relative CPU weight of a row; 0 = not said.
    pub cpu: u32,
    /// Mostly waits for something outside.
    pub waits: bool,
    /// Needs exact sequence numbers of its input rows: identity by position, an ordered merge,
    /// exact offsets in dead letters. Stages before it then track them through filters.
    pub exact_seq: bool,
    /// Rows out per row in, where it is declared.
    pub rows_out_per_in: Option<f32>,
    /// The engine it prefers, by name.
    pub engine: Option<String>,
    /// Names of policies of this stage that are not functions of the data.
    pub schedule_dependent: Vec<String>,
}

/// The bounded buffer in front of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferPolicy {
    /// Batches it holds.
    pub capacity: usize,
    /// What happens when it is full.
    pub when_full: WhenFull,
}

/// One operator of a fused segment, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its name, unique in the graph.
    pub name: String,
    /// Its word: "map", "filter", …
    pub word: &'static str,
    /// What it does with a row that fails in it.
    pub on_error: OnError,
}

/// What an accumulator was told, as data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccumulationDescriptor {
    /// The policy, word by word.
    pub policy: BTreeMap<String, String>,
    /// Weights of progress, by variable.
    pub progress_weights: BTreeMap<String, f64>,
    /// The engine it prefers, by name.
    pub engine_hint: Option<String>,
}

/// A stage of the graph: one operator, or a segment of fused ones.
#[derive(Clone, Debug)]
pub struct StageNode {
    /// Its name, unique in the graph: the identity of its state.
    pub name: String,
    /// What it is.
    pub kind: StageKind,
    /// Fused operators, in order; none or one for a single stage. Each has an error policy of its
    /// own and answers it; a stage with several is [`OnError::Fail`], and fails when one says so.
    pub operators: Vec<Operator>,
    /// Columns of its input ports.
    pub ins: Vec<ColumnType>,
    /// Columns of its output ports.
    pub outs: Vec<ColumnType>,
    /// How many instances.
    pub parallelism: Parallelism,
    /// Whether several instances can be made.
    pub scalable: bool,
    /// What is declared about it.
    pub hints: Hints,
    /// Parameters of its own, word by word: "lag" of event times, "rows" of a batch.
    pub params: BTreeMap<String, String>,
    /// Buffer in front of it; `None` = the plan's default.
    pub buffer: Option<BufferPolicy>,
    /// What it does with what fails.
    pub on_error: OnError,
    /// For accumulators: the policy as data.
    pub accumulation: Option<AccumulationDescriptor>,
    /// For sources and sinks: what is connected.
    pub connector: Option<ConnectorDescriptor>,
}

impl StageNode {
    /// A stage with one name, a kind and its ports; everything else by default.
    pub fn new(
        name: impl Into<String>,
        kind: StageKind,
        ins: Vec<ColumnType>,
        outs: Vec<ColumnType>,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            operators: Vec::new(),
            ins,
            outs,
            parallelism: Parallelism::Sequential,
            scalable: false,
            hints: Hints::default(),
            params: BTreeMap::new(),
            buffer: None,
            on_error: OnError::Fail,
            accumulation: None,
            connector: None,
        }
    }
}

/// In which order a consumer sees what its producers gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChannelOrdering {
    /// In the order it was given; restored behind parallel instances.
    #[default]
    Ordered,
    /// Per key only.
    PartitionOrdered,
    /// In any order.
    Unordered,
}

/// How rows choose among the instances of the next stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Route {
    /// To the instance of the same number.
    #[default]
    Forward,
    /// By the key's hash: one owner per key.
    Hash,
    /// Batch by batch in turn. Behind several instances an ordered channel cannot deal out again: it
    /// forwards, and the stage has as many instances as the one before it.
    RoundRobin,
}

/// The channel of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelDescriptor {
    /// Buffer set for this very edge; beats the stage's, which beats the plan's (B98).
    pub buffer: Option<BufferPolicy>,
    /// The order kept.
    pub ordering: ChannelOrdering,
    /// How instances are chosen.
    pub route: Route,
}

/// Joins an output port to an input port; both as (stage number, port number).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphEdge {
    /// Where rows come from.
    pub from: (usize, usize),
    /// Where they go.
    pub to: (usize, usize),
    /// How.
    pub channel: ChannelDescriptor,
}

/// A choice a planner made, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The pass that made it.
    pub pass: String,
    /// The stage it concerns; empty for the whole plan.
    pub stage: String,
    /// What was chosen.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What is wrong with a graph, where, and the nearest fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {what} (at {}); {fix}", path.join(" -> "))]
pub struct PlanFault {
    /// Short, stable code: `P001`.
    pub code: &'static str,
    /// Stage names from a source to the fault.
    pub path: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// The nearest fix.
    pub fix: String,
}

/// Stages, edges and what planners decided.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The stages, in the order of description.
    pub nodes: Vec<StageNode>,
    /// The edges.
    pub edges: Vec<GraphEdge>,
    /// Free text about the pipeline; part of its identity.
    pub metadata: BTreeMap<String, String>,
    /// Rows of a full batch.
    pub max_rows: usize,
    /// The buffer of edges where neither edge nor stage says otherwise.
    pub buffer: BufferPolicy,
    /// The memory cap, if there is one.
    pub budget: Option<Budget>,
    /// What planners chose, in order.
    pub decisions: Vec<Decision>,
}

/// Rows of a full batch unless a plan says otherwise: enough to hide a hand-off.
pub const DEFAULT_ROWS: usize = 1024;
/// Batches an edge holds unless a plan says otherwise.
pub const DEFAULT_CAPACITY: usize = 8;

impl Default for Graph {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            edges: Vec::new(),
            metadata: BTreeMap::new(),
            max_rows: DEFAULT_ROWS,
            buffer: BufferPolicy { capacity: DEFAULT_CAPACITY, when_full: WhenFull::Block },
            budget: None,
            decisions: Vec::new(),
        }
    }
}

impl Graph {
    /// The number of the stage called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|n| n.name == name)
    }

    /// The buffer in force on an edge: the edge's, else the receiving stage's, else the plan's.
    #[must_use]
    pub fn effective_buffer(&self, edge: &GraphEdge) -> BufferPolicy {
        let stage = self.nodes.get(edge.to.0).and_then(|n| n.buffer);
        edge.channel.buffer.or(stage).unwrap_or(self.buffer)
    }

    /// Refuses the graph for `engine`, which has no reactor, when a connector needs one.
    ///
    /// # Errors
    /// The first such connector, as fault P011.
    pub fn without_reactor(&self, engine: &str) -> Result<(), PlanFault> {
        let bound = |n: &StageNode| n.connector.as_ref().is_some_and(|c| c.needs_reactor);
        let Some(at) = self.nodes.iter().position(bound) else { return Ok(()) };
        Err(PlanFault {
            code: "P011",
            path: self.path_to(at),
            what: format!(
                "`{}` needs an engine with a reactor and `{engine}` has none",
                self.nodes[at].name
            ),
            fix: "run the plan on the tokio engine, or on a hybrid that has it".into(),
        })
    }

    /// Records a choice.
    pub fn decide(&mut self, pass: &str, stage: &str, what: String, why: String) {
        self.decisions.push(Decision { pass: pass.into(), stage: stage.into(), what, why });
    }

    /// Names of a path that messages show: a plan of 10^5 stages has faults at all of them, perhaps.
    const PATH_NAMES: usize = 16;

    /// One source-to-stage path by names, for messages; starts at a stage without inputs. Of a long
    /// one the last 16 names are given, behind `..`.
    #[must_use]
    pub fn path_to(&self, node: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = node;
        while let Some(n) = self.nodes.get(at).filter(|_| path.len() <= self.nodes.len()) {
            if path.len() == Self::PATH_NAMES {
                path.push("..".to_owned());
                break;
            }
            path.push(n.name.clone());
            match self.edges.iter().find(|e| e.to.0 == at) {
                Some(e) => at = e.from.0,
                None => break,
            }
        }
        path.reverse();
        path
    }

    /// A hash of topology, specs and parameters; what a connector points at is left out, so that a
    /// moved file is still the same graph. It does not depend on the order of description or
    /// on numbers of stages (B61). FNV-1a, 64 bits, over canonical text: stable across versions of
    /// this crate and across machines.
    #[must_use]
    pub fn canonical_hash(&self) -> u64 {
        let mut lines: Vec<String> = self.nodes.iter().map(|n| self.canonical_stage(n)).collect();
        lines.extend(self.edges.iter().map(|e| self.canonical_edge(e)));
        lines.sort();
        lines.extend(self.metadata.iter().map(|(k, v)| format!("meta {k}={v}")));
        lines.push(format!(
            "rows {} buffer {:?} budget {:?}",
            self.max_rows, self.buffer, self.budget
        ));
        let mut h: u64 = 0xCBF2_9CE4_8422_2325;
        for b in lines.iter().flat_map(|l| l.bytes().chain([b'\n'])) {
            h = (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3);
        }
        h
    }

    fn canonical_stage(&self, n: &StageNode) -> String {
        let op = |o: &Operator| format!("{}:{}:{:?}", o.name, o.word, o.on_error);
        let ops: Vec<_> = n.operators.iter().map(op).collect();
        let (ins, outs): (Vec<_>, Vec<_>) =
            (n.ins.iter().map(|c| c.name).collect(), n.outs.iter().map(|c| c.name).collect());
        format!(
            "stage {} {} [{}] {ins:?} {outs:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            n.name,
            n.kind.as_str(),
            ops.join(","),
            n.parallelism,
            n.on_error,
            n.hints,
            n.params,
            n.accumulation,
            n.connector.as_ref().map(|c| c.kind),
        )
    }

    fn canonical_edge(&self, e: &GraphEdge) -> String {
        let name = |i: usize| self.nodes.get(i).map_or("?", |n| n.name.as_str());
        format!(
            "edge {}.{} {}.{} {:?} {:?} {:?}",
            name(e.from.0),
            e.from.1,
            name(e.to.0),
            e.to.1,
            self.effective_buffer(e),
            e.channel.ordering,
            e.channel.route,
        )
    }
}

/// A step of planning: looks at the graph, tunes it, or refuses it. Open to users.
///
/// # Laws
/// - A pass changes execution parameters (parallelism, buffers, batch rows, engine hints) and
///   hints, never what a stage computes.
/// - A pass run twice gives what it gave once.
pub trait PlannerPass {
    /// Its name, for decisions and messages.
    fn name(&self) -> &str;
    /// Tunes or refuses the graph; says every fault, not only the first.
    ///
    /// # Errors
    /// All faults found.
    fn run(&self, graph: &mut Graph) -> Result<(), Vec<PlanFault>>;
}

impl fmt::Debug for dyn PlannerPass + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlannerPass({})", self.name())
    }
}
