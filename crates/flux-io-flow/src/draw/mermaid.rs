//! A graph as a Mermaid flow chart, for documents and terminals that draw.

use super::{choice, lines};
use flux_io_core::{Graph, GraphEdge, StageKind, StageNode};
use std::fmt::Write;

/// Draws a graph; stages are numbered by their place in the description.
pub(crate) fn draw(g: &Graph) -> String {
    let mut t = String::from("flowchart LR\n");
    for (i, n) in g.nodes.iter().enumerate() {
        let (open, close) = shape(n.kind);
        // Writing to a string does not fail.
        let _ = writeln!(t, "  s{i}{open}\"{}\"{close}", label(n));
    }
    for e in &g.edges {
        let _ = writeln!(t, "  s{} {} s{}", e.from.0, arrow(g, e), e.to.0);
    }
    t
}

const fn shape(kind: StageKind) -> (&'static str, &'static str) {
    match kind {
        StageKind::Source => ("([", "])"),
        StageKind::Transform => ("[", "]"),
        StageKind::Accumulator => ("{{", "}}"),
        StageKind::Branch => ("{", "}"),
        StageKind::Merge => ("[/", "\\]"),
        StageKind::Sink => ("[[", "]]"),
    }
}

fn label(n: &StageNode) -> String {
    let lines: Vec<_> = lines(n).iter().map(|l| escape(l)).collect();
    lines.join("<br/>")
}

/// Quotes and angle brackets would end the label or be read as markup.
fn escape(text: &str) -> String {
    text.replace('&', "#amp;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

fn arrow(g: &Graph, e: &GraphEdge) -> String {
    choice(g, e).map_or_else(|| "-->".to_owned(), |how| format!("-->|{how}|"))
}
