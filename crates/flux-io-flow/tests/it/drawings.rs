//! Plans in words and as drawings: golden texts.

use crate::kit::{Hole, hole, nothing};
use flux_io_core::{
    AccumulationDescriptor, ChannelDescriptor, ColumnType, GiveUp, Graph, GraphEdge, OnError,
    Parallelism, Retry, RowError, StageKind, StageNode, Timestamp, WhenFull,
};
use flux_io_flow::stages::Pass;
use flux_io_flow::{Batching, Ended, Explain, Keyed, Pipeline};
use std::time::Duration;

fn pipeline() -> Ended<'static> {
    let p =
        Pipeline::new().metadata("owner", "tests").max_rows(512).default_buffer(4, WhenFull::Block);
    let retry = OnError::Retry { retry: Retry::default(), then: GiveUp::DeadLetter };
    let describe = |n: &mut StageNode| {
        n.kind = StageKind::Accumulator;
        let policy = [("on_end".to_owned(), "Partial".to_owned())].into();
        n.accumulation = Some(AccumulationDescriptor { policy, ..Default::default() });
        n.hints.schedule_dependent.push("new-key gate".to_owned());
    };
    p.source("orders", nothing::<Vec<i64>>())
        .filter("positive", |x| *x > 0)
        .pure()
        .try_map("check", |x| if *x < 9 { Ok(*x) } else { Err(RowError::poison("nine")) })
        .on_error(retry)
        .parallel(2)
        .event_time("time", |x| Timestamp(*x))
        .lag(Duration::from_secs(1))
        .idle_after(Duration::from_secs(5))
        .key_by("key", |x| x % 3)
        .keyed_stage("assemble", describe, |_| Pass::default())
        .parallelism(Parallelism::CpuBound)
        .buffer(2)
        .batch("chunk", Batching::Hybrid { rows: 100, linger: Duration::from_millis(20) })
        .sink("out", hole::<Vec<i64>>())
}

/// Rows 61, 101.
#[test]
fn b098_explain_names_the_buffer_in_force_and_its_origin() {
    let plan = pipeline().plan().expect("valid");
    let text = plan.explain();
    let (first, rest) = text.split_once('\n').expect("lines");
    assert_eq!(first, format!("plan {:016x}", plan.graph.canonical_hash()));
    let want = "  owner = tests
  batches of 512 rows; memory budget: none
  operators fused away: 1; full edges hold at most 90112 bytes
  batching holds a row for at most 20ms
stages
  orders: source (source), gives Vec<i64>
    on error: the run fails
  positive+check: transform, Vec<i64> to Vec<i64>
    filter positive; on error: the run fails
    try_map check; on error: 4 attempts from 100ms on, then dead letter
    2 instances
  time: transform, Vec<i64> to Vec<i64>
    event_time; on error: the run fails
    idle_after_ns = 5000000000
    lag_ns = 1000000000
    declared: stateful
  key: transform, Vec<i64> to Vec<i64>
    key_by; on error: the run fails
  assemble: accumulator, Vec<i64> to Vec<i64>
    on error: the run fails
    1 instance a worker
    on_end: Partial
    declared: stateful
  chunk: transform, Vec<i64> to Vec<i64>
    batch; on error: the run fails
    linger_ns = 20000000
    rows = 100
    declared: stateful
  out: sink (sink), takes Vec<i64>
    on error: the run fails
edges
  orders -> positive+check: in turn, ordered, 4 batches, block (from the plan)
  positive+check -> time: forward, ordered, 4 batches, block (from the plan)
  time -> key: forward, ordered, 4 batches, block (from the plan)
  key -> assemble: by key, ordered per key, 4 batches, block (from the plan)
  assemble -> chunk: forward, ordered, 2 batches, block (from the edge)
  chunk -> out: forward, ordered, 4 batches, block (from the plan)
depends on the schedule
  time: idle timeout
  assemble: new-key gate
";
    assert_eq!(rest, want);
}

