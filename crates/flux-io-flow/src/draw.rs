//! Drawings of a graph. The text is stable: same graph, same text.

mod ascii;
mod dot;
mod mermaid;

pub(crate) use ascii::draw as ascii;
pub(crate) use dot::draw as dot;
pub(crate) use mermaid::draw as mermaid;

use crate::explain::instances;
use flux_io_core::{Graph, GraphEdge, Route, StageNode};

/// What a stage is called and what it does, a line each.
fn lines(n: &StageNode) -> Vec<String> {
    match n.operators.as_slice() {
        [] => vec![n.name.clone()],
        [one] => vec![n.name.clone(), one.word.to_owned()],
        all => all.iter().map(|o| format!("{} {}", o.word, o.name)).collect(),
    }
}

/// How rows choose among the instances of the stage an edge leads to, where they choose.
fn choice(g: &Graph, e: &GraphEdge) -> Option<String> {
    let to = g.nodes.get(e.to.0).map_or_else(String::new, |n| instances(n.parallelism));
    match e.channel.route {
        Route::Hash => Some(format!("by key: {to}")),
        Route::RoundRobin => Some(format!("in turn: {to}")),
        Route::Forward => None,
    }
}
