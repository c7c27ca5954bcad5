//! A plan in words: what was fused, what bounds it, where each bound comes from, what was decided
//! and why. The text is stable: same plan, same text.

use crate::draw;
use flux_io_core::{
    BATCH_BYTES, BufferPolicy, ChannelOrdering, ExecutionPlan, GiveUp, Graph, GraphEdge, OnError,
    Parallelism, Route, StageNode,
};
use std::fmt::Write;
use std::time::Duration;

/// Drawings and numbers of a graph or plan.
pub trait Explain {
    /// The graph it shows.
    fn graph(&self) -> &Graph;

    /// The plan in words.
    #[must_use]
    fn explain(&self) -> String {
        explain(self.graph())
    }

    /// The plan as a Mermaid flow chart.
    #[must_use]
    fn mermaid(&self) -> String {
        draw::mermaid(self.graph())
    }

    /// The plan in the language of Graphviz, for `dot -Tsvg`.
    #[must_use]
    fn dot(&self) -> String {
        draw::dot(self.graph())
    }

    /// The plan as plain text for a terminal of 80 columns: stages from top to bottom, edges as
    /// lines that fork and join, with their buffers.
    #[must_use]
    fn ascii(&self) -> String {
        draw::ascii(self.graph())
    }

    /// The plan in numbers.
    #[must_use]
    fn diagnostics(&self) -> PlanDiagnostics {
        diagnostics(self.graph())
    }
}

impl Explain for Graph {
    fn graph(&self) -> &Graph {
        self
    }
}

impl Explain for ExecutionPlan<'_> {
    fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// A plan in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanDiagnostics {
    /// Operators that need no stage of their own, since they are fused into another's.
    pub fusion_count: usize,
    /// Upper bound of the bytes that wait in full edges, by the usual size of a row; heap behind
    /// rows comes on top.
    pub buffer_bytes_max: u64,
    /// Longest time that batching alone may hold a row on its way through; waiting for room, for
    /// retries and in accumulators comes on top.
    pub latency_window: Duration,
}

fn diagnostics(g: &Graph) -> PlanDiagnostics {
    let fused = g.nodes.iter().map(|n| n.operators.len().saturating_sub(1)).sum();
    let bytes = g.edges.iter().map(|e| edge_bytes(g, e)).fold(0, u64::saturating_add);
    let latency_window = Duration::from_nanos(longest_linger(g));
    PlanDiagnostics { fusion_count: fused, buffer_bytes_max: bytes, latency_window }
}

/// A full edge: slots times a full batch, which is sealed by rows or by bytes.
fn edge_bytes(g: &Graph, e: &GraphEdge) -> u64 {
    let row = g.nodes.get(e.from.0).and_then(|n| n.outs.get(e.from.1)).map_or(0, |c| c.row_bytes);
    let batch = (g.max_rows.saturating_mul(row)).min(BATCH_BYTES.max(row)) as u64;
    batch.saturating_mul(g.effective_buffer(e).capacity as u64)
}

/// The greatest sum of lingers on a path, in nanoseconds. Terminates also on cycles.
fn longest_linger(g: &Graph) -> u64 {
    let own = |n: &StageNode| n.params.get("linger_ns").and_then(|t| t.parse().ok()).unwrap_or(0);
    let lingers: Vec<u64> = g.nodes.iter().map(own).collect();
    let mut longest = lingers.clone();
    for _ in 0..g.nodes.len() {
        for e in &g.edges {
            let (Some(&a), Some(&b)) = (longest.get(e.from.0), lingers.get(e.to.0)) else {
                continue;
            };
            longest[e.to.0] = longest[e.to.0].max(a.saturating_add(b));
        }
    }
    longest.into_iter().max().unwrap_or(0)
}

fn explain(g: &Graph) -> String {
    let mut t = String::new();
    // Writing to a string does not fail.
    let _ = write(g, &mut t);
    t
}

fn write(g: &Graph, t: &mut String) -> std::fmt::Result {
    let d = diagnostics(g);
    writeln!(t, "plan {:016x}", g.canonical_hash())?;
    for (k, v) in &g.metadata {
        writeln!(t, "  {k} = {v}")?;
    }
    let budget = g.budget.as_ref().map_or_else(|| "none".to_owned(), |b| format!("{b:?}"));
    writeln!(t, "  batches of {} rows; memory budget: {budget}", g.max_rows)?;
    let (fused, bytes) = (d.fusion_count, d.buffer_bytes_max);
    writeln!(t, "  operators fused away: {fused}; full edges hold at most {bytes} bytes")?;
    if d.latency_window > Duration::ZERO {
        writeln!(t, "  batching holds a row for at most {:?}", d.latency_window)?;
    }
    writeln!(t, "stages")?;
    g.nodes.iter().try_for_each(|n| stage(n, t))?;
    writeln!(t, "edges")?;
    g.edges.iter().try_for_each(|e| edge(g, e, t))?;
    let dependent: Vec<&StageNode> =
        g.nodes.iter().filter(|n| !n.hints.schedule_dependent.is_empty()).collect();
    if !dependent.is_empty() {
        writeln!(t, "depends on the schedule")?;
        for n in dependent {
            writeln!(t, "  {}: {}", n.name, n.hints.schedule_dependent.join(", "))?;
        }
    }
    if !g.decisions.is_empty() {
        writeln!(t, "decisions")?;
        for x in &g.decisions {
            let at = if x.stage.is_empty() { "the plan" } else { &x.stage };
            writeln!(t, "  {} at {at}: {}, since {}", x.pass, x.what, x.why)?;
        }
    }
    Ok(())
}

