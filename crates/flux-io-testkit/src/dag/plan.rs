//! A plan as data.

use super::row::{Row, mix};
use std::fmt;

/// A node (sources first, then steps) and one of its outputs.
pub type Port = (usize, usize);

/// A plan, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dag {
    /// Where rows come from.
    pub sources: Vec<SourceOf>,
    /// What is done with them, each step behind those it takes from.
    pub steps: Vec<Step>,
    /// How the sinks behave; the n-th open port has the n-th mood, in turn.
    pub moods: Vec<Mood>,
    /// Sizes and switches of the run.
    pub setting: Setting,
}

/// What kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// An iterator: never waits.
    Iter,
    /// A channel that a thread feeds.
    Fed,
    /// An async function that often has nothing at once.
    Awaited,
    /// Gives some rows, then nothing for a while, by the engine's clock.
    Quiet,
}

/// A source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceOf {
    /// What kind.
    pub kind: SourceKind,
    /// How many rows.
    pub rows: u64,
    /// The id of the first row.
    pub first: u64,
    /// How far ids are apart.
    pub apart: u64,
    /// Each so manieth fill fails in a way that passes, before it has given a row; 0 is never.
    pub fails: u32,
    /// Behind each so manieth fill a checkpoint is asked for: far more than can go through, so that
    /// sources see different ones; 0 is never.
    pub asks: u32,
}

impl SourceOf {
    /// The n-th row.
    #[must_use]
    pub const fn row(self, n: u64) -> Row {
        let id = self.first + n * self.apart;
        Row { id, value: mix(self.first, id) }
    }

    /// All rows.
    pub fn all(self) -> impl Iterator<Item = Row> + Send {
        (0..self.rows).map(move |n| self.row(n))
    }
}

/// A step: what it takes, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The flows it takes.
    pub ins: Vec<Port>,
    /// What its closures depend on.
    pub salt: u64,
    /// What it does.
    pub what: What,
}

/// What becomes of a row that fails or that nothing can be done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lose {
    /// It becomes a dead letter.
    Letter,
    /// It is dropped and counted.
    Drop,
}

/// An operator of a fused segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// Which.
    pub kind: OpKind,
    /// What its closure depends on.
    pub salt: u64,
    /// Whether its closure panics on poison.
    pub poison: bool,
    /// What becomes of rows that fail.
    pub lose: Lose,
}

impl Op {
    /// Whether it may give several rows for one, which are numbered anew then.
    pub(crate) const fn expands(&self) -> bool {
        matches!(self.kind, OpKind::Flat(_))
    }
}

/// Operators that fuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// `map`.
    Map,
    /// `filter`: of so many rows one goes; of a negative number, one stays.
    Filter(i64),
    /// `filter`: rows whose ids lie in this range go.
    Gap(u64, u64),
    /// `flat_map`, to at most so many rows.
    Flat(u64),
    /// `try_map` with so many attempts, so many µs apart.
    Try(u32, u64),
}

/// How calls answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// At once.
    Now,
    /// After some polls.
    Yields,
    /// After some time, by the engine's clock.
    Sleeps,
}

/// Calls for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallsOf {
    /// At once, at most.
    pub limit: usize,
    /// In the order of the rows.
    pub ordered: bool,
    /// How they answer.
    pub answers: Answers,
    /// Whether they have a time limit, which they never reach.
    pub timeout: bool,
    /// Whether slow ones are made again.
    pub hedge: bool,
    /// Attempts where calls fail; 0: none fails.
    pub attempts: u32,
    /// Whether the closure, or the future, panics on poison.
    pub poison: bool,
    /// What becomes of rows that fail.
    pub lose: Lose,
}

/// What of an accumulator panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// Nothing.
    Nothing,
    /// The closure of `key_by`: it costs the row.
    Key,
    /// The closure that says which variable a row is: it costs the row.
    Var,
    /// `merge` gives an error and leaves the state as it was: it costs the row.
    TryMerge,
    /// `merge`: it costs the key.
    Merge,
    /// `check`: it costs the key.
    Check,
    /// `weigh`: it costs the key.
    Weigh,
    /// `finish`: it costs the key.
    Finish,
}

impl Breaks {
    /// Whether it costs all of a key, not one row.
    #[must_use]
    pub const fn costs_key(self) -> bool {
        matches!(self, Self::Merge | Self::Check | Self::Weigh | Self::Finish)
    }
}

/// When an accumulator gives a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// With each row.
    Each,
    /// With so many rows; then it opens again.
    Rounds(u32),
    /// At the end.
    AtEnd,
    /// With a row of so many variables; then it opens again, or stays a tombstone.
    Vars(u16, bool),
}

/// An accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acc {
    /// How many keys.
    pub keys: u64,
    /// When they are given.
    pub gives: Gives,
    /// What panics.
    pub breaks: Breaks,
    /// Instances.
    pub parallel: u32,
    /// Whether its state is part of checkpoints.
    pub durable: bool,
}

