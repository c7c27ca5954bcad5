//! A watchdog over a run: it only looks (B65). When nothing has moved for a number of intervals it
//! tells who waits for whom, and then does what its policy says.
//!
//! Progress is counted once a batch, never once a row. A run that is merely idle (every queue is
//! empty, and every task waits for a source that waits for input) is not stuck, however long that
//! takes; it is told as a [`Silence`]. A task that nothing can wake any more is dead, whatever the
//! others do.

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
    /// Fails the run when it is over without having ended: no task can go on by itself
    /// ([`Stuck::is_over`]). A sink, a call or a stage that only takes long is told and left alone.
    FailWhenOver,
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
    /// Waits until a stage of its own takes what it was given.
    Stage,
    /// Waits for a moment before it tries again.
    Time,
    /// Has ended.
    Done,
}

impl Doing {
    pub(crate) const ALL: [Self; 9] = [
        Self::Works,
        Self::Rows,
        Self::Room,
        Self::Outside,
        Self::Sink,
        Self::Calls,
        Self::Stage,
        Self::Time,
        Self::Done,
    ];

    /// What it does, as words behind the name of a task.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Rows => "waits for rows",
            Self::Room => "waits for room",
            Self::Outside => "waits for input from outside",
            Self::Sink => "waits for its sink",
            Self::Calls => "waits for calls in flight",
            Self::Stage => "waits for a stage of its own",
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
    /// Names of tasks that nothing can wake any more: they wait for each other, or for tasks that
    /// have ended.
    pub dead: Vec<String>,
}

impl Stuck {
    /// Whether every task that has not ended is dead: nothing will ever move again.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        !self.dead.is_empty() && self.dead.len() == self.tasks.len()
    }
}

/// Sources that have given nothing for long, while a run waits for them. Not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Their names.
    pub sources: Vec<String>,
    /// How long the one that gave something last has been silent, by the engine's clock.
    pub quiet: Duration,
    /// Stages whose event time stands still until they give something, end, or count as idle.
    /// Empty: every queue is empty, and everybody waits for rows.
    pub holds: Vec<String>,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, have, them) = match self.sources.len() {
            1 => ("source", "has", "it"),
            _ => ("sources", "have", "them"),
        };
        let each = |names: &[String]| {
            names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
        };
        write!(
            f,
            "{what} {} {have} given nothing for {:?}, and ",
            each(&self.sources),
            self.quiet
        )?;
        match &*self.holds {
            [] => write!(f, "everything waits for {them}"),
            holds => write!(f, "the time of {} waits for {them}", each(holds)),
        }
    }
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
        write!(f, "{}", self.waits)?;
        match &*self.dead {
            [] => Ok(()),
            dead => writeln!(f, "  nothing can wake {}", dead.join(", ")),
        }
    }
}
