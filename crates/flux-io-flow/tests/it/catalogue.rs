//! The plan row of the bad-input catalogue: named graphs, each with its exact faults.

mod branches;

use flux_io_core::{
    AccumulationDescriptor, BufferPolicy, ChannelDescriptor, ChannelOrdering, ColumnType, GiveUp,
    Graph, GraphEdge, OnError, Operator, Parallelism, Retry, Route, StageKind, StageNode, WhenFull,
};
use flux_io_flow::validate;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

fn column() -> ColumnType {
    ColumnType::of::<Vec<u64>>()
}

fn node(name: &str, kind: StageKind, ins: usize, outs: usize) -> StageNode {
    StageNode::new(name, kind, vec![column(); ins], vec![column(); outs])
}

fn edge(from: (usize, usize), to: (usize, usize)) -> GraphEdge {
    GraphEdge { from, to, channel: ChannelDescriptor::default() }
}

/// A source, a transform, a sink.
fn line() -> Graph {
    Graph {
        nodes: vec![
            node("source", StageKind::Source, 0, 1),
            node("middle", StageKind::Transform, 1, 1),
            node("end", StageKind::Sink, 1, 0),
        ],
        edges: vec![edge((0, 0), (1, 0)), edge((1, 0), (2, 0))],
        ..Graph::default()
    }
}

/// A source, a branch to two transforms, a merge, a sink.
fn diamond() -> Graph {
    Graph {
        nodes: vec![
            node("source", StageKind::Source, 0, 1),
            node("split", StageKind::Branch, 1, 2),
            node("left", StageKind::Transform, 1, 1),
            node("right", StageKind::Transform, 1, 1),
            node("merge", StageKind::Merge, 2, 1),
            node("end", StageKind::Sink, 1, 0),
        ],
        edges: vec![
            edge((0, 0), (1, 0)),
            edge((1, 0), (2, 0)),
            edge((1, 1), (3, 0)),
            edge((2, 0), (4, 0)),
            edge((3, 0), (4, 1)),
            edge((4, 0), (5, 0)),
        ],
        ..Graph::default()
    }
}

/// A chain of `n` transforms behind a source, before a sink.
fn chain(n: usize) -> Graph {
    let mut nodes = vec![node("source", StageKind::Source, 0, 1)];
    nodes.extend((0..n).map(|i| node(&format!("t{i}"), StageKind::Transform, 1, 1)));
    nodes.push(node("end", StageKind::Sink, 1, 0));
    let edges = (0..=n).map(|i| edge((i, 0), (i + 1, 0))).collect();
    Graph { nodes, edges, ..Graph::default() }
}

fn accumulator(n: &mut StageNode, words: &[(&str, &str)]) {
    let policy = words.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    n.kind = StageKind::Accumulator;
    n.accumulation = Some(AccumulationDescriptor { policy, ..Default::default() });
}

fn dropping() -> Option<BufferPolicy> {
    Some(BufferPolicy { capacity: 4, when_full: WhenFull::DropOldest })
}

fn empty_buffer() -> Option<BufferPolicy> {
    Some(BufferPolicy { capacity: 0, when_full: WhenFull::Block })
}

fn never() -> OnError {
    OnError::Retry { retry: Retry { attempts: 0, ..Retry::default() }, then: GiveUp::Skip }
}

fn changed(mut graph: Graph, change: impl FnOnce(&mut Graph)) -> Graph {
    assert!(validate(&graph, None).is_ok());
    change(&mut graph);
    graph
}

