//! Which executor runs which stage, and why.
//!
//! A stage that must wait, or that computes enough to be worth a hand-off, decides for itself. All
//! others follow a neighbour, so that no batch changes threads without a reason.

use crate::costs::Costs;
use flux_io_core::{Graph, PlanFault, Route, StageKind, StageNode};
use std::fmt;

/// Declared weight of a batch's work, in plain `map`s of a full batch of 1,024 rows, from which on
/// a hand-off to another executor pays: such a `map` takes about a microsecond (1 ns a row), and a
/// hand-off that wakes a sleeping thread some microseconds.
const HEAVY_WEIGHT: f64 = 16.0;

/// Measured work of a full batch from which on a hand-off pays, in nanoseconds: [`HEAVY_WEIGHT`]
/// microseconds.
const HEAVY_NS: u64 = 16_000;

/// The two kinds of work a plan is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Waits,
    Computes,
}

/// Why a stage runs where it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The stage, or its accumulator, prefers this executor by name.
    Asked,
    /// It prefers an executor of this name, which is not here; the reason behind it decided.
    NotHere(String, Box<Self>),
    /// Its connector needs a reactor.
    Reactor,
    /// It is declared to wait for something outside, so it holds no worker that computes.
    Waits,
    /// It is declared to compute much: this many plain `map`s a row, fan-out counted in.
    Declared {
        /// The declared weight of a row, times the rows that come out of it when they are more.
        weight: u64,
        /// Whether it keeps state; its instances stay one a key, or one in all.
        stateful: bool,
    },
    /// It was measured to compute much: so many nanoseconds for a full batch.
    Measured {
        /// Nanoseconds of a full batch.
        batch_ns: u64,
    },
    /// It was measured to compute little: so many nanoseconds for a full batch. It stays with the
    /// stage named, if there is one that decides for itself.
    Light {
        /// Nanoseconds of a full batch.
        batch_ns: u64,
        /// The neighbour.
        with: Option<String>,
    },
    /// Nothing was declared or measured: it stays with this neighbour.
    With(String),
    /// Nothing was declared or measured in the whole plan.
    Nothing,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for by name"),
            Self::NotHere(name, then) => write!(f, "`{name}` is not here; {then}"),
            Self::Reactor => f.write_str("its connector needs a reactor"),
            Self::Waits => f.write_str("declared to wait"),
            Self::Declared { weight, stateful } => {
                let state = if *stateful { ", its state stays whole" } else { "" };
                write!(f, "declared to compute, weight {weight}{state}")
            }
            Self::Measured { batch_ns } => {
                write!(f, "measured to compute, {} us a batch", batch_ns / 1_000)
            }
            Self::Light { batch_ns, with } => {
                write!(f, "measured to be light, {} us a batch", batch_ns / 1_000)?;
                with.as_ref().map_or(Ok(()), |n| write!(f, "; stays with `{n}`"))
            }
            Self::With(name) => write!(f, "nothing declared; stays with `{name}`"),
            Self::Nothing => f.write_str("nothing declared"),
        }
    }
}

/// One stage's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The stage.
    pub stage: String,
    /// The name of its executor.
    pub executor: &'static str,
    /// Why.
    pub why: Why,
    pub(crate) work: Work,
}

/// Which executor runs which stage: a row a stage, in plan order. `Display` is a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    rows: Vec<Assigned>,
}

impl Assignment {
    /// The rows, in plan order.
    #[must_use]
    pub fn rows(&self) -> &[Assigned] {
        &self.rows
    }

    /// The name of the executor of a stage.
    #[must_use]
    pub fn executor(&self, stage: &str) -> Option<&'static str> {
        self.rows.iter().find(|r| r.stage == stage).map(|r| r.executor)
    }

    pub(crate) fn work(&self, stage: &str) -> Option<Work> {
        self.rows.iter().find(|r| r.stage == stage).map(|r| r.work)
    }

    pub(crate) fn uses(&self, work: Work) -> bool {
        self.rows.iter().any(|r| r.work == work)
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |of: fn(&Assigned) -> usize| self.rows.iter().map(of).max().unwrap_or(0);
        let (a, b) = (widest(|r| r.stage.len()), widest(|r| r.executor.len()));
        for r in &self.rows {
            writeln!(f, "{:a$}  {:b$}  {}", r.stage, r.executor, r.why)?;
        }
        Ok(())
    }
}

/// What there is to choose from.
pub(crate) struct Executors {
    pub(crate) waits: &'static str,
    pub(crate) computes: &'static str,
    /// Which of the two has a reactor, if one has.
    pub(crate) reactor: Option<Work>,
}

impl Executors {
    const fn name(&self, work: Work) -> &'static str {
        match work {
            Work::Waits => self.waits,
            Work::Computes => self.computes,
        }
    }

    fn called(&self, name: &str) -> Option<Work> {
        match name {
            n if n == self.waits => Some(Work::Waits),
            n if n == self.computes => Some(Work::Computes),
            _ => None,
        }
    }
}

/// A stage's own word on its place: settled, or what it says beside following a neighbour.
enum Own {
    Settled(Work, Why),
    Follows { light: Option<u64>, not_here: Option<String> },
}

