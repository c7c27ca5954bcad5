//! A graph in the language of Graphviz.

use super::{choice, lines};
use flux_io_core::{Graph, GraphEdge, Parallelism, StageKind, StageNode};
use std::fmt::Write;

/// Draws a graph; stages are numbered by their place in the description.
pub(crate) fn draw(g: &Graph) -> String {
    let mut t = String::from("digraph flux_io {\n  rankdir=LR;\n  node [shape=box];\n");
    for (i, n) in g.nodes.iter().enumerate() {
        let lines: Vec<_> = lines(n).iter().map(|l| escape(l)).collect();
        // Writing to a string does not fail.
        let _ = write!(t, "  s{i} [label=\"{}\"", lines.join("\\n"));
        if let Some(shape) = shape(n.kind) {
            let _ = write!(t, ", shape={shape}");
        }
        if n.parallelism != Parallelism::Sequential {
            t.push_str(", peripheries=2");
        }
        t.push_str("];\n");
    }
    for e in &g.edges {
        let label = label(g, e);
        let _ = writeln!(t, "  s{} -> s{} [label=\"{label}\"];", e.from.0, e.to.0);
    }
    t.push_str("}\n");
    t
}

/// The shape of a kind, where it is not a box.
const fn shape(kind: StageKind) -> Option<&'static str> {
    match kind {
        StageKind::Source => Some("invhouse"),
        StageKind::Transform => None,
        StageKind::Accumulator => Some("hexagon"),
        StageKind::Branch => Some("trapezium"),
        StageKind::Merge => Some("invtrapezium"),
        StageKind::Sink => Some("house"),
    }
}

fn label(g: &Graph, e: &GraphEdge) -> String {
    let buffer = g.effective_buffer(e);
    let mut label = format!("{} batches, {}", buffer.capacity, buffer.when_full.as_str());
    let ports = |of: Option<&StageNode>, ports: fn(&StageNode) -> usize| of.map_or(0, ports);
    let outs = ports(g.nodes.get(e.from.0), |n| n.outs.len());
    let ins = ports(g.nodes.get(e.to.0), |n| n.ins.len());
    if outs > 1 || ins > 1 {
        let _ = write!(label, "\\n{} to {}", e.from.1, e.to.1);
    }
    if let Some(how) = choice(g, e) {
        let _ = write!(label, "\\n{how}");
    }
    label
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
