//! Branches and where they meet again: what mispairs rows, and what may wait for ever (B24).

use super::Found;
use flux_io_core::{GiveUp, Graph, StageKind, StageNode};

/// Words that pair rows by their place.
fn by_place(n: &StageNode) -> bool {
    let word = |w: &str| n.operators.iter().any(|o| o.word == w);
    word("zip")
        || word("zip_longest")
        || (word("join") && n.params.get("by").is_some_and(|by| by == "place"))
}

/// Words that give exactly one row for each row, unless a row fails.
const STEADY: [&str; 10] = [
    "map",
    "map_rows",
    "inspect",
    "try_map",
    "try_map_rows",
    "enrich",
    "scan",
    "event_time",
    "key_by",
    "batch",
];

/// Whether a stage gives a row for each row, in order: by its words, or since it is declared.
fn steady(n: &StageNode) -> bool {
    let word = |w: &&str| STEADY.contains(w) || *w == "broadcast";
    let keeps = !n.operators.is_empty()
        && n.operators.iter().all(|o| word(&o.word) && o.on_error.finally() == GiveUp::Fail);
    keeps || n.hints.rows_out_per_in == Some(1.0)
}

/// Rows that a stage holds before it gives the first.
fn lag(n: &StageNode) -> u64 {
    let rows = n.params.get("rows").and_then(|r| r.parse::<u64>().ok());
    rows.filter(|_| n.operators.iter().any(|o| o.word == "batch"))
        .map_or(0, |r| r.saturating_sub(1))
}

/// A branch that leads to an input: its number and port, and the stages between.
struct Way {
    branch: (usize, usize),
    between: Vec<usize>,
}

/// The branches that lead to an input, the nearest first; of each stage the first way is followed.
fn ways(g: &Graph, to: (usize, usize)) -> Vec<Way> {
    let mut seen = vec![false; g.nodes.len()];
    let mut open = vec![(to, Vec::new())];
    let mut all = Vec::new();
    while let Some((at, between)) = open.pop() {
        for e in g.edges.iter().filter(|e| e.to == at) {
            let from = e.from.0;
            if std::mem::replace(&mut seen[from], true) {
                continue;
            }
            let Some(n) = g.nodes.get(from) else { continue };
            if n.kind == StageKind::Branch {
                all.push(Way { branch: e.from, between: between.clone() });
            }
            let mut way = between.clone();
            way.push(from);
            open.extend((0..n.ins.len()).map(|port| ((from, port), way.clone())));
        }
    }
    all
}

/// For a stage with several inputs: the nearest branch that leads to two of them by different
/// ports, with the stages on both ways.
fn meeting(g: &Graph, at: usize) -> Option<(usize, Vec<usize>, Vec<usize>)> {
    let ins = g.nodes.get(at)?.ins.len();
    let ways: Vec<Vec<Way>> = (0..ins).map(|port| ways(g, (at, port))).collect();
    for (p, left) in ways.iter().enumerate() {
        for right in ways.iter().skip(p + 1) {
            for a in left {
                let other = |b: &&Way| b.branch.0 == a.branch.0 && b.branch.1 != a.branch.1;
                if let Some(b) = right.iter().find(other) {
                    return Some((a.branch.0, a.between.clone(), b.between.clone()));
                }
            }
        }
    }
    None
}

fn unsteady<'g>(g: &'g Graph, stages: &[usize]) -> Option<&'g StageNode> {
    stages.iter().filter_map(|i| g.nodes.get(*i)).find(|n| !steady(n))
}

/// P021: rows that meet by place belong together only if each way gives a row for each row, and
/// neither holds more than the place where they meet.
pub(super) fn meetings(g: &Graph, found: &mut Found) {
    for (i, n) in g.nodes.iter().enumerate().filter(|(_, n)| by_place(n)) {
        let Some((branch, left, right)) = meeting(g, i) else { continue };
        let from = g.nodes.get(branch).map_or("?", |b| b.name.as_str());
        let name = &n.name;
        if let Some(b) = g.nodes.get(branch).filter(|b| !steady(b)) {
            let what = format!("`{name}` pairs by place what `{}` has dealt out", b.name);
            let fix = "merge it with `.merge_by_seq(..)`, or pair branches of a `.broadcast(..)`";
            found.at("P021", g.path_to(i), what, fix);
            continue;
        }
        if let Some(odd) = unsteady(g, &left).or_else(|| unsteady(g, &right)) {
            let what = format!(
                "`{name}` pairs branches of `{from}` by place, but `{}` may not give one row for \
                 each row",
                odd.name
            );
            let fix = "join them by number: `.join(name, other, Join::by_seq(..))`, or declare \
                       `rows_out_per_in` of 1 where it holds";
            found.at("P021", g.path_to(i), what, fix);
            continue;
        }
        let held = |way: &[usize]| way.iter().filter_map(|i| g.nodes.get(*i)).map(lag).sum::<u64>();
        let ahead = held(&left).abs_diff(held(&right));
        let hold = n.params.get("hold").and_then(|h| h.parse().ok()).unwrap_or(u64::MAX);
        if ahead >= hold {
            let what = format!(
                "one branch of `{from}` is {ahead} rows behind the other at `{name}`, which holds \
                 {hold}"
            );
            let fix = "let it hold more rows than the branches differ by: `Hold::rows(n)`";
            found.at("P021", g.path_to(i), what, fix);
        }
    }
}

/// Stages that join by number what one branch has dealt out or shared, and that may wait for ever:
/// (stage, the stage on a way that may drop rows).
pub(crate) fn may_starve(g: &Graph) -> Vec<(String, String)> {
    let waits = |n: &StageNode| {
        n.kind == StageKind::Merge
            && n.params.contains_key("hold")
            && !n.params.contains_key("patience_ns")
            && !by_place(n)
            && !n.operators.iter().any(|o| o.word == "merge_by_time")
    };
    let mut all = Vec::new();
    for (i, n) in g.nodes.iter().enumerate().filter(|(_, n)| waits(n)) {
        let Some((_, left, right)) = meeting(g, i) else { continue };
        if let Some(odd) = unsteady(g, &left).or_else(|| unsteady(g, &right)) {
            all.push((n.name.clone(), odd.name.clone()));
        }
    }
    all
}
