//! Plans in words and as drawings: golden texts.

use crate::kit::{Hole, hole, nothing};
use flux_io_core::{
    AccumulationDescriptor, GiveUp, OnError, Parallelism, Retry, RowError, StageKind, StageNode,
    Timestamp, WhenFull,
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
