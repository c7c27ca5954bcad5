//! A graph as a Mermaid flow chart, for documents and terminals that draw.

use crate::explain::instances;
use flux_io_core::{Graph, GraphEdge, Route, StageKind, StageNode};
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
    match n.operators.as_slice() {
        [] => escape(&n.name),
        [one] => format!("{}<br/>{}", escape(&n.name), one.word),
        all => {
            let lines: Vec<_> =
                all.iter().map(|o| format!("{} {}", o.word, escape(&o.name))).collect();
            lines.join("<br/>")
        }
    }
}

/// Quotes and angle brackets would end the label or be read as markup.
fn escape(text: &str) -> String {
    text.replace('&', "#amp;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

fn arrow(g: &Graph, e: &GraphEdge) -> String {
    let to = g.nodes.get(e.to.0).map_or_else(String::new, |n| instances(n.parallelism));
    match e.channel.route {
        Route::Hash => format!("-->|by key: {to}|"),
        Route::RoundRobin => format!("-->|in turn: {to}|"),
        Route::Forward => "-->".to_owned(),
    }
}
