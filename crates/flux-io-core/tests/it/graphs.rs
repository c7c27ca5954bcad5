//! The plan as data: kinds, parallelism, buffers, orderings, the hash, connectors, decorators.

use crate::kit::{check, with_cx};
use flux_io_core::{
    AccumulationDescriptor, AnyBatch, Batch, Body, BufferPolicy, ChannelDescriptor,
    ChannelOrdering, CheckpointToken, Column, ColumnType, ConnectorDescriptor, DynSource, Erased,
    ErasedSink, ErasedSource, ErrorKind, ExecutionPlan, Filled, Graph, GraphEdge, IoCx, Node, Out,
    Outbox, Parallelism, Route, RowError, Sink, Source, SourceId, Stage, StageCx, StageDecorator,
    StageError, StageId, StageKind, StageNode, Step, Validator, WhenFull,
};
use proptest::prelude::any;
use std::sync::Arc;

fn ty() -> ColumnType {
    ColumnType::of::<Vec<u8>>()
}

/// `read -> sum -> write`, and a side branch `sum -> copy`.
fn graph() -> Graph {
    let channel = ChannelDescriptor::default();
    Graph {
        nodes: vec![
            StageNode::new("read", StageKind::Source, vec![], vec![ty()]),
            StageNode::new("sum", StageKind::Accumulator, vec![ty()], vec![ty(), ty()]),
            StageNode::new("write", StageKind::Sink, vec![ty()], vec![]),
            StageNode::new("copy", StageKind::Sink, vec![ty()], vec![]),
        ],
        edges: vec![
            GraphEdge { from: (0, 0), to: (1, 0), channel },
            GraphEdge { from: (1, 0), to: (2, 0), channel },
            GraphEdge { from: (1, 1), to: (3, 0), channel },
        ],
        ..Graph::default()
    }
}

/// Row 11. Identity is typed: a stage is no source, and prints as what it is.
#[test]
fn identities_are_typed() {
    assert_ne!(std::any::TypeId::of::<StageId>(), std::any::TypeId::of::<SourceId>());
    assert_eq!(
        (StageId(3).to_string(), SourceId(3).to_string()),
        ("stage 3".into(), "source 3".into())
    );
    assert!(StageId(1) < StageId(2));
    assert_eq!(graph().find("sum"), Some(1));
    assert_eq!(graph().find("none"), None);
}

/// Row 12. There is one list of six kinds, each with its word.
#[test]
fn b109_six_kinds_have_six_words() {
    use StageKind as K;
    let all = [K::Source, K::Transform, K::Accumulator, K::Branch, K::Merge, K::Sink];
    let words = all.map(K::as_str);
    assert_eq!(words, ["source", "transform", "accumulator", "branch", "merge", "sink"]);
}

/// Row 13. For planning there are three sorts, told by ports alone: no input, no output, or both;
/// accumulators, branches and merges are transforms with ports.
#[test]
fn planning_sees_ports() {
    let node = |k, i: usize, o: usize| StageNode::new("x", k, vec![ty(); i], vec![ty(); o]);
    for (kind, ins, outs) in [
        (StageKind::Source, 0, 1),
        (StageKind::Transform, 1, 1),
        (StageKind::Accumulator, 1, 1),
        (StageKind::Branch, 1, 3),
        (StageKind::Merge, 3, 1),
        (StageKind::Sink, 1, 0),
    ] {
        let n = node(kind, ins, outs);
        let plain = match (n.ins.is_empty(), n.outs.is_empty()) {
            (true, _) => StageKind::Source,
            (_, true) => StageKind::Sink,
            _ => StageKind::Transform,
        };
        let transform = !matches!(kind, StageKind::Source | StageKind::Sink);
        assert_eq!(plain == StageKind::Transform, transform, "{kind:?}");
        assert_eq!((n.ins.len(), n.outs.len()), (ins, outs));
    }
}

/// Row 48. A new stage says nothing but its name, kind and ports; everything else is the default.
#[test]
fn a_stage_says_what_it_was_told() {
    let n = StageNode::new("s", StageKind::Transform, vec![ty()], vec![ty()]);
    assert_eq!((n.parallelism, n.on_error), (Parallelism::Sequential, flux_io_core::OnError::Fail));
    assert!(n.buffer.is_none() && n.accumulation.is_none() && n.connector.is_none() && !n.scalable);
    assert!(!n.hints.pure && !n.hints.stateful, "purity is declared, never guessed");
}