impl Acc {
    /// Whether closures that cost a key may panic on this one.
    #[must_use]
    pub const fn bad_key(self, key: u64) -> bool {
        self.breaks.costs_key() && key % 5 == 3
    }
}

/// How rows are joined by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdJoin {
    /// A row of each flow.
    All,
    /// The first of an id.
    First,
    /// So many rows of an id.
    Quorum(usize),
}

/// What a step does. A `hold` of `None` is the default one, greater than any flow of these plans.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the builder's words")]
pub enum What {
    Fused {
        ops: Vec<Op>,
        parallel: Option<u32>,
    },
    Scan {
        poison: bool,
        lose: Lose,
        durable: bool,
    },
    Calls(CallsOf),
    Batch(usize),
    Buffer(usize),
    Barrier,
    /// Rows out of order, one source's, again in the order of their numbers.
    Resequence {
        durable: bool,
    },
    /// A `try_map` whose failures are a flow of their own.
    Errors,
    Split {
        poison: bool,
        lose: Lose,
    },
    /// One row of so many goes nowhere.
    Route {
        n: usize,
        lose: Lose,
        poison: bool,
    },
    Broadcast(usize),
    Merge,
    MergeBySeq {
        hold: Option<usize>,
        durable: bool,
    },
    Zip {
        hold: Option<usize>,
        rest: Lose,
    },
    ZipLongest,
    JoinPlace {
        rest: Lose,
    },
    JoinSeq {
        partial: bool,
        hold: Option<usize>,
        rest: Lose,
    },
    JoinId {
        how: IdJoin,
        partial: bool,
        hold: Option<usize>,
        poison: bool,
        rest: Lose,
    },
    Accumulate(Acc),
    /// Rows get event times: their ids, or times of no order. Nothing behind it is decided by time
    /// but a `MergeByTime`, which has one of its own.
    EventTime {
        ordered: bool,
    },
    /// Flows with ids that never fall, merged in the order of their ids.
    MergeByTime {
        hold: Option<usize>,
        durable: bool,
    },
    /// Asks for a checkpoint, or announces policies, at each so manieth row.
    Ask {
        every: u64,
        policy: bool,
    },
}

impl What {
    /// How many flows it gives.
    #[must_use]
    pub const fn outs(&self) -> usize {
        match self {
            Self::Split { .. } | Self::Errors => 2,
            Self::Route { n, .. } | Self::Broadcast(n) => *n,
            _ => 1,
        }
    }

    /// Whether it takes several flows.
    #[must_use]
    pub const fn joins(&self) -> bool {
        use What as W;
        matches!(
            self,
            W::Merge
                | W::MergeBySeq { .. }
                | W::MergeByTime { .. }
                | W::Zip { .. }
                | W::ZipLongest
                | W::JoinPlace { .. }
                | W::JoinSeq { .. }
                | W::JoinId { .. }
        )
    }
}

/// How a sink behaves; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mood {
    /// Each so manieth write takes some time.
    pub sleeps: u32,
    /// Each so manieth write fails in a way that passes, before or behind half of its rows.
    pub fails: u32,
}

/// Sizes and switches of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Batches of an edge.
    pub edge: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// Workers.
    pub workers: u32,
    /// Whether stages share tasks.
    pub chain: bool,
    /// Whether there is somewhere to keep snapshots.
    pub store: bool,
    /// A checkpoint is asked for each so many µs while the run goes on; 0 is never.
    pub ticks: u64,
    /// Whether dead letters have a sink.
    pub letters: bool,
    /// The run's seed.
    pub seed: u64,
}

impl Dag {
    /// The flows that no step takes, in order: each has a sink.
    #[must_use]
    pub fn open(&self) -> Vec<Port> {
        let nodes = self.sources.len() + self.steps.len();
        let ports = (0..nodes).flat_map(|n| (0..self.outs(n)).map(move |p| (n, p)));
        let taken = |p: &Port| self.steps.iter().any(|s| s.ins.contains(p));
        ports.filter(|p| !taken(p)).collect()
    }

    /// How many flows a node gives.
    #[must_use]
    pub fn outs(&self, node: usize) -> usize {
        self.step(node).map_or(1, |s| s.what.outs())
    }

    /// The step that a node is, unless it is a source.
    #[must_use]
    pub fn step(&self, node: usize) -> Option<&Step> {
        node.checked_sub(self.sources.len()).and_then(|i| self.steps.get(i))
    }
}

impl fmt::Display for Dag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, s) in self.sources.iter().enumerate() {
            writeln!(f, "n{n}: {s:?}")?;
        }
        for (i, s) in self.steps.iter().enumerate() {
            let ins: Vec<String> = s.ins.iter().map(|(n, p)| format!("n{n}.{p}")).collect();
            let n = self.sources.len() + i;
            writeln!(f, "n{n}: [{}] salt {:#x} {:?}", ins.join(", "), s.salt, s.what)?;
        }
        let open: Vec<String> = self.open().iter().map(|(n, p)| format!("n{n}.{p}")).collect();
        writeln!(f, "sinks: [{}] {:?}", open.join(", "), self.moods)?;
        write!(f, "{:?}", self.setting)
    }
}
