//! Numbers and policies that cannot work.

use super::{Found, plan_wide};
use flux_io_core::{
    AccumulationDescriptor, ChannelOrdering, Graph, GraphEdge, OnError, Parallelism, Route,
    StageKind, WhenFull,
};

/// P007.
pub(super) fn capacities(g: &Graph, found: &mut Found) {
    let fix = "give at least 1";
    if g.max_rows == 0 {
        found.at("P007", plan_wide(), "batches of the plan hold 0 rows".to_owned(), fix);
    }
    if g.buffer.capacity == 0 {
        let what = "the plan's buffer holds 0 batches".to_owned();
        found.at("P007", plan_wide(), what, fix);
    }
    for (i, n) in g.nodes.iter().enumerate() {
        if n.buffer.is_some_and(|b| b.capacity == 0) {
            let what = format!("the buffer in front of `{}` holds 0 batches", n.name);
            found.at("P007", g.path_to(i), what, fix);
        }
        if n.params.get("rows").is_some_and(|r| r == "0") {
            let what = format!("`{}` makes batches of 0 rows", n.name);
            found.at("P007", g.path_to(i), what, fix);
        }
    }
    for e in g.edges.iter().filter(|e| e.channel.buffer.is_some_and(|b| b.capacity == 0)) {
        let what = format!("the buffer between {} holds 0 batches", between(g, e));
        found.at("P007", g.path_to(e.to.0), what, fix);
    }
}

fn between(g: &Graph, e: &GraphEdge) -> String {
    let name = |i: usize| g.nodes.get(i).map_or("?", |n| n.name.as_str());
    format!("`{}` and `{}`", name(e.from.0), name(e.to.0))
}

/// P008: a dropping buffer before an accumulator that promises complete results only, between
/// stages whose order is put back by counting batches, or before a stage that needs exact sequence
/// numbers.
pub(super) fn drops(g: &Graph, found: &mut Found) {
    for e in &g.edges {
        let when_full = g.effective_buffer(e).when_full;
        if when_full == WhenFull::Block {
            continue;
        }
        if let Some((who, why)) = promise_broken(g, e) {
            let what = format!(
                "the buffer between {} may drop rows ({}), but `{who}` {why}",
                between(g, e),
                when_full.as_str()
            );
            let fix = "let it block (`.when_full(WhenFull::Block)`), or give up the promise";
            found.at("P008", g.path_to(e.to.0), what, fix);
        }
    }
}

fn promise_broken<'g>(g: &'g Graph, e: &GraphEdge) -> Option<(&'g str, &'static str)> {
    let from = g.nodes.get(e.from.0)?;
    let dealt = |x: &&GraphEdge| x.to.0 == e.from.0 && x.channel.route == Route::RoundRobin;
    if e.channel.ordering == ChannelOrdering::Ordered
        && from.parallelism != Parallelism::Sequential
        && g.edges.iter().any(|x| dealt(&x))
    {
        return Some((&from.name, "runs in parallel and its order is restored behind it"));
    }
    downstream(g, e.to.0).into_iter().find_map(|i| {
        let n = g.nodes.get(i)?;
        if n.accumulation.as_ref().is_some_and(complete_only) {
            return Some((n.name.as_str(), "promises complete results only"));
        }
        n.hints.exact_seq.then_some((n.name.as_str(), "needs every sequence number"))
    })
}

/// A stage and everything behind it.
fn downstream(g: &Graph, start: usize) -> Vec<usize> {
    let mut all = vec![start];
    let mut at = 0;
    while let Some(&i) = all.get(at) {
        at += 1;
        for e in g.edges.iter().filter(|e| e.from.0 == i) {
            if !all.contains(&e.to.0) {
                all.push(e.to.0);
            }
        }
    }
    all
}

/// Whether no partial result leaves: a row dropped before such an accumulator makes a key vanish.
fn complete_only(a: &AccumulationDescriptor) -> bool {
    a.policy.get("on_expire").is_some_and(|p| !p.contains("Partial"))
}

/// P009.
pub(super) fn parallelism(g: &Graph, found: &mut Found) {
    for (i, n) in g.nodes.iter().enumerate() {
        if n.parallelism == Parallelism::Fixed(0) {
            let what = format!("`{}` is to have 0 instances", n.name);
            found.at("P009", g.path_to(i), what, "give at least 1");
        } else if !n.scalable
            && !matches!(n.parallelism, Parallelism::Sequential | Parallelism::Fixed(1))
        {
            let what = format!("`{}` is to run in parallel, but there is one of it", n.name);
            let fix = "put `.parallel(n)` right behind a keyed stage or behind closures that are \
                       `Clone`";
            found.at("P009", g.path_to(i), what, fix);
        }
    }
}

/// P010: nothing makes an incomplete key leave (B78).
pub(super) fn liveness(g: &Graph, found: &mut Found) {
    const WAYS_OUT: [&str; 8] = [
        "expire_after",
        "inactive_after",
        "timeout",
        "idle_timeout",
        "flush_after",
        "max_keys",
        "max_bytes",
        "max_items",
    ];
    for (i, n) in g.nodes.iter().enumerate() {
        let lives = n.accumulation.as_ref().is_some_and(|a| {
            let flushed = a.policy.get("on_end").is_some_and(|p| p != "Keep");
            !flushed && !WAYS_OUT.iter().any(|w| a.policy.contains_key(*w))
        });
        if lives || (n.kind == StageKind::Accumulator && n.accumulation.is_none()) {
            let what = format!("incomplete keys of `{}` never leave", n.name);
            let fix = "give it a deadline, a limit, or a flush at the end of input";
            found.at("P010", g.path_to(i), what, fix);
        }
    }
}

/// P017: every retry has a bound, and tries at least once.
pub(super) fn retries(g: &Graph, found: &mut Found) {
    for (i, n) in g.nodes.iter().enumerate() {
        let own = std::iter::once((n.name.as_str(), n.on_error));
        let fused = n.operators.iter().filter(|o| o.name != n.name);
        for (name, on) in own.chain(fused.map(|o| (o.name.as_str(), o.on_error))) {
            if let OnError::Retry { retry, .. } = on
                && retry.attempts == 0
            {
                let what = format!("`{name}` retries, with 0 attempts");
                found.at("P017", g.path_to(i), what, "give at least 1 attempt");
            }
        }
    }
}