/// Rows 49, 50. A channel keeps order and goes straight on unless it is told otherwise.
#[test]
fn orderings_are_three() {
    let c = ChannelDescriptor::default();
    assert_eq!((c.ordering, c.route, c.buffer), (ChannelOrdering::Ordered, Route::Forward, None));
    let all =
        [ChannelOrdering::Ordered, ChannelOrdering::PartitionOrdered, ChannelOrdering::Unordered];
    let hash = |o| {
        let mut g = graph();
        g.edges[0].channel.ordering = o;
        g.canonical_hash()
    };
    assert!(all.windows(2).all(|w| hash(w[0]) != hash(w[1])), "an ordering is part of the plan");
}

/// Row 51. What an accumulator was told is in the graph as data, weights and engine hint included,
/// and part of its hash.
#[test]
fn accumulation_is_described_and_hashed() {
    let mut d = AccumulationDescriptor::default();
    let mut hashes = Vec::new();
    let mut note = |d: &AccumulationDescriptor| {
        let mut g = graph();
        g.nodes[1].accumulation = Some(d.clone());
        hashes.push(g.canonical_hash());
    };
    note(&d);
    d.policy.insert("max_items".into(), "200".into());
    note(&d);
    d.progress_weights.insert("limit".into(), 0.25);
    note(&d);
    d.progress_weights.insert("limit".into(), 0.5);
    note(&d);
    d.engine_hint = Some("rayon".into());
    note(&d);
    hashes.push(graph().canonical_hash());
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 6, "each of them is another plan");
}

/// Row 52. A hint resolves against the workers of the run, to at least one instance.
#[test]
fn parallelism_resolves() {
    use Parallelism as P;
    for workers in [0, 1, 8] {
        assert_eq!(P::Sequential.resolve(workers), 1);
        assert_eq!(P::Fixed(3).resolve(workers), 3);
        assert_eq!(P::Fixed(0).resolve(workers), 1);
        assert_eq!(P::CpuBound.resolve(workers), workers.max(1));
        assert_eq!(P::IoBound.resolve(workers), 4 * workers.max(1));
    }
    assert_eq!(P::IoBound.resolve(u32::MAX), u32::MAX);
    check(52, &(any::<u32>(), any::<u32>()), |(n, w)| {
        for p in [P::Sequential, P::Fixed(n), P::CpuBound, P::IoBound] {
            assert!(p.resolve(w) >= 1);
        }
    });
}

/// Row 53. One capacity is in force on an edge: its own, else its receiver's, else the plan's.
#[test]
fn b098_edge_beats_stage_beats_plan() {
    let buffer = |capacity, when_full| BufferPolicy { capacity, when_full };
    let (edge, stage) = (buffer(1, WhenFull::DropNewest), buffer(2, WhenFull::DropOldest));
    let mut g = graph();
    g.buffer = buffer(3, WhenFull::Block);
    let in_force = |g: &Graph| g.effective_buffer(&g.edges[1]);
    assert_eq!(in_force(&g), g.buffer);
    g.nodes[1].buffer = Some(edge);
    assert_eq!(in_force(&g), g.buffer, "the sender's buffer is in front of the sender");
    g.nodes[2].buffer = Some(stage);
    assert_eq!(in_force(&g), stage);
    g.edges[1].channel.buffer = Some(edge);
    assert_eq!(in_force(&g), edge);
    g.nodes[2].buffer = None;
    assert_eq!(in_force(&g), edge);
}

/// A graph with its stages described in another order.
fn reordered(g: &Graph, order: &[usize]) -> Graph {
    let new_of = |old: usize| order.iter().position(|&o| o == old).unwrap();
    let mut r = g.clone();
    r.nodes = order.iter().map(|&o| g.nodes[o].clone()).collect();
    for e in &mut r.edges {
        e.from.0 = new_of(e.from.0);
        e.to.0 = new_of(e.to.0);
    }
    r.edges.rotate_left(order[0] % g.edges.len());
    r
}

