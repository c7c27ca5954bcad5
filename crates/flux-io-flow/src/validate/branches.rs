//! Branches and where they meet again: what mispairs rows, and what may wait for ever (B24).

use super::Found;
use flux_io_core::{ErrorRecord, GiveUp, Graph, Parallelism, StageKind, StageNode};
use std::any::TypeId;

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

/// Words of stages that keep sequence numbers in order and pass on what has been passed, also where
/// they drop rows.
const TELLING: [&str; 11] = [
    "filter",
    "filter_map",
    "filter_rows",
    "validate",
    "validate_rows",
    "split",
    "route",
    "broadcast",
    "merge_by_seq",
    "join",
    "async_map",
];

/// Whether a stage tells how far it has come: it passes it on, or each row tells it.
fn tells(n: &StageNode) -> bool {
    let word = |w: &&str| STEADY.contains(w) || TELLING.contains(w);
    let by_number = n.params.get("by").is_none_or(|by| by == "sequence number");
    let in_order = n.params.get("order").is_none_or(|o| o == "of the rows");
    let keeps = !n.operators.is_empty() && n.operators.iter().all(|o| word(&o.word));
    (keeps && by_number && in_order) || n.hints.rows_out_per_in == Some(1.0)
}

/// Whether rows leave a stage in the order of their numbers, whatever came in: it joins or orders
/// by number, and believes what is said to have been passed.
fn by_number(n: &StageNode) -> bool {
    n.operators.iter().any(|o| o.word == "merge_by_seq")
        || n.params.get("by").is_some_and(|by| by == "sequence number")
}

/// Whether a stage gives rows whose numbers may fall though those it took rose.
fn shuffles(n: &StageNode) -> bool {
    let word = |w: &str| n.operators.iter().any(|o| o.word == w);
    let many = !matches!(n.parallelism, Parallelism::Sequential | Parallelism::Fixed(0 | 1));
    let numbers_anew = word("flat_map") || word("flat_map_rows");
    matches!(n.kind, StageKind::Merge | StageKind::Accumulator)
        || n.params.get("order").is_some_and(|o| o != "of the rows")
        || word("resequence")
        || (many && numbers_anew)
}

/// Whether the numbers of the rows that a stage takes rise, so that the number of one says that all
/// before it have passed.
fn rises(g: &Graph, at: usize) -> bool {
    let mut seen = vec![false; g.nodes.len()];
    let mut open = vec![at];
    while let Some(i) = open.pop() {
        for e in g.edges.iter().filter(|e| e.to.0 == i) {
            let Some(n) = g.nodes.get(e.from.0).filter(|n| !by_number(n)) else { continue };
            if shuffles(n) || gives_failed(g, e.from) {
                return false;
            }
            if !std::mem::replace(&mut seen[e.from.0], true) {
                open.push(e.from.0);
            }
        }
    }
    true
}

/// Branches that say nothing of how far they have come: the numbers they take do not rise, and
/// somebody downstream would believe them.
pub(crate) fn silent(g: &Graph) -> Vec<bool> {
    let believed = upstream(g, |_, n| by_number(n));
    let branch = |i: &usize| g.nodes.get(*i).is_some_and(|n| n.kind == StageKind::Branch);
    (0..g.nodes.len()).map(|i| believed[i] && branch(&i) && !rises(g, i)).collect()
}

/// For each stage, whether one downstream of it wants something.
pub(crate) fn upstream(graph: &Graph, wants: impl Fn(usize, &StageNode) -> bool) -> Vec<bool> {
    let wants = |i: usize| graph.nodes.get(i).is_some_and(|n| wants(i, n));
    let mut need = vec![false; graph.nodes.len()];
    // Each turn carries the need over one more edge; the graph has no cycle.
    for _ in 0..graph.nodes.len() {
        for e in &graph.edges {
            let wanted = wants(e.to.0) || need.get(e.to.0).copied().unwrap_or(false);
            if let Some(n) = need.get_mut(e.from.0) {
                *n |= wanted;
            }
        }
    }
    need
}

/// Rows that a stage holds before it gives the first.
fn lag(n: &StageNode) -> u64 {
    let rows = n.params.get("rows").and_then(|r| r.parse::<u64>().ok());
    let waits = !n.params.contains_key("linger_ns");
    rows.filter(|_| waits && n.operators.iter().any(|o| o.word == "batch"))
        .map_or(0, |r| r.saturating_sub(1))
}

/// A branch that leads to an input: its number and port, and the stages between.
struct Way {
    branch: (usize, usize),
    between: Vec<usize>,
    /// It leaves a stage, the branch or one between, by the port of what fails there: such a port
    /// says nothing of the rows that did not fail.
    failed: bool,
}

