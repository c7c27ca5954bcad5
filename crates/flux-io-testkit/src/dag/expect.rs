//! What a plan must give, evaluated plainly: one step after the other over whole lists.

use super::plan::{Dag, Op, Port, Step, What};
use super::row::Row;
use flux_io_core::DeadCause;
use std::collections::{BTreeMap, BTreeSet};

/// A row in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The row.
    pub row: Row,
    /// Its number in its source.
    pub seq: u64,
    /// Rows of one lane come in the order of the list; between lanes there is none.
    pub lane: u64,
}

/// A flow: its rows, and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The rows.
    pub cells: Vec<Cell>,
    /// The source all of them come from, if their numbers are still those of one source.
    pub origin: Option<usize>,
    /// What may come, and how often at most, when what does depends on the schedule.
    pub may: Option<BTreeMap<Row, usize>>,
}

impl Bundle {
    /// Whether the rows come in the order of the list.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.cells.windows(2).all(|w| w[0].lane == w[1].lane)
    }

    /// Whether no id comes twice.
    #[must_use]
    pub fn has_unique_ids(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.cells.iter().all(|c| seen.insert(c.row.id))
    }

    /// Whether each number of one source comes at most once.
    #[must_use]
    pub fn has_unique_seqs(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.origin.is_some() && self.cells.iter().all(|c| seen.insert(c.seq))
    }

    /// Whether the numbers of one source rise.
    #[must_use]
    pub fn rises(&self) -> bool {
        self.origin.is_some()
            && self.is_exact()
            && self.cells.windows(2).all(|w| w[0].seq < w[1].seq)
    }
}

/// What is wrong with a plan: it asks for something that promises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

/// What a run must give.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The flow into each sink.
    pub sinks: Vec<Bundle>,
    /// Dead letters by cause.
    pub dead: BTreeMap<DeadCause, u64>,
    /// Causes of which more dead letters may come: those of keys that were lost.
    pub loose: BTreeSet<DeadCause>,
    /// The originals of rows that failed without a panic.
    pub originals: Vec<Row>,
    /// Rows dropped, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Whether what a join drops depends on the schedule.
    pub unsure: bool,
}

impl Expect {
    /// A row that is lost for a cause, as a dead letter or counted under a word.
    pub(crate) fn lose(&mut self, lose: super::Lose, cause: DeadCause, word: &'static str) {
        match lose {
            super::Lose::Letter => *self.dead.entry(cause).or_default() += 1,
            super::Lose::Drop => *self.dropped.entry(word).or_default() += 1,
        }
    }

    /// A row that failed, by error or panic.
    pub(crate) fn fail(&mut self, lose: super::Lose, cause: DeadCause, original: Option<Row>) {
        self.lose(lose, cause, "skip");
        if lose == super::Lose::Letter {
            self.originals.extend(original);
        }
    }
}

/// The evaluation of a plan, step by step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Eval {
    pub(crate) flows: BTreeMap<Port, Bundle>,
    pub(crate) expect: Expect,
}

impl Eval {
    /// The rows of a source.
    pub(crate) fn source(&mut self, n: usize, source: super::SourceOf) {
        let cell = |(seq, row)| Cell { row, seq, lane: n as u64 };
        let cells = (0..).zip(source.all()).map(cell).collect();
        self.flows.insert((n, 0), Bundle { cells, origin: Some(n), may: None });
    }

    /// What a step makes of its inputs, as node `node`.
    pub(crate) fn step(&mut self, dag: &Dag, node: usize, step: &Step) -> Result<(), Invalid> {
        let ins: Option<Vec<&Bundle>> = step.ins.iter().map(|p| self.flows.get(p)).collect();
        let ins = ins.ok_or(Invalid("takes a flow that is not there"))?;
        if ins.is_empty() || ins.iter().any(|b| b.may.is_some()) {
            return Err(Invalid("takes what depends on the schedule"));
        }
        if step.what.joins() != (ins.len() > 1) {
            return Err(Invalid("takes another number of flows"));
        }
        let outs = if step.what.joins() {
            tight(dag, step)?;
            vec![super::join::join(step, &ins, &mut self.expect)?]
        } else if let What::Accumulate(acc) = &step.what {
            vec![super::accumulate::accumulate(step, *acc, ins[0], &mut self.expect)?]
        } else {
            super::step::step(step, ins[0], &mut self.expect)?
        };
        step.ins.iter().for_each(|p| _ = self.flows.remove(p));
        self.flows.extend(outs.into_iter().enumerate().map(|(p, b)| ((node, p), b)));
        Ok(())
    }
}

