//! Named parts, and pipelines made of them by a stored graph.

use super::convert::PART;
use super::data::{GraphSpec, KindSpec, StageSpec};
use crate::draft::{Draft, MakeBody};
use crate::flow::Flow;
use crate::kernel::Raw;
use crate::pipeline::Pipeline;
use crate::validate::PlanFaults;
use flux_io_core::{
    Batch, Body, Budget, Column, ColumnType, ConnectorDescriptor, ErasedSink, ErasedSource, Filled,
    Graph, GraphEdge, IoCx, Operator, PlanFault, Sink, Source, SourceId, StageError, StageKind,
    StageNode,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

/// A stage as the code of a part makes it.
pub struct Part<'env> {
    node: StageNode,
    body: MakeBody<'env>,
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({})", self.node.kind.as_str())
    }
}

type Make<'env> = Box<dyn Fn(&StageSpec, SourceId) -> Result<Part<'env>, String> + 'env>;

/// Parts by name: what stored graphs are made of.
///
/// The closure of a part is called once for each stage that uses it, with the stage's spec, so that
/// it can read its parameters. A text it answers with says why it refuses the stage.
#[derive(Default)]
pub struct Registry<'env> {
    parts: BTreeMap<String, Make<'env>>,
}

impl fmt::Debug for Registry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.parts.keys()).finish()
    }
}

/// Stands before a part while it is described; it is never run.
struct Blank<C>(PhantomData<fn() -> C>);

impl<C: Column> Source for Blank<C> {
    type Col = C;
    async fn fill(&mut self, _: &mut Batch<C>, _: &IoCx) -> Result<Filled, StageError> {
        Ok(Filled::End)
    }
}

impl<'env> Registry<'env> {
    /// Without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn add(
        &mut self,
        part: &str,
        make: impl Fn(&StageSpec, SourceId) -> Result<Part<'env>, String> + 'env,
    ) {
        self.parts.insert(part.to_owned(), Box::new(make));
    }

    /// A part that is a source. A part of the same name is replaced.
    pub fn source<S: Source + 'env>(
        &mut self,
        part: &str,
        make: impl Fn(&StageSpec) -> Result<S, String> + 'env,
    ) {
        self.add(part, move |spec, id| {
            let source = make(spec)?;
            let outs = vec![ColumnType::of::<S::Col>()];
            let connector = source.descriptor();
            let body = Body::Source(Box::new(ErasedSource::new(source, id)));
            Ok(Part::connected(StageKind::Source, Vec::new(), outs, connector, body))
        });
    }

    /// A part that is a sink.
    pub fn sink<S: Sink + 'env>(
        &mut self,
        part: &str,
        make: impl Fn(&StageSpec) -> Result<S, String> + 'env,
    ) {
        self.add(part, move |spec, _| {
            let sink = make(spec)?;
            let ins = vec![ColumnType::of::<S::Col>()];
            let connector = sink.descriptor();
            let body = Body::Sink(Box::new(ErasedSink(sink)));
            Ok(Part::connected(StageKind::Sink, ins, Vec::new(), connector, body))
        });
    }

    /// A part described with the builder's own words, which make one stage: a word with a stage of
    /// its own, or fused ones up to a [`Flow::fusion_barrier`]. Names and error policies are those
    /// of the spec.
    pub fn flow<C: Column, D: Column>(
        &mut self,
        part: &str,
        words: impl Fn(Flow<'env, C, Raw>, &StageSpec) -> Result<Flow<'env, D, Raw>, String> + 'env,
    ) {
        self.add(part, move |spec, _| {
            let pipeline = Pipeline::new();
            let before = pipeline.source("", Blank::<C>(PhantomData));
            let behind = words(before, spec)?;
            let draft = behind.draft.take();
            if let Some(fault) = draft.faults.first() {
                return Err(fault.to_string());
            }
            let stages = draft.graph.nodes.len() - 1;
            match (draft.graph.nodes.into_iter().nth(1), draft.bodies.into_iter().nth(1)) {
                (Some(node), Some(body)) if stages == 1 => Ok(Part { node, body }),
                _ => Err(format!("its words make {stages} stages; a part is one stage")),
            }
        });
    }

    /// A part with any number of ports.
    pub fn node(
        &mut self,
        part: &str,
        ins: Vec<ColumnType>,
        outs: Vec<ColumnType>,
        make: impl Fn(&StageSpec) -> Result<Body<'env>, String> + 'env,
    ) {
        self.add(part, move |spec, _| {
            let body = make(spec)?;
            let mut node = StageNode::new("", spec.kind.into(), ins.clone(), outs.clone());
            node.scalable = matches!(body, Body::Many(_));
            Ok(Part { node, body: Box::new(move |_| body) })
        });
    }

    /// The pipeline of a stored graph.
    ///
    /// # Errors
    /// All faults at once: a part that is not there or refuses (P022), one that is another stage
    /// than the spec says (P023), an edge or dead-letter sink between names that are not there
    /// (P024). Faults of the graph itself are found by [`Pipeline::plan`].
    pub fn pipeline(&self, spec: &GraphSpec) -> Result<Pipeline<'env>, PlanFaults> {
        let mut made = Making { graph: graph_of(spec), bodies: Vec::new(), faults: Vec::new() };
        let mut sources = 0;
        for stage in &spec.stages {
            self.stage(stage, SourceId(sources), &mut made);
            sources += u32::from(stage.kind == KindSpec::Source);
        }
        let names: BTreeMap<&str, usize> =
            spec.stages.iter().enumerate().map(|(i, s)| (s.name.as_str(), i)).collect();
        for e in &spec.edges {
            let find = |name: &str| names.get(name).copied();
            match (find(&e.from), find(&e.to)) {
                (Some(from), Some(to)) => made.graph.edges.push(GraphEdge {
                    from: (from, e.from_port),
                    to: (to, e.to_port),
                    channel: e.channel(),
                }),
                (from, _) => {
                    let name = if from.is_none() { &e.from } else { &e.to };
                    let what = format!(
                        "the edge from `{}` to `{}` needs a stage `{name}`, which is not there",
                        e.from, e.to
                    );
                    made.fault("P024", name, what, "correct the name or add the stage");
                }
            }
        }
        let dead_letters = spec.dead_letters.as_deref().and_then(|name| {
            let found = names.get(name).copied();
            if found.is_none() {
                let what = format!("dead letters go to a stage `{name}`, which is not there");
                made.fault("P024", name, what, "correct the name or add the stage");
            }
            found
        });
        let Making { graph, bodies, faults } = made;
        if !faults.is_empty() {
            return Err(PlanFaults(faults));
        }
        let draft = Draft { graph, bodies, dead_letters, sources, ..Draft::default() };
        Ok(Pipeline::of(&Rc::new(RefCell::new(draft))))
    }

    fn stage(&self, spec: &StageSpec, id: SourceId, made: &mut Making<'env>) {
        let part = spec.part.as_deref().unwrap_or(&spec.name);
        let Some(make) = self.parts.get(part) else {
            let there: Vec<_> = self.parts.keys().map(String::as_str).collect();
            let fix = format!("register it, or name one of: {}", there.join(", "));
            made.fault("P022", &spec.name, format!("there is no part `{part}`"), &fix);
            return;
        };
        match make(spec, id) {
            Ok(part) => {
                check(spec, &part.node, made);
                made.graph.nodes.push(node_of(spec, part.node));
                made.bodies.push(part.body);
            }
            Err(why) => {
                let what = format!("the part `{part}` refuses the stage: {why}");
                made.fault("P022", &spec.name, what, "change what it says is wrong");
            }
        }
    }
}