#[test]
fn mermaid_draws_every_stage_and_edge() {
    let want = "flowchart LR
  s0([\"orders\"])
  s1[\"filter positive<br/>try_map check\"]
  s2[\"time<br/>event_time\"]
  s3[\"key<br/>key_by\"]
  s4{{\"assemble\"}}
  s5[\"chunk<br/>batch\"]
  s6[[\"out\"]]
  s0 -->|in turn: 2 instances| s1
  s1 --> s2
  s2 --> s3
  s3 -->|by key: 1 instance a worker| s4
  s4 --> s5
  s5 --> s6
";
    assert_eq!(pipeline().plan().expect("valid").mermaid(), want);
}

/// Row 290.
#[test]
fn dot_draws_every_stage_and_edge() {
    let want = r#"digraph flux_io {
  rankdir=LR;
  node [shape=box];
  s0 [label="orders", shape=invhouse];
  s1 [label="filter positive\ntry_map check", peripheries=2];
  s2 [label="time\nevent_time"];
  s3 [label="key\nkey_by"];
  s4 [label="assemble", shape=hexagon, peripheries=2];
  s5 [label="chunk\nbatch"];
  s6 [label="out", shape=house];
  s0 -> s1 [label="4 batches, block\nin turn: 2 instances"];
  s1 -> s2 [label="4 batches, block"];
  s2 -> s3 [label="4 batches, block"];
  s3 -> s4 [label="4 batches, block\nby key: 1 instance a worker"];
  s4 -> s5 [label="2 batches, block"];
  s5 -> s6 [label="4 batches, block"];
}
"#;
    assert_eq!(pipeline().plan().expect("valid").dot(), want);
}

/// Row 290: a plan in a terminal.
#[test]
fn a_plan_is_plain_text() {
    let want = "\
o orders: source
|  4 batches, block, in turn: 2 instances
o positive+check (2 instances): filter positive, try_map check
|  4 batches, block
o time: event_time
|  4 batches, block
o key: key_by
|  4 batches, block, by key: 1 instance a worker
o assemble (1 instance a worker): accumulator
|  2 batches, block
o chunk: batch
|  4 batches, block
o out: sink
";
    assert_eq!(pipeline().plan().expect("valid").ascii(), want);
}

/// A graph with every shape of edge: a branch of three, a merge across a line, several ends.
fn diamond() -> Graph {
    let c = ColumnType::of::<Vec<u64>>();
    let mut g = Graph::default();
    for (name, kind, ins, outs) in [
        ("in", StageKind::Source, 0, 1),
        ("split", StageKind::Branch, 1, 3),
        ("left", StageKind::Transform, 1, 1),
        ("middle", StageKind::Sink, 1, 0),
        ("right", StageKind::Transform, 1, 1),
        ("join", StageKind::Merge, 2, 1),
        (
            "a sink whose name is so long that it has to go on in the next line of the terminal",
            StageKind::Sink,
            1,
            0,
        ),
    ] {
        g.nodes.push(StageNode::new(name, kind, vec![c; ins], vec![c; outs]));
    }
    let channel = ChannelDescriptor::default();
    let edges = [
        ((0, 0), (1, 0)),
        ((1, 0), (2, 0)),
        ((1, 1), (3, 0)),
        ((1, 2), (4, 0)),
        ((2, 0), (5, 0)),
        ((4, 0), (5, 1)),
        ((5, 0), (6, 0)),
    ];
    g.edges.extend(edges.map(|(from, to)| GraphEdge { from, to, channel }));
    g
}

/// Row 290.
#[test]
fn branches_and_merges_are_lines_that_fork_and_join() {
    let want = "\
o in: source
|  8 batches, block
o split: branch
|-.-.
| | |  from split.2: 8 batches, block
| | o right: transform
| | |  from split.1: 8 batches, block
| o | middle: sink
|   |  from split.0: 8 batches, block
o   | left: transform
|   |  from left: 8 batches, block
|   |  from right: 8 batches, block
|---'
o     join: merge
|  8 batches, block
o a sink whose name is so long that it has to go on in the next line of the
    terminal: sink
";
    assert_eq!(diamond().ascii(), want);
}

/// A graph that is not valid is drawn all the same: that is when one looks at it.
#[test]
fn a_circle_is_drawn() {
    let mut g = diamond();
    g.nodes[0].ins.push(ColumnType::of::<Vec<u64>>());
    g.nodes[4].outs.push(ColumnType::of::<Vec<u64>>());
    g.edges.push(GraphEdge { from: (4, 1), to: (0, 0), channel: ChannelDescriptor::default() });
    let text = g.ascii();
    assert!(text.starts_with(" from right.1, below\no in: source\n"), "{text}");
    assert!(text.contains("back to in\n"), "{text}");
}

/// Row 101: fusion count, memory, latency.
#[test]
fn diagnostics_count() {
    let d = pipeline().plan().expect("valid").diagnostics();
    assert_eq!((d.fusion_count, d.latency_window), (1, Duration::from_millis(20)));
    // Six edges: five of 4 batches and one of 2; 512 rows of 8 bytes each.
    assert_eq!(d.buffer_bytes_max, (5 * 4 + 2) * 512 * 8);
}

#[test]
fn labels_are_escaped() {
    let f = Pipeline::new().source("a \"b\" <c>", nothing::<Vec<u8>>());
    let text = f.sink("x&y", Hole::default()).plan().expect("valid").mermaid();
    let want =
        "flowchart LR\n  s0([\"a #quot;b#quot; #lt;c#gt;\"])\n  s1[[\"x#amp;y\"]]\n  s0 --> s1\n";
    assert_eq!(text, want);
}