/// Whether a port gives what fails in its stage.
fn gives_failed(g: &Graph, (stage, port): (usize, usize)) -> bool {
    let out = g.nodes.get(stage).and_then(|n| n.outs.get(port));
    out.is_some_and(|c| c.id == TypeId::of::<Vec<ErrorRecord>>())
}

/// The branches that lead to an input, the nearest first; of each stage the first way is followed.
fn ways(g: &Graph, to: (usize, usize)) -> Vec<Way> {
    let mut seen = vec![false; g.nodes.len()];
    let mut open = vec![(to, Vec::new(), false)];
    let mut all = Vec::new();
    while let Some((at, between, failed)) = open.pop() {
        for e in g.edges.iter().filter(|e| e.to == at) {
            let from = e.from.0;
            if std::mem::replace(&mut seen[from], true) {
                continue;
            }
            let Some(n) = g.nodes.get(from) else { continue };
            let failed = failed || gives_failed(g, e.from);
            if n.kind == StageKind::Branch {
                all.push(Way { branch: e.from, between: between.clone(), failed });
            }
            let mut way = between.clone();
            way.push(from);
            open.extend((0..n.ins.len()).map(|port| ((from, port), way.clone(), failed)));
        }
    }
    all
}

/// Where two inputs of a stage come from one branch: its number, and the stages on both ways.
type Meeting = (usize, Vec<usize>, Vec<usize>);

/// For a stage with several inputs: for each two of them the nearest branch that leads to both by
/// different ports.
fn meetings_at(g: &Graph, at: usize) -> Vec<Meeting> {
    let ins = g.nodes.get(at).map_or(0, |n| n.ins.len());
    let ways: Vec<Vec<Way>> = (0..ins).map(|port| ways(g, (at, port))).collect();
    let mut all = Vec::new();
    for (p, left) in ways.iter().enumerate() {
        for right in ways.iter().skip(p + 1) {
            let met = left.iter().find_map(|a| {
                let other = |b: &&Way| b.branch.0 == a.branch.0 && b.branch.1 != a.branch.1;
                let b = right.iter().find(other)?;
                Some((a.branch.0, a.between.clone(), b.between.clone()))
            });
            all.extend(met);
        }
    }
    all
}

/// Whether all inputs of a stage are branches of one flow and tell how far they have come: how many
/// numbers late the latest of them tells it.
///
/// `silent`: of each stage, whether it says nothing ([`silent`]).
pub(crate) fn in_step(g: &Graph, at: usize, silent: &[bool]) -> Option<u64> {
    let ins = g.nodes.get(at).map_or(0, |n| n.ins.len());
    let says = |i: &usize| g.nodes.get(*i).is_some_and(tells) && !silent[*i];
    let told = |w: &Way| !w.failed && !silent[w.branch.0] && w.between.iter().all(says);
    let all: Vec<Vec<Way>> =
        (0..ins).map(|port| ways(g, (at, port)).into_iter().filter(told).collect()).collect();
    let late = |w: &Way| {
        let each = w.between.iter().filter_map(|i| g.nodes.get(*i)).map(lag);
        each.filter(|lag| *lag > 0)
            .fold(0_u64, |sum, lag| sum.saturating_add(lag).saturating_add(1))
    };
    let from = |branch: usize| {
        let of = |port: &Vec<Way>| port.iter().find(|w| w.branch.0 == branch).map(late);
        all.iter().map(of).try_fold(0, |most: u64, late| Some(most.max(late?)))
    };
    if ins < 2 { None } else { all.first()?.iter().find_map(|w| from(w.branch.0)) }
}

/// Whether two inputs of a stage may hold each other up: there is a way between them past the stage,
/// in whatever direction rows go on it.
pub(crate) fn entangled(g: &Graph, at: usize) -> bool {
    let mut reached: Vec<Option<usize>> = vec![None; g.nodes.len()];
    for (nth, e) in g.edges.iter().filter(|e| e.to.0 == at).enumerate() {
        let mut open = vec![e.from.0];
        while let Some(i) = open.pop() {
            match reached.get(i).copied().flatten() {
                Some(by) if by != nth => return true,
                Some(_) => continue,
                None => {}
            }
            if let Some(place) = reached.get_mut(i) {
                *place = Some(nth);
            }
            let edges = g.edges.iter().filter(|e| e.from.0 != at && e.to.0 != at);
            open.extend(edges.filter_map(|e| match (e.from.0 == i, e.to.0 == i) {
                (true, _) => Some(e.to.0),
                (_, true) => Some(e.from.0),
                _ => None,
            }));
        }
    }
    false
}