fn stage(n: &StageNode, t: &mut String) -> std::fmt::Result {
    write!(t, "  {}: {}", n.name, n.kind.as_str())?;
    if let Some(c) = &n.connector {
        let target = if c.target.is_empty() { String::new() } else { format!(" {}", c.target) };
        write!(t, " ({}{target})", c.kind)?;
    }
    let columns = |of: &[flux_io_core::ColumnType]| {
        of.iter().map(|c| short(c.name)).collect::<Vec<_>>().join(" and ")
    };
    match (n.ins.is_empty(), n.outs.is_empty()) {
        (true, false) => writeln!(t, ", gives {}", columns(&n.outs))?,
        (false, true) => writeln!(t, ", takes {}", columns(&n.ins))?,
        _ => writeln!(t, ", {} to {}", columns(&n.ins), columns(&n.outs))?,
    }
    for o in &n.operators {
        let name = if n.operators.len() > 1 { format!(" {}", o.name) } else { String::new() };
        writeln!(t, "    {}{name}; on error: {}", o.word, policy(o.on_error))?;
    }
    if n.operators.is_empty() {
        writeln!(t, "    on error: {}", policy(n.on_error))?;
    }
    if n.parallelism != Parallelism::Sequential {
        writeln!(t, "    {}", instances(n.parallelism))?;
    }
    for (k, v) in &n.params {
        writeln!(t, "    {k} = {v}")?;
    }
    for (k, v) in n.accumulation.iter().flat_map(|a| &a.policy) {
        writeln!(t, "    {k}: {v}")?;
    }
    hints(n, t)
}

fn hints(n: &StageNode, t: &mut String) -> std::fmt::Result {
    let h = &n.hints;
    let words = [
        (h.pure, "pure"),
        (h.stateful, "stateful"),
        (h.fusion_barrier, "not fused with what follows"),
        (h.waits, "mostly waits"),
        (h.exact_seq, "needs exact sequence numbers"),
    ];
    let mut said: Vec<String> = words.iter().filter(|w| w.0).map(|w| w.1.to_owned()).collect();
    if h.cpu > 0 {
        said.push(format!("cpu weight {}", h.cpu));
    }
    if let Some(r) = h.rows_out_per_in {
        said.push(format!("{r} rows out per row in"));
    }
    if let Some(e) = &h.engine {
        said.push(format!("prefers engine {e}"));
    }
    if said.is_empty() { Ok(()) } else { writeln!(t, "    declared: {}", said.join(", ")) }
}

/// How many instances, in words.
pub(crate) fn instances(p: Parallelism) -> String {
    match p {
        Parallelism::Sequential => "1 instance".to_owned(),
        Parallelism::Fixed(n) => format!("{n} instances"),
        Parallelism::CpuBound => "1 instance a worker".to_owned(),
        Parallelism::IoBound => "4 instances a worker".to_owned(),
    }
}

/// An error policy in words.
fn policy(on: OnError) -> String {
    let end = |g: GiveUp| match g {
        GiveUp::Fail => "the run fails",
        GiveUp::DeadLetter => "dead letter",
        GiveUp::Skip => "row dropped",
    };
    match on {
        OnError::Retry { retry, then } => {
            format!("{} attempts from {:?} on, then {}", retry.attempts, retry.first, end(then))
        }
        other => end(other.finally()).to_owned(),
    }
}

fn edge(g: &Graph, e: &GraphEdge, t: &mut String) -> std::fmt::Result {
    let name = |(stage, port): (usize, usize), of: fn(&StageNode) -> usize| {
        g.nodes.get(stage).map_or_else(String::new, |n| {
            if of(n) > 1 { format!("{}.{port}", n.name) } else { n.name.clone() }
        })
    };
    let route = match e.channel.route {
        Route::Forward => "forward",
        Route::Hash => "by key",
        Route::RoundRobin => "in turn",
    };
    let order = match e.channel.ordering {
        ChannelOrdering::Ordered => "ordered",
        ChannelOrdering::PartitionOrdered => "ordered per key",
        ChannelOrdering::Unordered => "in any order",
    };
    let (from, to) = (name(e.from, |n| n.outs.len()), name(e.to, |n| n.ins.len()));
    let BufferPolicy { capacity, when_full } = g.effective_buffer(e);
    let said_by = if e.channel.buffer.is_some() {
        "the edge"
    } else if g.nodes.get(e.to.0).is_some_and(|n| n.buffer.is_some()) {
        "the stage"
    } else {
        "the plan"
    };
    let full = when_full.as_str();
    writeln!(t, "  {from} -> {to}: {route}, {order}, {capacity} batches, {full} (from {said_by})")
}

/// A type's name without its module paths.
pub(crate) fn short(name: &str) -> String {
    let mut out = String::new();
    for part in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        out.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    out
}