impl<'env> Part<'env> {
    fn connected(
        kind: StageKind,
        ins: Vec<ColumnType>,
        outs: Vec<ColumnType>,
        connector: ConnectorDescriptor,
        body: Body<'env>,
    ) -> Self {
        let mut node = StageNode::new("", kind, ins, outs);
        node.connector = Some(connector);
        Self { node, body: Box::new(move |_| body) }
    }
}

/// A graph being made from a spec.
struct Making<'env> {
    graph: Graph,
    bodies: Vec<MakeBody<'env>>,
    faults: Vec<PlanFault>,
}

impl Making<'_> {
    fn fault(&mut self, code: &'static str, stage: &str, what: String, fix: &str) {
        let path = vec![stage.to_owned()];
        self.faults.push(PlanFault { code, path, what, fix: fix.to_owned() });
    }
}

fn graph_of(spec: &GraphSpec) -> Graph {
    Graph {
        metadata: spec.metadata.clone(),
        max_rows: spec.max_rows,
        buffer: spec.buffer.into(),
        budget: spec.budget_bytes.map(Budget::bytes),
        ..Graph::default()
    }
}

/// Whether the part is the stage that the spec describes.
fn check(spec: &StageSpec, part: &StageNode, made: &mut Making<'_>) {
    let names = |of: &[ColumnType]| of.iter().map(|c| c.name.to_owned()).collect::<Vec<_>>();
    let words: Vec<&str> = spec.operators.iter().map(|o| o.word.as_str()).collect();
    let own: Vec<&str> = part.operators.iter().map(|o| o.word).collect();
    let mut differs = |of: &str, says: String, is: String| {
        if says != is {
            let what = format!("{of}: the spec says {says}, the part has {is}");
            let fix = "make them agree: change the spec, or register another part";
            made.fault("P023", &spec.name, what, fix);
        }
    };
    differs("kind", StageKind::from(spec.kind).as_str().to_owned(), part.kind.as_str().to_owned());
    differs("input columns", format!("{:?}", spec.ins), format!("{:?}", names(&part.ins)));
    differs("output columns", format!("{:?}", spec.outs), format!("{:?}", names(&part.outs)));
    differs("operators", format!("{words:?}"), format!("{own:?}"));
    differs("parameters", format!("{:?}", spec.params), format!("{:?}", part.params));
}

fn node_of(spec: &StageSpec, part: StageNode) -> StageNode {
    let mut params = part.params;
    if let Some(name) = &spec.part {
        params.insert(PART.to_owned(), name.clone());
    }
    let operator = |(own, said): (Operator, &super::OperatorSpec)| Operator {
        name: said.name.clone(),
        word: own.word,
        on_error: said.on_error.into(),
    };
    StageNode {
        name: spec.name.clone(),
        operators: part.operators.into_iter().zip(&spec.operators).map(operator).collect(),
        parallelism: spec.parallelism.into(),
        hints: spec.hints.clone().into(),
        params,
        buffer: spec.buffer.map(Into::into),
        on_error: spec.on_error.into(),
        accumulation: spec.accumulation.clone().map(Into::into),
        ..part
    }
}
