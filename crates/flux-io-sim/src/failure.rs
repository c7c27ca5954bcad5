//! A failing run, told: what is wrong, how to see it again, and a test that keeps it.

use crate::choice::stream_to_text;
use crate::trace::Event;
use std::fmt;

/// Lines of the timeline that a failure prints; the rest is in [`Failure::timeline`].
const TOLD_LINES: usize = 40;

/// What kind of failure it is. Shrinking keeps the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// Nothing could run any more, or the run did not end within its bound.
    Stuck,
    /// A rule of every run was broken: a ledger, a leaked timer, a panic that left a task.
    Broken,
    /// The test's oracle said no.
    Oracle,
    /// Two runs of one seed were not the same run.
    Differs,
    /// The text to replay is not a stream; nothing was run.
    NoStream,
}

/// A seed that failed, with its shortest stream found.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What kind of failure.
    pub kind: FailureKind,
    /// What is wrong in the run of the seed.
    pub message: String,
    /// What is wrong in the run of the shrunk stream.
    pub shrunk_message: Option<String>,
    /// The shrunk stream.
    pub stream: Vec<u32>,
    /// Choices of the seed's run.
    pub recorded: usize,
    /// Runs that shrinking took.
    pub shrink_runs: usize,
    /// The options of the shrunk run.
    pub swarm: String,
    /// What happened in the shrunk run.
    pub timeline: Vec<Event>,
    pub(crate) replayed: bool,
}

impl Failure {
    pub(crate) fn no_stream(e: &crate::StreamError) -> Self {
        Self {
            seed: 0,
            kind: FailureKind::NoStream,
            message: e.to_string(),
            shrunk_message: None,
            stream: Vec::new(),
            recorded: 0,
            shrink_runs: 0,
            swarm: String::new(),
            timeline: Vec::new(),
            replayed: true,
        }
    }

    /// Choices of the shrunk stream that are not the plain way.
    #[must_use]
    pub fn choices(&self) -> usize {
        self.stream.iter().filter(|x| **x != 0).count()
    }

    /// The shrunk stream as text for [`crate::Simulation::replay`].
    #[must_use]
    pub fn stream_text(&self) -> String {
        stream_to_text(&self.stream)
    }

    /// A test that replays the shrunk stream; `make_plan` and `oracle` stand for what was given to
    /// `simulate` and `check`.
    #[must_use]
    pub fn test_text(&self) -> String {
        let first = self.message.lines().next().unwrap_or_default();
        format!(
            "/// {first}\n#[test]\nfn simulated_{:x}() {{\n    flux_io_sim::simulate(make_plan)\n        \
             .replay(\"{}\")\n        .check(oracle);\n}}\n",
            self.seed,
            self.stream_text()
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == FailureKind::NoStream {
            return f.write_str(&self.message);
        }
        writeln!(f, "simulated run failed: {}", self.message)?;
        if self.replayed {
            writeln!(f, "reproduce: the replayed stream")?;
        } else {
            writeln!(f, "reproduce: simulate(..).seed({:#x}).check(..)", self.seed)?;
        }
        writeln!(
            f,
            "shrunk from {} choices to {} (stream of {}) in {} runs: simulate(..).replay(\"{}\").check(..)",
            self.recorded,
            self.choices(),
            self.stream.len(),
            self.shrink_runs,
            self.stream_text()
        )?;
        match &self.shrunk_message {
            Some(m) if *m != self.message => writeln!(f, "the shrunk run says: {m}")?,
            Some(_) => {}
            None => writeln!(f, "the run of the recorded stream did not fail again")?,
        }
        writeln!(f, "options: {}", self.swarm)?;
        let skip = self.timeline.len().saturating_sub(TOLD_LINES);
        if skip > 0 {
            writeln!(f, "  ({skip} lines before)")?;
        }
        for l in &self.timeline[skip..] {
            writeln!(f, "  {l}")?;
        }
        write!(f, "keep it as a test, with the same `faults`:\n{}", self.test_text())
    }
}

impl std::error::Error for Failure {}
