//! Why a run makes no progress: which task waits for which, over which queue.

use flux_io_core::{Collector, Moment, WaitFor};
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
        let _ = writeln!(out, "  {q}");
    }
    let graph = WaitFor::of(tasks.iter().map(|t| (t.name, t.stages)), &queues);
    let _ = write!(out, "{graph}");
    match timer {
        Some(t) => drop(writeln!(out, "  next timer at {}ns", t.0)),
        None => out.push_str("  no timer is armed\n"),
    }
    if jobs {
        out.push_str("  blocking jobs have not run\n");
    }
    out
}