/// Rows 47, 67, 68. The hash is of topology, specs and parameters: any order of description gives
/// the same, every change of one of them another; where a connector points does not count.
#[test]
fn b061_the_hash_is_canonical() {
    let mut g = graph();
    g.nodes[0].connector = Some(ConnectorDescriptor::new("file", "a.json"));
    let h = g.canonical_hash();
    for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        assert_eq!(reordered(&g, &order).canonical_hash(), h);
    }
    let mut moved = g.clone();
    moved.nodes[0].connector = Some(ConnectorDescriptor::new("file", "b.json"));
    moved.decide("pass", "sum", "x".into(), "y".into());
    assert_eq!(moved.canonical_hash(), h, "a moved file is the same graph");
    let changes: [fn(&mut Graph); 12] = [
        |g| g.nodes[1].name = "total".into(),
        |g| g.nodes[1].kind = StageKind::Transform,
        |g| g.nodes[1].outs[1] = ColumnType::of::<Vec<i8>>(),
        |g| g.nodes[1].parallelism = Parallelism::Fixed(2),
        |g| g.nodes[1].on_error = flux_io_core::OnError::Skip,
        |g| g.nodes[1].hints.pure = true,
        |g| drop(g.nodes[1].params.insert("lag".into(), "3".into())),
        |g| g.edges[2].from.1 = 0,
        |g| g.edges[2].channel.route = Route::Hash,
        |g| g.buffer.capacity += 1,
        |g| g.max_rows += 1,
        |g| drop(g.metadata.insert("team".into(), "a".into())),
    ];
    let mut hashes: Vec<u64> = changes
        .iter()
        .map(|change| {
            let mut other = g.clone();
            change(&mut other);
            other.canonical_hash()
        })
        .chain([h])
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 13);
}

/// Row 61. A path names the stages from a source on, also in a graph that is a circle.
#[test]
fn paths_name_their_stages() {
    let mut g = graph();
    assert_eq!(g.path_to(3), ["read", "sum", "copy"]);
    assert_eq!(g.path_to(9), Vec::<String>::new());
    g.edges[0].from = (1, 1);
    assert!(g.path_to(2).len() <= 5, "a circle has an end");
}

/// Row 36. A connector says its kind, its target and its abilities, none by default.
#[test]
fn connectors_are_described() {
    let d = ConnectorDescriptor::new("ndjson file", "in.json");
    assert_eq!((d.kind, d.target.as_str()), ("ndjson file", "in.json"));
    assert!(!d.seekable && !d.transactional && !d.needs_reactor);
    let source = ErasedSource::new(Numbers(0), SourceId(0));
    assert_eq!(source.descriptor(), ConnectorDescriptor::new("numbers", "0.."));
}

/// Gives the numbers from its place on.
struct Numbers(u8);

impl Source for Numbers {
    type Col = Vec<u8>;

    async fn fill(&mut self, out: &mut Batch<Vec<u8>>, cx: &IoCx) -> Result<Filled, StageError> {
        self.try_fill(out, cx.max_rows()).unwrap_or(Ok(Filled::End))
    }
    fn try_fill(
        &mut self,
        out: &mut Batch<Vec<u8>>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        for _ in 0..max_rows {
            out.col.push(self.0);
            self.0 += 1;
        }
        Some(Ok(Filled::More))
    }
    fn position(&self) -> Option<CheckpointToken> {
        Some(CheckpointToken(vec![self.0]))
    }
    fn seek(&mut self, token: &CheckpointToken) -> Result<(), StageError> {
        self.0 = *token.0.first().ok_or_else(|| StageError::permanent("empty position"))?;
        Ok(())
    }
    fn descriptor(&self) -> ConnectorDescriptor {
        ConnectorDescriptor::new("numbers", "0..")
    }
}

fn read(s: &mut impl DynSource, rows: usize) -> (Vec<u8>, Vec<u64>) {
    let mut out = (s.column().new)();
    assert!(matches!(s.try_fill(&mut out, rows), Some(Ok(Filled::More))));
    let b = out.get::<Vec<u8>>().unwrap();
    (b.col.clone(), (0..b.len()).map(|i| b.meta.seq.at(i)).collect())
}