/// Whether a stage joins rows by id.
pub(crate) fn by_id(n: &StageNode) -> bool {
    n.kind == StageKind::Merge
        && n.operators.iter().any(|o| o.word == "join")
        && n.params.get("by").is_some_and(|by| by == "id")
}

/// Whether a stage asks its inputs how far they have come, where all are branches of one flow.
pub(crate) fn asks(n: &StageNode) -> bool {
    by_id(n) || n.operators.iter().any(|o| o.word == "merge_by_time")
}

/// Rows that the stages of a way hold before the first goes on.
fn lags(g: &Graph, way: &[usize]) -> u64 {
    way.iter().filter_map(|i| g.nodes.get(*i)).map(lag).sum()
}

fn hold(n: &StageNode) -> u64 {
    n.params.get("hold").and_then(|h| h.parse().ok()).unwrap_or(u64::MAX)
}

fn unsteady<'g>(g: &'g Graph, stages: &[usize]) -> Option<&'g StageNode> {
    stages.iter().filter_map(|i| g.nodes.get(*i)).find(|n| !steady(n))
}

/// P021: rows that meet by place belong together only if each way gives a row for each row, and
/// neither holds more than the place where they meet.
pub(super) fn meetings(g: &Graph, found: &mut Found) {
    for (i, n) in g.nodes.iter().enumerate().filter(|(_, n)| by_place(n)) {
        meetings_at(g, i).into_iter().any(|met| mispaired(g, (i, n), &met, found));
    }
}

/// Tells what is wrong with a meeting by place; whether something is.
fn mispaired(
    g: &Graph,
    (i, n): (usize, &StageNode),
    (branch, left, right): &Meeting,
    found: &mut Found,
) -> bool {
    let from = g.nodes.get(*branch).map_or("?", |b| b.name.as_str());
    let name = &n.name;
    if let Some(b) = g.nodes.get(*branch).filter(|b| !steady(b)) {
        let what = format!("`{name}` pairs by place what `{}` has dealt out", b.name);
        let fix = "merge it with `.merge_by_seq(..)`, or pair branches of a `.broadcast(..)`";
        found.at("P021", g.path_to(i), what, fix);
        return true;
    }
    if let Some(odd) = unsteady(g, left).or_else(|| unsteady(g, right)) {
        let what = format!(
            "`{name}` pairs branches of `{from}` by place, but `{}` may not give one row for each \
             row",
            odd.name
        );
        let fix = "join them by number: `.join(name, other, Join::by_seq(..))`, or declare \
                   `rows_out_per_in` of 1 where it holds";
        found.at("P021", g.path_to(i), what, fix);
        return true;
    }
    let (ahead, hold) = (lags(g, left).abs_diff(lags(g, right)), hold(n));
    if ahead >= hold {
        let what = format!(
            "one branch of `{from}` is {ahead} rows behind the other at `{name}`, which holds {hold}"
        );
        let fix = "let it hold more rows than the branches differ by: `Hold::rows(n)`";
        found.at("P021", g.path_to(i), what, fix);
    }
    ahead >= hold
}

/// Why a join by number may stand still.
pub(crate) enum Starves {
    /// This stage between a branch and the join does not tell how far it has come.
    Silent(String),
    /// One way holds so many rows back, and the join may hold as many.
    Lag(u64, u64),
}

/// Stages that join by number what one branch has dealt out or shared, and that may wait for ever.
pub(crate) fn may_starve(g: &Graph) -> Vec<(String, Starves)> {
    let waits = |n: &StageNode| {
        n.kind == StageKind::Merge
            && n.params.contains_key("hold")
            && !n.params.contains_key("patience_ns")
            && !by_place(n)
            && !by_id(n)
            && !n.operators.iter().any(|o| o.word == "merge_by_time")
    };
    let mut all = Vec::new();
    let says_nothing = silent(g);
    let name = |i: usize| g.nodes.get(i).map(|n| n.name.clone());
    for (i, n) in g.nodes.iter().enumerate().filter(|(_, n)| waits(n)) {
        let mute = |i: &&usize| says_nothing[**i] || !g.nodes.get(**i).is_some_and(tells);
        let silent = |way: &[usize]| way.iter().find(mute).and_then(|i| name(*i));
        let starves = meetings_at(g, i).into_iter().find_map(|(branch, left, right)| {
            let ahead = lags(g, &left).abs_diff(lags(g, &right));
            let lag = (ahead >= hold(n)).then(|| Starves::Lag(ahead, hold(n)));
            let itself = || says_nothing[branch].then(|| name(branch)).flatten();
            let odd = silent(&left).or_else(|| silent(&right)).or_else(itself);
            odd.map(Starves::Silent).or(lag)
        });
        all.extend(starves.map(|s| (n.name.clone(), s)));
    }
    all
}
