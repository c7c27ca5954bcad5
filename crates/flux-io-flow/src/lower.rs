//! From a description to an execution plan: validation, planner passes, bodies.

use crate::draft::{Draft, Place, Shared};
use crate::flow::NO_CODEC;
use crate::join::HELD_ROWS_PARAM as HELD_ROWS;
use crate::validate::{
    PlanFaults, Starves, asks, by_id, entangled, in_step, may_starve, silent, upstream, validate,
};
use flux_io_core::{Body, ExecutionPlan, GiveUp, Graph, OnError, StageKind, StageNode};

/// Validates what was described, runs the passes, validates again, makes the bodies.
pub(crate) fn finish<'env>(draft: &Shared<'env>) -> Result<ExecutionPlan<'env>, PlanFaults> {
    let Draft { mut graph, bodies, passes, dead_letters, mut faults, .. } = draft.take();
    if let Err(more) = validate(&graph, dead_letters) {
        faults.extend(more.0);
    }
    if !faults.is_empty() {
        return Err(PlanFaults(faults));
    }
    for pass in &passes {
        pass.run(&mut graph).map_err(PlanFaults)?;
    }
    if !passes.is_empty() {
        validate(&graph, dead_letters)?;
    }
    let places = places(&graph);
    decide(&mut graph, &places);
    decide_durable(&mut graph);
    decide_waits(&mut graph);
    decide_stalls(&mut graph, &places);
    let make = bodies.into_iter().zip(graph.nodes.iter().zip(&places));
    let bodies: Vec<Body<'env>> = make
        .map(|(make, (node, at))| {
            let Stands { track, tell, in_step, entangled } = *at;
            make(&Place { node, track, tell, in_step, entangled })
        })
        .collect();
    Ok(ExecutionPlan { graph, bodies, dead_letters })
}

/// How a stage stands in its graph: see [`Place`].
#[derive(Clone, Copy)]
struct Stands {
    track: bool,
    tell: bool,
    in_step: Option<u64>,
    entangled: bool,
}

/// Exact sequence numbers are needed (law C6) by a stage that declares it, by a join of branches by
/// id, and by one that writes dead letters.
fn places(graph: &Graph) -> Vec<Stands> {
    let ids = |i: usize| graph.nodes.get(i).is_some_and(by_id);
    let silent = silent(graph);
    let stepping: Vec<Option<u64>> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(i, n)| asks(n).then(|| in_step(graph, i, &silent))?)
        .collect();
    let asks = |i: usize, n: &StageNode| n.hints.exact_seq || stepping[i].is_some();
    let tell = upstream(graph, |i, n| n.kind == StageKind::Merge && asks(i, n));
    let track = upstream(graph, |i, n| {
        let dead = |on: OnError| on.finally() == GiveUp::DeadLetter;
        asks(i, n) || dead(n.on_error) || n.operators.iter().any(|o| dead(o.on_error))
    });
    let stands = |i: usize| Stands {
        track: track[i],
        tell: tell[i] && !silent[i],
        in_step: stepping[i],
        entangled: ids(i) && entangled(graph, i),
    };
    (0..graph.nodes.len()).map(stands).collect()
}

/// Says where checkpoints will fail, since a state cannot be written.
fn decide_durable(graph: &mut Graph) {
    let state = (
        "cannot be checkpointed: a run gives up every checkpoint here",
        "`scan` keeps a state without a codec; say `.durable(save, load)` behind it",
    );
    let rows = (
        "may not be checkpointed: a run gives up checkpoints that find rows held here",
        "rows are held without a codec; say `Hold::durable(save, load)`",
    );
    let refuses = |n: &StageNode| {
        let (word, _) = n.params.iter().find(|(_, v)| *v == NO_CODEC)?;
        let told = if word == HELD_ROWS { rows } else { state };
        Some((n.name.clone(), told))
    };
    let found: Vec<_> = graph.nodes.iter().filter_map(refuses).collect();
    for (name, (what, why)) in found {
        graph.decide("checkpoint", &name, what.to_owned(), why.to_owned());
    }
}

/// Says where a join of branches may wait for what a branch has dropped (B24).
fn decide_waits(graph: &mut Graph) {
    for (name, starves) in may_starve(graph) {
        let what = match starves {
            Starves::Silent(odd) => format!(
                "waits for as long as its inputs live: should `{odd}` drop more rows in a row than \
                 are held and buffered, its branches wait for each other"
            ),
            Starves::Lag(ahead, hold) => format!(
                "waits for as long as its inputs live: one branch is {ahead} rows behind the other, \
                 and it holds {hold}; should they not fit between, its branches wait for each other"
            ),
        };
        let why = "it has no patience; say `Hold::patience(d)`";
        graph.decide("joins", &name, what, why.to_owned());
    }
}

/// Says where a join by id gives ids up since its inputs may wait for each other.
fn decide_stalls(graph: &mut Graph, places: &[Stands]) {
    let stalls = |(n, at): &(&StageNode, &Stands)| {
        at.entangled && at.in_step.is_none() && !n.params.contains_key("patience_ns")
    };
    let all = graph.nodes.iter().zip(places).filter(stalls);
    for name in all.map(|(n, _)| n.name.clone()).collect::<Vec<_>>() {
        let what = format!(
            "gives the older half of its ids up when it is full and no row has come for {:?}",
            crate::join::STALL
        );
        let why = "its inputs may wait for each other, and do not all tell how far they have come; \
                   hold more, or say `Hold::patience(d)`";
        graph.decide("joins", &name, what, why.to_owned());
    }
}

fn decide(graph: &mut Graph, places: &[Stands]) {
    let names: Vec<_> = graph
        .nodes
        .iter()
        .zip(places)
        .filter(|(n, at)| at.track && n.kind != StageKind::Source)
        .map(|(n, _)| n.name.clone())
        .collect();
    for name in names {
        let what = "rows keep exact sequence numbers".to_owned();
        let why = "a stage downstream declares that it needs them, or writes dead letters";
        graph.decide("sequence", &name, what, why.to_owned());
    }
}