/// Row 37. A checkpoint token names the place behind the rows given, their numbers included: a
/// source that goes there continues exactly, with the sequence numbers it would have had.
#[test]
fn a_token_continues_exactly() {
    let mut a = ErasedSource::new(Numbers(0), SourceId(1));
    assert_eq!(read(&mut a, 3), (vec![0, 1, 2], vec![0, 1, 2]));
    let token = a.position().unwrap();
    let rest = read(&mut a, 4);
    let mut b = ErasedSource::new(Numbers(0), SourceId(1));
    b.seek(&token).unwrap();
    assert_eq!(read(&mut b, 4), rest);
    assert_eq!(rest.1, [3, 4, 5, 6]);
}

/// Row 37. A token that no source wrote is refused, and nothing has moved.
#[test]
fn a_foreign_token_is_refused() {
    let mut s = ErasedSource::new(Numbers(5), SourceId(0));
    let e = s.seek(&CheckpointToken(vec![1; 7])).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Serialization);
    assert!(s.seek(&CheckpointToken(vec![0; 8])).is_err());
    assert_eq!(read(&mut s, 1), (vec![5], vec![0]));
}

/// Row 14. A source refuses a batch of another column with a typed error.
#[test]
fn a_source_refuses_a_wrong_batch() {
    let mut s = ErasedSource::new(Numbers(0), SourceId(0));
    let mut wrong = AnyBatch::new(Batch::of(vec![1u64]));
    let e = s.try_fill(&mut wrong, 3).unwrap().unwrap_err();
    assert_eq!((e.kind, wrong.len()), (ErrorKind::Plan, 1));
}

struct Nowhere;

impl Sink for Nowhere {
    type Col = Vec<u8>;

    async fn write(&mut self, batch: &mut Batch<Vec<u8>>, _cx: &IoCx) -> Result<(), StageError> {
        batch.col.clear();
        Ok(())
    }
}

struct Pass;

impl Stage for Pass {
    type In = Vec<u8>;
    type Out = Vec<u8>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u8>>,
        out: &mut Out<'_, Vec<u8>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        out.swap(input);
        Ok(Step::Done)
    }
}

/// Adds what it was told to every row, then asks the node it stands in for.
struct Plus {
    node: Box<dyn Node>,
    add: u8,
}

impl Node for Plus {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        input.get_mut::<Vec<u8>>()?.col.iter_mut().for_each(|x| *x += self.add);
        self.node.on_batch(port, input, outs, cx)
    }
}

struct Stamp(Arc<std::sync::Mutex<Vec<String>>>);

impl StageDecorator for Stamp {
    fn decorate<'env>(
        &self,
        stage: &StageNode,
        node: Box<dyn Node + 'env>,
    ) -> Box<dyn Node + 'env> {
        self.0.lock().unwrap().push(stage.name.clone());
        node
    }
}

fn plan() -> ExecutionPlan<'static> {
    let nodes = vec![
        StageNode::new("in", StageKind::Source, vec![], vec![ty()]),
        StageNode::new("one", StageKind::Transform, vec![ty()], vec![ty()]),
        StageNode::new("many", StageKind::Transform, vec![ty()], vec![ty()]),
        StageNode::new("out", StageKind::Sink, vec![ty()], vec![]),
    ];
    let bodies = vec![
        Body::Source(Box::new(ErasedSource::new(Numbers(0), SourceId(0)))),
        Body::One(Box::new(Plus { node: Box::new(Erased(Pass)), add: 1 })),
        Body::Many(Arc::new(|shard| {
            Box::new(Plus { node: Box::new(Erased(Pass)), add: shard as u8 })
        })),
        Body::Sink(Box::new(ErasedSink(Nowhere))),
    ];
    let graph = Graph { nodes, ..Graph::default() };
    ExecutionPlan { graph, bodies, dead_letters: None }
}

fn run(node: &mut dyn Node) -> Vec<u8> {
    let mut outs = [Outbox::new(ty(), 9)];
    let mut input = AnyBatch::new(Batch::of(vec![10u8, 20]));
    with_cx(|cx| node.on_batch(0, &mut input, &mut outs, cx).unwrap());
    match outs[0].pop() {
        Some(flux_io_core::Parcel::Batch(b)) => b.get::<Vec<u8>>().unwrap().col.clone(),
        other => panic!("{other:?}"),
    }
}