pub(crate) fn assign(
    graph: &Graph,
    costs: &Costs,
    max_rows: usize,
    executors: &Executors,
) -> Result<Assignment, PlanFault> {
    if executors.reactor.is_none() {
        graph.without_reactor("hybrid")?;
    }
    let own: Vec<Own> = graph.nodes.iter().map(|n| own(n, costs, max_rows, executors)).collect();
    let settled = |i: usize| match own.get(i) {
        Some(Own::Settled(w, _)) => Some(*w),
        _ => None,
    };
    // A stage that nothing connects to a settled one opens no lane of its own.
    let all: Vec<Work> = (0..own.len()).filter_map(settled).collect();
    let alone = if !all.is_empty() && all.iter().all(|w| *w == Work::Computes) {
        Work::Computes
    } else {
        Work::Waits
    };
    let rows = graph.nodes.iter().zip(&own).enumerate().map(|(i, (n, o))| {
        let (work, why) = match o {
            Own::Settled(work, why) => (*work, why.clone()),
            Own::Follows { light, not_here } => {
                let leader = leader(graph, i, &settled);
                let work = leader.and_then(&settled).unwrap_or(alone);
                let with = leader.and_then(|l| graph.nodes.get(l)).map(|n| n.name.clone());
                let why = match (light, with) {
                    (Some(batch_ns), with) => Why::Light { batch_ns: *batch_ns, with },
                    (None, Some(name)) => Why::With(name),
                    (None, None) => Why::Nothing,
                };
                let why = match not_here {
                    Some(name) => Why::NotHere(name.clone(), Box::new(why)),
                    None => why,
                };
                (work, why)
            }
        };
        Assigned { stage: n.name.clone(), executor: executors.name(work), why, work }
    });
    Ok(Assignment { rows: rows.collect() })
}

/// What a stage says of itself, the strongest word first. Parallelism, routes and order are the
/// plan's: a place changes none of them, so state is divided by key alone (B57).
fn own(n: &StageNode, costs: &Costs, max_rows: usize, executors: &Executors) -> Own {
    let asked = n.accumulation.as_ref().and_then(|a| a.engine_hint.as_ref());
    let asked = n.hints.engine.as_ref().or(asked);
    if let Some(work) = asked.and_then(|name| executors.called(name)) {
        return Own::Settled(work, Why::Asked);
    }
    match (settle(n, costs, max_rows, executors), asked) {
        (Own::Settled(work, why), Some(name)) => {
            Own::Settled(work, Why::NotHere(name.clone(), Box::new(why)))
        }
        (Own::Follows { light, .. }, Some(name)) => {
            Own::Follows { light, not_here: Some(name.clone()) }
        }
        (own, None) => own,
    }
}

fn settle(n: &StageNode, costs: &Costs, max_rows: usize, executors: &Executors) -> Own {
    if let Some(reactor) = executors.reactor
        && n.connector.as_ref().is_some_and(|c| c.needs_reactor)
    {
        return Own::Settled(reactor, Why::Reactor);
    }
    if n.hints.waits {
        return Own::Settled(Work::Waits, Why::Waits);
    }
    if let Some(batch_ns) = costs.get(&n.name).and_then(|c| c.of_batch(max_rows)) {
        return if batch_ns >= HEAVY_NS {
            Own::Settled(Work::Computes, Why::Measured { batch_ns })
        } else {
            Own::Follows { light: Some(batch_ns), not_here: None }
        };
    }
    let fan_out = n.hints.rows_out_per_in.filter(|r| r.is_finite()).map_or(1.0, |r| r.max(1.0));
    let weight = f64::from(n.hints.cpu) * f64::from(fan_out);
    if weight >= HEAVY_WEIGHT {
        // A finite weight of at most 2^32 rows' fan-out.
        let why = Why::Declared { weight: weight as u64, stateful: n.hints.stateful };
        return Own::Settled(Work::Computes, why);
    }
    Own::Follows { light: None, not_here: None }
}

/// The settled stage that stage `i` stays with. Coarse stages (accumulators, merges, branches)
/// and everything behind an exchange look for one that computes first, since that is where there
/// are workers for their instances; all others take the nearest upstream, then downstream.
fn leader(graph: &Graph, i: usize, settled: &dyn Fn(usize) -> Option<Work>) -> Option<usize> {
    let up = nearest(graph, i, settled, |e| (e.to.0, e.from.0));
    let down = nearest(graph, i, settled, |e| (e.from.0, e.to.0));
    let exchanged = graph.edges.iter().any(|e| e.to.0 == i && e.channel.route == Route::Hash);
    let coarse = matches!(
        graph.nodes.get(i).map(|n| n.kind),
        Some(StageKind::Accumulator | StageKind::Merge | StageKind::Branch)
    );
    let computes = |l: &Option<usize>| l.and_then(settled) == Some(Work::Computes);
    match (up, down) {
        (up, down) if (coarse || exchanged) && computes(&down) && !computes(&up) => down,
        (Some(up), _) => Some(up),
        (None, down) => down,
    }
}

/// The nearest settled stage in one direction, breadth first, in the order of the edges.
fn nearest(
    graph: &Graph,
    from: usize,
    settled: &dyn Fn(usize) -> Option<Work>,
    ends: impl Fn(&flux_io_core::GraphEdge) -> (usize, usize),
) -> Option<usize> {
    let mut seen = vec![from];
    let mut at = 0;
    while let Some(i) = seen.get(at).copied() {
        at += 1;
        for e in &graph.edges {
            let (here, there) = ends(e);
            if here == i && !seen.contains(&there) {
                if settled(there).is_some() {
                    return Some(there);
                }
                seen.push(there);
            }
        }
    }
    None
}
