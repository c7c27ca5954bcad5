//! Names, connectivity, cycles, types: what makes a graph a flow.

use super::{Found, plan_wide};
use flux_io_core::{Graph, StageKind, StageNode};
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
            if name.contains(char::is_control) {
                let what = format!("the name {name:?} has a control character");
                found.at("P012", g.path_to(i), what, "name it in letters, digits and signs");
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

/// P002, P005, P018.
pub(super) fn ports(g: &Graph, dead_letters: Option<usize>, found: &mut Found) {
    let (mut left, mut reached) = (BTreeMap::new(), BTreeMap::new());
    for e in &g.edges {
        *left.entry(e.from).or_insert(0_usize) += 1;
        *reached.entry(e.to).or_insert(0_usize) += 1;
    }
    for (i, n) in g.nodes.iter().enumerate() {
        for port in 0..n.outs.len() {
            match left.get(&(i, port)) {
                None => {
                    let what = format!("output {port} of stage `{}` leads nowhere", n.name);
                    let fix = "end it with `.sink(name, ..)`, `.fold(name, ..)` or \
                               `.discard(name)`";
                    found.at("P002", g.path_to(i), what, fix);
                }
                Some(1) => {}
                Some(edges) => {
                    let what = format!("{edges} edges leave output {port} of stage `{}`", n.name);
                    found.at("P018", g.path_to(i), what, "branch: each output has one edge");
                }
            }
        }
        if dead_letters == Some(i) {
            continue;
        }
        for port in 0..n.ins.len() {
            match reached.get(&(i, port)) {
                None => {
                    let what = format!("nothing leads to input {port} of stage `{}`", n.name);
                    found.at("P005", g.path_to(i), what, "join a flow to it, or leave it out");
                }
                Some(1) => {}
                Some(edges) => {
                    let what = format!("{edges} edges lead to input {port} of stage `{}`", n.name);
                    found.at("P018", g.path_to(i), what, "merge them: each input has one edge");
                }
            }
        }
        if n.ins.is_empty() && n.kind != StageKind::Source {
            let what = format!("nothing leads to stage `{}`: it has no input", n.name);
            found.at("P005", g.path_to(i), what, "give it an input port, or leave it out");
        }
    }
}

/// P019.
pub(super) fn joints(g: &Graph, found: &mut Found) {
    for (i, n) in g.nodes.iter().enumerate() {
        if n.kind == StageKind::Merge && n.ins.len() == 1 {
            let what = format!("the merge `{}` has one input", n.name);
            found.at("P019", g.path_to(i), what, "join a second flow to it, or leave it out");
        }
        if n.kind == StageKind::Branch && n.outs.is_empty() {
            let what = format!("the branch `{}` has no output", n.name);
            found.at("P019", g.path_to(i), what, "give it at least one output");
        }
    }
}

/// Stages of a cycle that are named.
const CYCLE_NAMES: usize = 16;

/// P004: one fault for each cycle of a set of disjoint ones that touches every knot of cycles.
pub(super) fn cycles(g: &Graph, found: &mut Found) {
    let mut knots = Knots::of(g);
    while let Some(cycle) = knots.next_cycle() {
        let name = |i: &usize| g.nodes.get(*i).map_or_else(String::new, |n| n.name.clone());
        let mut names: Vec<String> = cycle.iter().chain(cycle.first()).map(name).collect();
        if names.len() > CYCLE_NAMES {
            names.splice(CYCLE_NAMES - 1..names.len() - 1, ["..".to_owned()]);
        }
        let what = format!("{} stages form a cycle", cycle.len());
        found.at("P004", names, what, "cut it: rows flow from sources to sinks");
        knots.take(cycle);
    }
}

/// The stages that are on a cycle, or between two.
struct Knots {
    /// Where each stage leads, and what leads to it; stages that are not there are left out.
    next: Vec<Vec<usize>>,
    before: Vec<Vec<usize>>,
    /// Edges to and from stages that are left.
    ins: Vec<usize>,
    outs: Vec<usize>,
    left: Vec<bool>,
    /// No stage before it is left.
    from: usize,
}

impl Knots {
    fn of(g: &Graph) -> Self {
        let n = g.nodes.len();
        let mut knots = Self {
            next: vec![Vec::new(); n],
            before: vec![Vec::new(); n],
            ins: vec![0; n],
            outs: vec![0; n],
            left: vec![true; n],
            from: 0,
        };
        for e in g.edges.iter().filter(|e| e.from.0 < n && e.to.0 < n) {
            knots.next[e.from.0].push(e.to.0);
            knots.before[e.to.0].push(e.from.0);
            knots.outs[e.from.0] += 1;
            knots.ins[e.to.0] += 1;
        }
        let ends = (0..n).filter(|i| knots.ins[*i] == 0 || knots.outs[*i] == 0).collect();
        knots.take(ends);
        knots
    }

    /// Takes these stages away, and all that nothing leads to, or that lead nowhere, without them.
    fn take(&mut self, mut gone: Vec<usize>) {
        while let Some(i) = gone.pop() {
            if !std::mem::take(&mut self.left[i]) {
                continue;
            }
            for &k in &self.next[i] {
                self.ins[k] -= 1;
                if self.ins[k] == 0 {
                    gone.push(k);
                }
            }
            for &k in &self.before[i] {
                self.outs[k] -= 1;
                if self.outs[k] == 0 {
                    gone.push(k);
                }
            }
        }
    }

    /// A cycle among the stages that are left: the first edges are followed until one comes again.
    fn next_cycle(&mut self) -> Option<Vec<usize>> {
        self.from += self.left[self.from..].iter().position(|left| *left)?;
        let mut way = vec![self.from];
        let mut place = BTreeMap::from([(self.from, 0)]);
        while let Some(&at) = way.last() {
            let next = *self.next[at].iter().find(|k| self.left[**k])?;
            if let Some(&k) = place.get(&next) {
                return Some(way.split_off(k));
            }
            place.insert(next, way.len());
            way.push(next);
        }
        None
    }
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