/// A join that holds less than its inputs may bring leaves one of them waiting, so what it waits
/// for must be able to come without it: its inputs are branches of one fork of a flow in order, which
/// says how far it has come, and of nothing else, or come each from a source of its own.
fn tight(dag: &Dag, step: &Step) -> Result<(), Invalid> {
    let (held, fork) = match step.what {
        What::MergeBySeq { hold, .. } | What::JoinSeq { hold, .. } => (hold, true),
        What::Zip { hold, .. } | What::JoinId { hold, .. } | What::MergeByTime { hold, .. } => {
            (hold, false)
        }
        _ => (None, false),
    };
    if held.is_none() {
        return Ok(());
    }
    let roots: Option<Vec<Port>> = step.ins.iter().map(|p| root(dag, *p)).collect();
    let roots = roots.ok_or(Invalid("holds too little for what holds rows before it"))?;
    let nodes: BTreeSet<usize> = roots.iter().map(|p| p.0).collect();
    let distinct: BTreeSet<&Port> = roots.iter().collect();
    let is_source = |n: &usize| *n < dag.sources.len();
    let fits = if fork {
        let one = nodes.first().copied().filter(|n| nodes.len() == 1 && !is_source(n));
        let whole = |n: usize| dag.outs(n) == distinct.len() && distinct.len() == step.ins.len();
        one.is_some_and(|n| whole(n) && in_order(dag, n))
    } else {
        nodes.len() == step.ins.len() && nodes.iter().all(is_source)
    };
    if fits { Ok(()) } else { Err(Invalid("holds too little for how its inputs branch")) }
}

/// Whether the numbers that a step takes rise, by what the steps before it are.
fn in_order(dag: &Dag, at: usize) -> bool {
    let Some(step) = dag.step(at) else { return true };
    step.ins.iter().all(|&(from, port)| match dag.step(from).map(|s| &s.what) {
        None | Some(What::MergeBySeq { .. } | What::JoinSeq { .. } | What::Resequence { .. }) => {
            true
        }
        Some(What::Calls(c)) if !c.ordered => false,
        Some(What::Accumulate(_)) => false,
        Some(What::Errors) if port > 0 => false,
        Some(What::Fused { ops, parallel: Some(2..) }) if ops.iter().any(Op::expands) => false,
        Some(what) => !what.joins() && in_order(dag, from),
    })
}

/// Where a flow comes from through steps that hold no rows on purpose.
fn root(dag: &Dag, mut at: Port) -> Option<Port> {
    loop {
        let Some(step) = dag.step(at.0) else { return Some(at) };
        match (&step.what, step.ins.as_slice()) {
            (what, _) if what.outs() > 1 => return Some(at),
            (What::Batch(_) | What::Resequence { .. } | What::Accumulate(_), _) => return None,
            (_, [one]) => at = *one,
            _ => return None,
        }
    }
}

impl Dag {
    pub(crate) fn eval(&self) -> Result<Eval, Invalid> {
        let mut eval = Eval::default();
        for (n, s) in self.sources.iter().enumerate() {
            eval.source(n, *s);
        }
        for (i, s) in self.steps.iter().enumerate() {
            eval.step(self, self.sources.len() + i, s)?;
        }
        Ok(eval)
    }

    /// What a run of it must give.
    ///
    /// # Errors
    /// When the plan asks for something that promises nothing.
    pub fn expect(&self) -> Result<Expect, Invalid> {
        let mut eval = self.eval()?;
        let sinks = self.open().into_iter().map(|p| eval.flows.remove(&p).unwrap_or_default());
        eval.expect.sinks = sinks.collect();
        Ok(eval.expect)
    }
}
