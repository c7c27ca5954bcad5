//! A watchdog over a run: it only looks (B65). When nothing has moved for a number of intervals it
//! tells who waits for whom, and then does what its policy says.
//!
//! Progress is counted once a batch, never once a row. A run that is merely idle (every source
//! waits for input, every queue is empty) is not stuck, however long that takes.

use crate::edge::QueueView;
use crate::time::Moment;
use crate::wait_for::WaitFor;
use std::fmt;
use std::time::Duration;

/// When a run counts as stuck, and what then.
///
/// It is a task of the run, on the engine's clock and workers. So it sees whatever makes every task
/// wait, or spin without passing anything on; what it cannot see is a call of user code that never
/// returns while no other worker is free to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// Time between two looks. At least a millisecond.
    pub every: Duration,
    /// Looks without progress after which the run is stuck, at least 1. Together they must be
    /// longer than the longest call of a stage or sink.
    pub intervals: u32,
    /// What then.
    pub then: OnStuck,
}

/// What a watchdog does with a run that is stuck. It always tells the observer
/// ([`Observer::on_stuck`](crate::Observer)) and the report ([`RunReport::stuck`](crate::RunReport)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStuck {
    /// Nothing more; it looks again when something has moved.
    #[default]
    Report,
    /// Asks every accumulator to give what it holds, once; if that moves nothing, the run fails.
    Flush,
    /// Aborts the run.
    Abort,
    /// Fails the run, with the dump as the reason.
    Fail,
}

impl Watchdog {
    /// A watchdog that only reports, after `intervals` intervals without progress.
    #[must_use]
    pub const fn new(every: Duration, intervals: u32) -> Self {
        Self { every, intervals, then: OnStuck::Report }
    }

    /// What to do with a run that is stuck.
    #[must_use]
    pub const fn then(mut self, then: OnStuck) -> Self {
        self.then = then;
        self
    }
}

/// What a task does between two steps of progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// Runs, or is ready to.
    #[default]
    Works,
    /// Waits for rows of another task.
    Rows,
    /// Waits for room in a queue.
    Room,
    /// Waits for input from outside.
    Outside,
    /// Waits for its sink.
    Sink,
    /// Waits for calls in flight.
    Calls,
    /// Waits for a moment before it tries again.
    Time,
    /// Has ended.
    Done,
}

impl Doing {
    pub(crate) const ALL: [Self; 8] = [
        Self::Works,
        Self::Rows,
        Self::Room,
        Self::Outside,
        Self::Sink,
        Self::Calls,
        Self::Time,
        Self::Done,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Rows => "waits for rows",
            Self::Room => "waits for room",
            Self::Outside => "waits for input from outside",
            Self::Sink => "waits for its sink",
            Self::Calls => "waits for calls in flight",
            Self::Time => "waits to try again",
            Self::Done => "has ended",
        }
    }
}

/// A task of a run that is stuck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckTask {
    /// The name of its first stage and its instance.
    pub name: String,
    /// The stages it drives.
    pub stages: Vec<String>,
    /// What it does.
    pub doing: Doing,
    /// The moment it waits for at the longest, if there is one.
    pub until: Option<Moment>,
}

/// A run without progress: its tasks, its queues, and who waits for whom. `Display` is the dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// How long nothing has moved, by the engine's clock.
    pub quiet: Duration,
    /// The tasks that have not ended.
    pub tasks: Vec<StuckTask>,
    /// The queues between them.
    pub queues: Vec<QueueView>,
    /// Who waits for whom.
    pub waits: WaitFor,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no progress for {:?}", self.quiet)?;
        for t in &self.tasks {
            write!(f, "  task {} [{}] {}", t.name, t.stages.join(" -> "), t.doing.as_str())?;
            match t.until {
                Some(at) => writeln!(f, ", at the longest until {}ns", at.0)?,
                None => writeln!(f)?,
            }
        }
        self.queues.iter().try_for_each(|q| writeln!(f, "  {q}"))?;
        write!(f, "{}", self.waits)
    }
}
