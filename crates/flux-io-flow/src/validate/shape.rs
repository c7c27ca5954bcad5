//! Names, connectivity, cycles, types: what makes a graph a flow.

use super::{Found, plan_wide};
use flux_io_core::{Graph, GraphEdge, StageKind, StageNode};
use std::collections::BTreeMap;

/// Every name of a stage: its own, and those of several fused operators.
fn names_of(n: &StageNode) -> impl Iterator<Item = &str> {
    let operators = if n.operators.len() > 1 { n.operators.as_slice() } else { &[] };
    std::iter::once(n.name.as_str()).chain(operators.iter().map(|o| o.name.as_str()))
}

/// P001, P012.
pub(super) fn names(g: &Graph, found: &mut Found) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, n) in g.nodes.iter().enumerate() {
        for name in names_of(n) {
            if name.is_empty() {
                let what = format!("a {} has an empty name", n.kind.as_str());
                found.at("P012", g.path_to(i), what, "name it: the name is its identity");
                continue;
            }
            let times = seen.entry(name).or_default();
            *times += 1;
            if *times == 2 {
                let what = format!("two stages are called `{name}`");
                let fix = "rename one: a stage's name is the identity of its state";
                found.at("P001", g.path_to(i), what, fix);
            }
        }
    }
}

/// P003.
pub(super) fn sources(g: &Graph, found: &mut Found) {
    if !g.nodes.iter().any(|n| n.kind == StageKind::Source) {
        let what = "the plan has no source".to_owned();
        found.at("P003", plan_wide(), what, "start with `.source(name, ..)`");
    }
}

/// P002, P005.
pub(super) fn ports(g: &Graph, dead_letters: Option<usize>, found: &mut Found) {
    for (i, n) in g.nodes.iter().enumerate() {
        for port in 0..n.outs.len() {
            if !g.edges.iter().any(|e| e.from == (i, port)) {
                let what = format!("output {port} of stage `{}` leads nowhere", n.name);
                let fix = "end it with `.sink(name, ..)`, `.fold(name, ..)` or `.discard(name)`";
                found.at("P002", g.path_to(i), what, fix);
            }
        }
        if dead_letters == Some(i) {
            continue;
        }
        for port in 0..n.ins.len() {
            if !g.edges.iter().any(|e| e.to == (i, port)) {
                let what = format!("nothing leads to input {port} of stage `{}`", n.name);
                found.at("P005", g.path_to(i), what, "join a flow to it, or leave it out");
            }
        }
        if n.ins.is_empty() && n.kind != StageKind::Source {
            let what = format!("nothing leads to stage `{}`: it has no input", n.name);
            found.at("P005", g.path_to(i), what, "give it an input port, or leave it out");
        }
    }
}

/// P004: one fault for each cycle of a set of disjoint ones that touches every knot of cycles.
pub(super) fn cycles(g: &Graph, found: &mut Found) {
    let mut left: Vec<bool> = vec![true; g.nodes.len()];
    // Each turn takes at least one stage away.
    for _ in 0..g.nodes.len() {
        peel(g, &mut left);
        let Some(start) = left.iter().position(|l| *l) else { return };
        let cycle = walk(g, &left, start);
        let name = |i: &usize| g.nodes.get(*i).map_or_else(String::new, |n| n.name.clone());
        let names: Vec<String> = cycle.iter().chain(cycle.first()).map(name).collect();
        let what = format!("{} stages form a cycle", cycle.len());
        found.at("P004", names, what, "cut it: rows flow from sources to sinks");
        for i in cycle {
            left[i] = false;
        }
    }
}

/// Takes away, until none is left, stages that nothing leads to or that lead nowhere.
fn peel(g: &Graph, left: &mut [bool]) {
    loop {
        let inside: Vec<&GraphEdge> =
            g.edges.iter().filter(|e| in_both(left, e.from.0, e.to.0)).collect();
        let knotted =
            |i: usize| inside.iter().any(|e| e.from.0 == i) && inside.iter().any(|e| e.to.0 == i);
        let gone: Vec<usize> = (0..left.len()).filter(|i| left[*i] && !knotted(*i)).collect();
        if gone.is_empty() {
            return;
        }
        gone.into_iter().for_each(|i| left[i] = false);
    }
}

fn in_both(left: &[bool], a: usize, b: usize) -> bool {
    left.get(a) == Some(&true) && left.get(b) == Some(&true)
}

/// Follows edges among the stages that are left until one comes again; gives the cycle.
fn walk(g: &Graph, left: &[bool], start: usize) -> Vec<usize> {
    let mut way = vec![start];
    while let Some(&at) = way.last() {
        let next = g.edges.iter().find(|e| e.from.0 == at && in_both(left, at, e.to.0));
        let Some(e) = next else { break };
        if let Some(k) = way.iter().position(|i| *i == e.to.0) {
            return way.split_off(k);
        }
        way.push(e.to.0);
    }
    way
}

/// P006.
pub(super) fn columns(g: &Graph, found: &mut Found) {
    for e in &g.edges {
        let (from, to) = (g.nodes.get(e.from.0), g.nodes.get(e.to.0));
        let name = |n: Option<&StageNode>| n.map_or("?", |n| n.name.as_str()).to_owned();
        let (a, b) = (name(from), name(to));
        let gives = from.and_then(|n| n.outs.get(e.from.1));
        let takes = to.and_then(|n| n.ins.get(e.to.1));
        match (gives, takes) {
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let what = format!("`{a}` gives `{}`, but `{b}` takes `{}`", x.name, y.name);
                let fix = "put a stage between them that turns the one into the other";
                found.at("P006", vec![a, b], what, fix);
            }
            _ => {
                let what = format!(
                    "an edge joins output {} of `{a}` to input {} of `{b}`, which are not both \
                     there",
                    e.from.1, e.to.1
                );
                found.at("P006", vec![a, b], what, "join ports that the stages have");
            }
        }
    }
}