/// Row 258. A decorator wraps single stages at once and every instance of the others, tells each
/// by its stage, leaves sources and sinks alone, and one that only looks changes no output.
#[test]
fn decorators_wrap_stages_and_leave_ends() {
    let seen = Arc::default();
    let plan = plan().decorated(Stamp(Arc::clone(&seen)));
    assert_eq!(*seen.lock().unwrap(), ["one"]);
    let mut bodies = plan.bodies.into_iter();
    assert!(matches!(bodies.next(), Some(Body::Source(_))));
    let Some(Body::One(mut one)) = bodies.next() else { panic!("still a single stage") };
    assert_eq!(run(&mut *one), [11, 21]);
    let Some(Body::Many(make)) = bodies.next() else { panic!("still many") };
    assert_eq!(run(&mut *make(0)), [10, 20]);
    assert_eq!(run(&mut *make(3)), [13, 23], "the instance's number arrives");
    assert_eq!(*seen.lock().unwrap(), ["one", "many", "many"]);
    assert!(matches!(bodies.next(), Some(Body::Sink(_))));
    assert_eq!(plan.graph.nodes.len(), 4);
}

/// Adds one, as a decorator of any stage.
struct AddOne;

impl StageDecorator for AddOne {
    fn decorate<'env>(
        &self,
        _stage: &StageNode,
        node: Box<dyn Node + 'env>,
    ) -> Box<dyn Node + 'env> {
        Box::new(Around(node))
    }
}

struct Around<'env>(Box<dyn Node + 'env>);

impl Node for Around<'_> {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        input.get_mut::<Vec<u8>>()?.col.iter_mut().for_each(|x| *x *= 2);
        self.0.on_batch(port, input, outs, cx)
    }
}

/// Row 258. Decorators nest: the last one sees the rows first.
#[test]
fn decorators_nest() {
    let plan = plan().decorated(AddOne).decorated(AddOne);
    let Some(Body::One(mut one)) = plan.bodies.into_iter().nth(1) else { panic!("a stage") };
    assert_eq!(run(&mut *one), [41, 81]);
}

/// Rows 14, 26. A node that gets a wrong column, or ports of one, or none, answers with a typed error.
#[test]
fn b004_a_node_refuses_wrong_ports() {
    let mut node = Erased(Pass);
    let wrong = ColumnType::of::<Vec<u64>>();
    let kind = |e: Result<Step, StageError>| e.unwrap_err().kind;
    let seen = with_cx(|cx| {
        let mut right = AnyBatch::new(Batch::of(vec![1u8]));
        let mut other = AnyBatch::new(Batch::of(vec![1u64]));
        [
            kind(node.on_batch(0, &mut other, &mut [Outbox::new(ty(), 1)], cx)),
            kind(node.on_batch(0, &mut right, &mut [Outbox::new(wrong, 1)], cx)),
            kind(node.on_batch(0, &mut right, &mut [], cx)),
            kind(node.on_end(&mut [], cx)),
        ]
    });
    assert_eq!(seen, [ErrorKind::Plan; 4]);
}

/// Counts and refuses rows that are not even, by a type of its own.
struct Even;

impl Validator<Vec<u8>> for Even {
    fn check(&mut self, row: <Vec<u8> as Column>::Ref<'_>) -> Result<(), RowError> {
        if row.is_multiple_of(2) { Ok(()) } else { Err(RowError::poison(format!("{row} is odd"))) }
    }
}

/// Row 260. A validator is a type or a closure; it sees a row by reference and says what is wrong.
#[test]
fn validators_say_what_is_wrong() {
    fn closure(row: &u8) -> Result<(), RowError> {
        Even.check(row)
    }
    let mut both: [Box<dyn Validator<Vec<u8>>>; 2] = [Box::new(Even), Box::new(closure)];
    for v in &mut both {
        assert!(v.check(&4).is_ok());
        let e = v.check(&5).unwrap_err();
        assert_eq!((e.cause, e.what.as_str()), (flux_io_core::DeadCause::Poison, "5 is odd"));
    }
}
