//! Execution plans built by hand, stage by stage, without a builder or a planner in between.

use flux_io_core::{
    Body, ChannelDescriptor, Column, ColumnType, DynSink, DynSource, Erased, ErasedSink,
    ErasedSource, ErrorRecord, ExecutionPlan, Graph, GraphEdge, Node, OnError, Parallelism, Sink,
    Source, SourceId, Stage, StageKind, StageNode,
};
use std::sync::Arc;

/// A plan under construction. Stages are numbered in the order they are added; a linear pipeline
/// connects each new stage to the one before with [`HandPlan::then`].
#[derive(Debug, Default)]
pub struct HandPlan {
    /// The graph so far.
    pub graph: Graph,
    bodies: Vec<Body<'static>>,
    dead: Option<usize>,
    sources: u32,
}

impl HandPlan {
    /// An empty plan.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A plan that begins with a source.
    pub fn from<S: Source + 'static>(name: &str, source: S) -> Self {
        let mut plan = Self::new();
        plan.source(name, source);
        plan
    }

    fn add(&mut self, node: StageNode, body: Body<'static>) -> usize {
        self.graph.nodes.push(node);
        self.bodies.push(body);
        self.graph.nodes.len() - 1
    }

    /// Adds a source; gives its number.
    pub fn source<S: Source + 'static>(&mut self, name: &str, source: S) -> usize {
        let id = SourceId(self.sources);
        self.sources += 1;
        let erased = ErasedSource::new(source, id);
        let outs = vec![erased.column()];
        let node = StageNode::new(name, StageKind::Source, Vec::new(), outs);
        self.add(node, Body::Source(Box::new(erased)))
    }

    /// Adds a stage of one instance; gives its number.
    pub fn stage<S: Stage + 'static>(&mut self, name: &str, stage: S) -> usize {
        let (ins, outs) = (column::<S::In>(), column::<S::Out>());
        let node = StageNode::new(name, StageKind::Transform, ins, outs);
        self.add(node, Body::One(Box::new(Erased(stage))))
    }

    /// Adds a stage of `n` instances; gives its number.
    pub fn many<S: Stage + 'static>(
        &mut self,
        name: &str,
        n: u32,
        make: impl Fn(u32) -> S + Send + Sync + 'static,
    ) -> usize {
        let (ins, outs) = (column::<S::In>(), column::<S::Out>());
        let mut node = StageNode::new(name, StageKind::Transform, ins, outs);
        node.parallelism = Parallelism::Fixed(n);
        node.scalable = true;
        let make = move |shard| -> Box<dyn Node> { Box::new(Erased(make(shard))) };
        self.add(node, Body::Many(Arc::new(make)))
    }

    /// Adds a node with these ports; gives its number.
    pub fn node<N: Node + 'static>(
        &mut self,
        name: &str,
        ins: Vec<ColumnType>,
        outs: Vec<ColumnType>,
        node: N,
    ) -> usize {
        let kind = if ins.len() > 1 { StageKind::Merge } else { StageKind::Branch };
        self.add(StageNode::new(name, kind, ins, outs), Body::One(Box::new(node)))
    }

    /// Adds a sink; gives its number.
    pub fn sink<S: Sink + 'static>(&mut self, name: &str, sink: S) -> usize {
        let erased = ErasedSink(sink);
        let ins = vec![erased.column()];
        let node = StageNode::new(name, StageKind::Sink, ins, Vec::new());
        self.add(node, Body::Sink(Box::new(erased)))
    }

    /// Adds the sink of dead letters.
    pub fn dead_letters<S: Sink<Col = Vec<ErrorRecord>> + 'static>(&mut self, name: &str, sink: S) {
        self.dead = Some(self.sink(name, sink));
    }

    /// Joins output 0 of `from` to input 0 of `to`.
    pub fn join(&mut self, from: usize, to: usize) {
        self.edge((from, 0), (to, 0), ChannelDescriptor::default());
    }

    /// Joins two ports by a channel.
    ///
    /// # Panics
    /// When the ports are not there or of different columns.
    pub fn edge(&mut self, from: (usize, usize), to: (usize, usize), channel: ChannelDescriptor) {
        let (out, input) =
            (self.graph.nodes[from.0].outs[from.1], self.graph.nodes[to.0].ins[to.1]);
        assert!(out == input, "`{}` does not fit `{}`", out.name, input.name);
        self.graph.edges.push(GraphEdge { from, to, channel });
    }

    /// Adds a stage behind the last one.
    #[must_use]
    pub fn then<S: Stage + 'static>(mut self, name: &str, stage: S) -> Self {
        let from = self.last();
        let to = self.stage(name, stage);
        self.join(from, to);
        self
    }

    /// Adds a sink behind the last stage.
    #[must_use]
    pub fn into<S: Sink + 'static>(mut self, name: &str, sink: S) -> Self {
        let from = self.last();
        let to = self.sink(name, sink);
        self.join(from, to);
        self
    }

    /// Sets the error policy of the stage added last.
    #[must_use]
    pub fn on_error(mut self, policy: OnError) -> Self {
        if let Some(n) = self.graph.nodes.last_mut() {
            n.on_error = policy;
        }
        self
    }

    /// Sets the capacity of every edge that says nothing else.
    #[must_use]
    pub const fn capacity(mut self, batches: usize) -> Self {
        self.graph.buffer.capacity = batches;
        self
    }

    /// The number of the stage added last.
    #[must_use]
    pub const fn last(&self) -> usize {
        self.bodies.len().saturating_sub(1)
    }

    /// The plan.
    #[must_use]
    pub fn plan(self) -> ExecutionPlan<'static> {
        ExecutionPlan { graph: self.graph, bodies: self.bodies, dead_letters: self.dead }
    }
}

/// One port of column `C`.
#[must_use]
pub fn column<C: Column>() -> Vec<ColumnType> {
    vec![ColumnType::of::<C>()]
}
