//! Why a run makes no progress: which task waits for which, over which queue.

use flux_io_core::{Collector, Moment, QueueView};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A task that has not ended, for the dump.
pub(crate) struct Waiting<'a> {
    pub(crate) name: &'a str,
    pub(crate) stages: &'a [String],
    pub(crate) ready: bool,
}

/// Text of tasks, queues and the wait-for graph, with its cycle if there is one.
pub(crate) fn dump(
    head: &str,
    tasks: &[Waiting<'_>],
    collector: &Collector,
    timer: Option<Moment>,
    jobs: bool,
) -> String {
    let queues = collector.queues_now();
    let mut out = format!("{head}\n");
    for t in tasks {
        let state = if t.ready { "ready" } else { "waits" };
        let _ = writeln!(out, "  task {} [{}] {state}", t.name, t.stages.join(" -> "));
    }
    for q in &queues {
        let _ = writeln!(out, "  {}", queue_line(q));
    }
    let edges = wait_for(tasks, &queues);
    for (a, b, why) in &edges {
        let _ = writeln!(out, "  {a} waits for {b} ({why})");
    }
    if let Some(c) = cycle(&edges) {
        let _ = writeln!(out, "  cycle: {}", c.join(" -> "));
    }
    match timer {
        Some(t) => drop(writeln!(out, "  next timer at {}ns", t.0)),
        None => out.push_str("  no timer is armed\n"),
    }
    if jobs {
        out.push_str("  blocking jobs have not run\n");
    }
    out
}

fn queue_line(q: &QueueView) -> String {
    let mut s = format!("queue {} -> {}: {} of {} batches", q.from, q.to, q.depth, q.capacity);
    for (on, word) in [
        (q.controls > 0, "controls wait"),
        (q.sender_waits, "sender waits for room"),
        (q.receiver_waits, "receiver waits for rows"),
        (q.closed, "receiver is gone"),
    ] {
        if on {
            let _ = write!(s, ", {word}");
        }
    }
    s
}

/// Who waits for whom: a sender for the receiver of a full queue, a receiver for the sender of an
/// empty one.
fn wait_for(tasks: &[Waiting<'_>], queues: &[QueueView]) -> Vec<(String, String, &'static str)> {
    let owner = |stage: &str| -> Option<String> {
        let (name, shard) = stage.rsplit_once('#')?;
        let of = |t: &&Waiting<'_>| {
            t.name.rsplit_once('#').is_some_and(|x| x.1 == shard)
                && t.stages.iter().any(|s| s == name)
        };
        tasks.iter().find(of).map(|t| t.name.to_owned())
    };
    let mut out = Vec::new();
    for q in queues {
        let (Some(from), Some(to)) = (owner(&q.from), owner(&q.to)) else { continue };
        if q.sender_waits && q.depth >= q.capacity {
            out.push((from, to, "room"));
        } else if q.receiver_waits && q.depth == 0 && q.controls == 0 {
            out.push((to, from, "rows"));
        }
    }
    out
}

/// A cycle of the wait-for graph, its first task repeated at the end.
fn cycle(edges: &[(String, String, &'static str)]) -> Option<Vec<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (a, b, _) in edges {
        next.entry(a).or_default().push(b);
    }
    next.keys().find_map(|start| {
        let mut path = vec![*start];
        let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
        while let Some(&at) = path.last() {
            let k = tried.entry(at).or_default();
            let Some(&to) = next.get(at).and_then(|n| n.get(*k)) else {
                path.pop();
                continue;
            };
            *k += 1;
            if to == *start {
                path.push(to);
                return Some(path.into_iter().map(str::to_owned).collect());
            }
            if !tried.contains_key(to) {
                path.push(to);
            }
        }
        None
    })
}