type Case = (&'static str, Graph);

fn names() -> Vec<Case> {
    let line = |change: fn(&mut Graph)| changed(line(), change);
    vec![
        ("two stages of one name", line(|g| g.nodes[1].name = "end".into())),
        (
            "three stages of one name",
            line(|g| g.nodes.iter_mut().for_each(|n| n.name = "x".into())),
        ),
        (
            "operator named as a stage",
            line(|g| {
                let named = |name: &str| Operator {
                    name: name.into(),
                    word: "map",
                    on_error: OnError::Fail,
                };
                g.nodes[1].operators = vec![named("end"), named("b")];
            }),
        ),
        (
            "operator of the same segment",
            line(|g| {
                let named = |name: &str| Operator {
                    name: name.into(),
                    word: "map",
                    on_error: OnError::Fail,
                };
                g.nodes[1].operators = vec![named("a"), named("a")];
            }),
        ),
        ("empty name", line(|g| g.nodes[1].name.clear())),
        (
            "empty name of an operator",
            line(|g| {
                let named = |name: &str| Operator {
                    name: name.into(),
                    word: "map",
                    on_error: OnError::Fail,
                };
                g.nodes[1].operators = vec![named("a"), named("")];
            }),
        ),
        ("name of control characters", line(|g| g.nodes[1].name = "a\n\u{1b}[31m".into())),
    ]
}

fn shapes() -> Vec<Case> {
    let line = |change: fn(&mut Graph)| changed(line(), change);
    let diamond = |change: fn(&mut Graph)| changed(diamond(), change);
    vec![
        ("nothing at all", Graph::default()),
        (
            "no source",
            line(|g| {
                g.nodes[0].kind = StageKind::Transform;
            }),
        ),
        (
            "a sink alone",
            Graph { nodes: vec![node("end", StageKind::Sink, 1, 0)], ..Graph::default() },
        ),
        (
            "a source alone",
            Graph { nodes: vec![node("source", StageKind::Source, 0, 1)], ..Graph::default() },
        ),
        ("output leads nowhere", line(|g| g.edges.truncate(1))),
        ("input without a flow", line(|g| g.edges = vec![edge((1, 0), (2, 0))])),
        ("unreachable stage", line(|g| g.nodes.push(node("alone", StageKind::Sink, 1, 0)))),
        (
            "unreachable part",
            line(|g| {
                g.nodes.push(node("far", StageKind::Transform, 1, 1));
                g.nodes.push(node("farther", StageKind::Sink, 1, 0));
                g.edges.push(edge((3, 0), (4, 0)));
            }),
        ),
        ("sink without an input", line(|g| g.nodes.push(node("odd", StageKind::Sink, 0, 0)))),
        (
            "branch with an open output",
            diamond(|g| {
                g.nodes[1].outs.push(column());
            }),
        ),
        ("merge with an open input", diamond(|g| g.nodes[4].ins.push(column()))),
        ("merge of one flow", line(|g| g.nodes[1].kind = StageKind::Merge)),
        (
            "branch to no flow",
            line(|g| {
                g.nodes[1].kind = StageKind::Branch;
                g.nodes[1].outs.clear();
                g.edges.retain(|e| e.from.0 != 1);
            }),
        ),
        ("two edges to one input", diamond(|g| g.edges[4].to.1 = 0)),
        ("two edges from one output", diamond(|g| g.edges[2].from.1 = 0)),
        ("one edge twice", line(|g| g.edges.push(edge((0, 0), (1, 0))))),
        ("edge from no stage", line(|g| g.edges[0].from.0 = 9)),
        ("edge to no stage", line(|g| g.edges[1].to.0 = 9)),
        ("edge from no port", line(|g| g.edges[0].from.1 = 3)),
        ("edge to no port", line(|g| g.edges[1].to.1 = usize::MAX)),
        ("types differ", line(|g| g.nodes[1].ins[0] = ColumnType::of::<Vec<u8>>())),
        (
            "types differ at one input of a merge",
            diamond(|g| g.nodes[4].ins[1] = ColumnType::of::<Vec<i8>>()),
        ),
        (
            "types differ twice",
            line(|g| {
                g.nodes[1].ins[0] = ColumnType::of::<Vec<u8>>();
                g.nodes[1].outs[0] = ColumnType::of::<Vec<u8>>();
            }),
        ),
        (
            "stage leads to itself",
            line(|g| {
                g.nodes[1] = node("middle", StageKind::Merge, 2, 2);
                g.edges.push(edge((1, 1), (1, 1)));
            }),
        ),
        (
            "cycle of two",
            diamond(|g| {
                g.edges[3] = edge((2, 0), (1, 0));
            }),
        ),
        (
            "cycle behind a branch",
            diamond(|g| {
                g.nodes[1].ins.push(column());
                g.nodes[4].outs.push(column());
                g.edges.push(edge((4, 1), (1, 1)));
            }),
        ),
        (
            "two cycles",
            line(|g| {
                for (a, b) in [("a", "b"), ("c", "d")] {
                    let i = g.nodes.len();
                    g.nodes.push(node(a, StageKind::Transform, 1, 1));
                    g.nodes.push(node(b, StageKind::Transform, 1, 1));
                    g.edges.extend([edge((i, 0), (i + 1, 0)), edge((i + 1, 0), (i, 0))]);
                }
            }),
        ),
        (
            "only a cycle",
            Graph {
                nodes: vec![
                    node("a", StageKind::Transform, 1, 1),
                    node("b", StageKind::Transform, 1, 1),
                ],
                edges: vec![edge((0, 0), (1, 0)), edge((1, 0), (0, 0))],
                ..Graph::default()
            },
        ),
    ]
}

fn values() -> Vec<Case> {
    let line = |change: fn(&mut Graph)| changed(line(), change);
    vec![
        ("batches of no rows", line(|g| g.max_rows = 0)),
        ("buffers of no batches", line(|g| g.buffer.capacity = 0)),
        ("buffer before a stage of no batches", line(|g| g.nodes[1].buffer = empty_buffer())),
        ("buffer of an edge of no batches", line(|g| g.edges[1].channel.buffer = empty_buffer())),
        (
            "batches of a stage of no rows",
            line(|g| {
                g.nodes[1].params.insert("rows".into(), "0".into());
            }),
        ),
        (
            "no instances",
            line(|g| {
                g.nodes[1].scalable = true;
                g.nodes[1].parallelism = Parallelism::Fixed(0);
            }),
        ),
        ("parallel and not to be copied", line(|g| g.nodes[1].parallelism = Parallelism::Fixed(4))),
        (
            "parallel by processors and not to be copied",
            line(|g| g.nodes[1].parallelism = Parallelism::CpuBound),
        ),
        ("retry without attempts", line(|g| g.nodes[1].on_error = never())),
        (
            "retry of an operator without attempts",
            line(|g| {
                let op =
                    |name: &str, on_error| Operator { name: name.into(), word: "map", on_error };
                g.nodes[1].operators = vec![op("a", OnError::Fail), op("b", never())];
            }),
        ),
        ("keys that never leave", line(|g| accumulator(&mut g.nodes[1], &[("on_end", "Keep")]))),
        ("accumulator without a policy", line(|g| g.nodes[1].kind = StageKind::Accumulator)),
        (
            "drops before complete results only",
            line(|g| {
                accumulator(&mut g.nodes[1], &[("on_expire", "Drop"), ("expire_after", "1s")]);
                g.edges[0].channel.buffer = dropping();
            }),
        ),
        (
            "drops far before complete results only",
            line(|g| {
                g.nodes[2].ins = vec![column()];
                g.nodes[2].outs = vec![column()];
                accumulator(&mut g.nodes[2], &[("on_expire", "Drop"), ("expire_after", "1s")]);
                g.nodes.push(node("sink", StageKind::Sink, 1, 0));
                g.edges.push(edge((2, 0), (3, 0)));
                g.nodes[1].buffer = dropping();
            }),
        ),
        (
            "drops before exact numbers",
            line(|g| {
                g.nodes[2].hints.exact_seq = true;
                g.buffer.when_full = WhenFull::DropNewest;
            }),
        ),
        (
            "drops where the order is restored",
            line(|g| {
                g.nodes[1].scalable = true;
                g.nodes[1].parallelism = Parallelism::Fixed(2);
                g.edges[0].channel.route = Route::RoundRobin;
                g.edges[1].channel.ordering = ChannelOrdering::Ordered;
                g.edges[1].channel.buffer = dropping();
            }),
        ),
        (
            "many faults at once",
            line(|g| {
                g.max_rows = 0;
                g.nodes[1].name.clear();
                g.nodes[1].on_error = never();
                g.nodes[1].ins[0] = ColumnType::of::<Vec<u8>>();
                g.nodes.push(node("end", StageKind::Merge, 1, 1));
            }),
        ),
    ]
}

fn large() -> Vec<Case> {
    let whole = chain(100_000);
    let (mut cycle, mut open) = (whole.clone(), whole.clone());
    cycle.edges[0].from.0 = 100_000;
    cycle.edges.pop();
    open.edges.pop();
    vec![
        ("a hundred thousand stages", whole),
        ("a cycle of a hundred thousand stages", cycle),
        ("a hundred thousand stages without an end", open),
    ]
}

/// Rows 54, 64, 65, 66. Every broken graph is told with the rule, the stages on the path and the
/// nearest fix, and a hundred thousand stages take no longer than they must.
#[test]
fn plan_catalogue() {
    let cases: Vec<Case> = [names(), shapes(), values(), large()].into_iter().flatten().collect();
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut log = String::new();
    for (name, graph) in &cases {
        writeln!(log, "== {name}").unwrap();
        match validate(graph, None) {
            Ok(()) => writeln!(log, "valid").unwrap(),
            Err(faults) => writeln!(log, "{faults}").unwrap(),
        }
    }
    golden("plan.txt", &log);
}

/// Compares with `tests/it/golden/{name}`; `FLUX_IO_BLESS=1` writes it.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("FLUX_IO_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (n, (a, b)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(a, b, "{name}, line {}", n + 1);
    }
    assert_eq!(expected.lines().count(), found.lines().count(), "{name}");
}

/// The codes of faults in the sources below a folder.
#[expect(clippy::unwrap_used, reason = "a helper of a test")]
fn codes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let quoted = text.split('"').filter(|t| {
                t.len() == 4 && t.starts_with('P') && t[1..].bytes().all(|b| b.is_ascii_digit())
            });
            found.extend(quoted.map(str::to_owned));
        }
    }
}

/// Every code that a fault of a plan has, in any library, has its line in the documentation.
#[test]
fn every_code_is_explained() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&crates).unwrap() {
        let folder = entry.unwrap().path().join("src");
        if folder.is_dir() {
            codes(&folder, &mut found);
        }
    }
    let doc = std::fs::read_to_string(crates.join("../docs/errors.md")).unwrap();
    let explained = doc.lines().filter_map(|l| l.strip_prefix("| P")?.get(..3));
    let explained: BTreeSet<_> = explained.map(|n| format!("P{n}")).collect();
    assert_eq!(explained, found);
}
