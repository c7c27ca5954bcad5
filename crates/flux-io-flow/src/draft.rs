//! What the builder records: the graph as data, and for each stage how its body is made once the
//! whole plan is known. Flows, ends and pipelines share one draft.

use flux_io_core::{
    Body, BufferPolicy, ChannelDescriptor, Graph, GraphEdge, Hints, OnError, PlanFault,
    PlannerPass, StageNode,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// What the body of a stage may depend on: how the stage stands in the finished graph.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) node: &'a StageNode,
    /// Somebody downstream needs exact sequence numbers.
    pub(crate) track: bool,
    /// A join by number downstream asks how far each of its inputs has come.
    pub(crate) tell: bool,
    /// All inputs are branches of one flow that tell how far they have come, each at most so many
    /// numbers late.
    pub(crate) in_step: Option<u64>,
    /// Inputs that may hold each other up: they have a stage before them in common, or another way
    /// between them.
    pub(crate) entangled: bool,
}

/// Makes a body, once.
pub(crate) type MakeBody<'env> = Box<dyn FnOnce(&Place<'_>) -> Body<'env> + 'env>;

/// A description in progress.
#[derive(Default)]
pub(crate) struct Draft<'env> {
    pub(crate) graph: Graph,
    pub(crate) bodies: Vec<MakeBody<'env>>,
    pub(crate) passes: Vec<Box<dyn PlannerPass + 'env>>,
    pub(crate) dead_letters: Option<usize>,
    pub(crate) sources: u32,
    /// Faults of the description that the graph cannot show.
    pub(crate) faults: Vec<PlanFault>,
    /// Disorder of event-time stages, which options behind them may still set.
    pub(crate) event_times: BTreeMap<usize, Rc<RefCell<crate::Disorder>>>,
    /// Names of the pieces that are being described, from the outside.
    pub(crate) pieces: Vec<String>,
    /// Buffers of edges that do not exist yet, by the port they leave.
    pub(crate) out_buffers: BTreeMap<(usize, usize), EdgeBuffer>,
}

/// A buffer for the edge behind a port, as far as it was said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EdgeBuffer {
    pub(crate) capacity: Option<usize>,
    pub(crate) when_full: Option<flux_io_core::WhenFull>,
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({} stages, {} edges)", self.graph.nodes.len(), self.graph.edges.len())
    }
}

/// A draft as flows share it.
pub(crate) type Shared<'env> = Rc<RefCell<Draft<'env>>>;

/// An operator of the open segment.
#[derive(Clone, Debug)]
pub(crate) struct OpDraft {
    pub(crate) name: String,
    pub(crate) word: &'static str,
    pub(crate) on_error: OnError,
    pub(crate) hints: Hints,
    /// Whether a state between rows can be written; `None` = there is no state.
    pub(crate) durable: Option<bool>,
}

impl OpDraft {
    pub(crate) fn new(name: &str, word: &'static str) -> Self {
        let (on_error, hints) = (OnError::Fail, Hints::default());
        Self { name: name.to_owned(), word, on_error, hints, durable: None }
    }
}

impl<'env> Draft<'env> {
    /// Adds a stage; gives its number.
    pub(crate) fn add(&mut self, node: StageNode, body: MakeBody<'env>) -> usize {
        self.graph.nodes.push(node);
        self.bodies.push(body);
        self.graph.nodes.len() - 1
    }

    /// A name as it is inside the piece that is being described.
    pub(crate) fn named(&self, name: &str) -> String {
        let mut full = self.pieces.join("/");
        if !full.is_empty() {
            full.push('/');
        }
        full.push_str(name);
        full
    }

    /// A stage called as it is inside the piece that is being described.
    pub(crate) fn within(&self, mut node: StageNode) -> StageNode {
        if !self.pieces.is_empty() {
            node.name = self.named(&node.name);
            node.operators.iter_mut().for_each(|o| o.name = self.named(&o.name));
        }
        node
    }

    /// Joins an output port to an input port; a buffer asked for behind the output applies here.
    pub(crate) fn link(
        &mut self,
        from: (usize, usize),
        to: (usize, usize),
        how: ChannelDescriptor,
    ) {
        let asked = self.out_buffers.remove(&from);
        let buffer = asked.map_or(how.buffer, |b| Some(self.buffer(to, b)));
        self.graph.edges.push(GraphEdge { from, to, channel: ChannelDescriptor { buffer, ..how } });
    }

    /// What is not said of an edge's buffer comes from the stage behind it, else from the plan.
    fn buffer(&self, to: (usize, usize), asked: EdgeBuffer) -> BufferPolicy {
        let stage = self.graph.nodes.get(to.0).and_then(|n| n.buffer).unwrap_or(self.graph.buffer);
        BufferPolicy {
            capacity: asked.capacity.unwrap_or(stage.capacity),
            when_full: asked.when_full.unwrap_or(stage.when_full),
        }
    }

    pub(crate) fn fault(&mut self, code: &'static str, at: usize, what: String, fix: &str) {
        let path = self.graph.path_to(at);
        self.faults.push(PlanFault { code, path, what, fix: fix.to_owned() });
    }
}

/// Hints of a segment: what holds of all its operators, or of any, or in sum.
pub(crate) fn joint_hints(ops: &[OpDraft]) -> Hints {
    let mut all = Hints { pure: !ops.is_empty(), rows_out_per_in: Some(1.0), ..Hints::default() };
    for h in ops.iter().map(|o| &o.hints) {
        all.pure &= h.pure;
        all.stateful |= h.stateful;
        all.fusion_barrier |= h.fusion_barrier;
        all.waits |= h.waits;
        all.exact_seq |= h.exact_seq;
        all.cpu += h.cpu;
        all.rows_out_per_in = all.rows_out_per_in.zip(h.rows_out_per_in).map(|(a, b)| a * b);
        all.engine = h.engine.clone().or(all.engine);
        all.schedule_dependent.extend(h.schedule_dependent.iter().cloned());
    }
    all
}
