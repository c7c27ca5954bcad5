//! `simulate(make).seeds(n).check(oracle)`: the form in which a user's test asks for a simulation.

use crate::choice::{Recorder, StreamError, stream_from_text};
use crate::engine::{Bounds, Session, SimRun, run};
use crate::explore::{Exhaustive, Explorer};
use crate::failure::{Failure, FailureKind};
use crate::fault::Faults;
use crate::shrink::{shrink, trimmed};
use crate::stats::SimStats;
use crate::strategy::{ScheduleController, Strategy};
use crate::swarm::Swarm;
use crate::trace::Trace;
use crate::world::World;
use flux_io_core::ExecutionPlan;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Runs a failing stream may cost while it is made shorter.
const SHRINK_RUNS: usize = 3_000;
/// Steps that these runs may take together.
const SHRINK_STEPS: u64 = 500_000;

/// Simulates the pipelines that `make` describes.
///
/// `make` is called once a run. It asks the [`Swarm`] for sizes and for sources and sinks with
/// faults, and gives the plan beside whatever the test collects. Everything it uses must come from
/// there: a second run of one seed must be the same run.
///
/// ```
/// use flux_io_sim::simulate;
/// # use flux_io_core::*;
/// # use std::sync::{Arc, Mutex};
/// # struct Count(u32);
/// # impl Source for Count {
/// #     type Col = Vec<u32>;
/// #     async fn fill(&mut self, out: &mut Batch<Vec<u32>>, cx: &IoCx) -> Result<Filled, StageError> {
/// #         let n = self.0.min(cx.max_rows() as u32);
/// #         out.col.extend((0..n).map(|i| self.0 - i));
/// #         self.0 -= n;
/// #         Ok(if self.0 == 0 { Filled::End } else { Filled::More })
/// #     }
/// # }
/// # #[derive(Clone, Default)]
/// # struct Seen(Arc<Mutex<Vec<u32>>>);
/// # impl Sink for Seen {
/// #     type Col = Vec<u32>;
/// #     async fn write(&mut self, b: &mut Batch<Vec<u32>>, _: &IoCx) -> Result<(), StageError> {
/// #         self.0.lock().unwrap().append(&mut b.col);
/// #         Ok(())
/// #     }
/// # }
/// # fn plan(source: impl Source<Col = Vec<u32>> + 'static, sink: impl Sink<Col = Vec<u32>> + 'static) -> ExecutionPlan<'static> {
/// #     let c = ColumnType::of::<Vec<u32>>();
/// #     let mut graph = Graph::default();
/// #     graph.nodes.push(StageNode::new("count", StageKind::Source, vec![], vec![c]));
/// #     graph.nodes.push(StageNode::new("seen", StageKind::Sink, vec![c], vec![]));
/// #     graph.edges.push(GraphEdge { from: (0, 0), to: (1, 0), channel: ChannelDescriptor::default() });
/// #     let bodies = vec![
/// #         Body::Source(Box::new(ErasedSource::new(source, SourceId(0)))),
/// #         Body::Sink(Box::new(ErasedSink(sink))),
/// #     ];
/// #     ExecutionPlan { graph, bodies, dead_letters: None }
/// # }
/// let stats = simulate(|swarm| {
///     let n = swarm.pick(1, 100);
///     let seen = Seen::default();
///     let source = swarm.source("count", Count(n));
///     let sink = swarm.sink("seen", seen.clone());
///     (plan(source, sink), (n, seen))
/// })
/// .seeds(50)
/// .check(|_run, (n, seen)| {
///     let want: Vec<u32> = (1..=n).rev().collect();
///     let got = seen.0.lock().unwrap().clone();
///     if got == want { Ok(()) } else { Err(format!("{got:?} instead of {n}..=1")) }
/// });
/// assert_eq!(stats.runs, 50);
/// ```
pub fn simulate<T, F>(make: F) -> Simulation<F>
where
    F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
{
    Simulation {
        make,
        first: 0,
        seeds: 1,
        stream: None,
        faults: Faults::harmless(),
        strategy: None,
        twice: false,
        bounds: Bounds { faulty: 20_000, heal: 200_000 },
        shrink_runs: SHRINK_RUNS,
        exhaustive: None,
        controller: None,
    }
}

/// A simulation to be run: see [`simulate`].
pub struct Simulation<F> {
    make: F,
    first: u64,
    seeds: u64,
    stream: Option<Result<Vec<u32>, StreamError>>,
    faults: Faults,
    strategy: Option<Strategy>,
    twice: bool,
    bounds: Bounds,
    shrink_runs: usize,
    exhaustive: Option<Exhaustive>,
    controller: Option<Box<dyn ScheduleController>>,
}

impl<F> fmt::Debug for Simulation<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulation({} seeds from {:#x})", self.seeds, self.first)
    }
}

impl<F> Simulation<F> {
    /// Runs `n` seeds.
    #[must_use]
    pub const fn seeds(mut self, n: u64) -> Self {
        self.seeds = n;
        self
    }

    /// The first seed; 0 unless told. Several processes share the work by starting apart.
    #[must_use]
    pub const fn from(mut self, seed: u64) -> Self {
        self.first = seed;
        self
    }

    /// Runs this seed only.
    #[must_use]
    pub const fn seed(self, seed: u64) -> Self {
        self.from(seed).seeds(1)
    }

    /// Runs one recorded stream only, as a failure printed it. A text that is no stream is a
    /// failure of the check.
    #[must_use]
    pub fn replay(mut self, stream: &str) -> Self {
        self.stream = Some(stream_from_text(stream));
        self.seed(0)
    }

    /// The faults to draw from; [`Faults::harmless`] unless told.
    #[must_use]
    pub const fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// One strategy for all seeds; a mixture by seed unless told ([`Strategy::of_seed`]).
    #[must_use]
    pub const fn strategy(mut self, s: Strategy) -> Self {
        self.strategy = Some(s);
        self
    }

    /// Lets `controller` choose what runs next, in place of a strategy. Its choices are recorded as
    /// any others, so a failure replays without it.
    #[must_use]
    pub fn controller(mut self, controller: impl ScheduleController + 'static) -> Self {
        self.controller = Some(Box::new(controller));
        self
    }

    /// Runs every seed twice and compares the hashes of what happened: finds plans that depend on
    /// something outside of the simulation (addresses, a clock, the order of a hash map).
    #[must_use]
    pub const fn twice(mut self) -> Self {
        self.twice = true;
        self
    }

    /// Walks every schedule within `limits` instead of drawing from seeds: what runs next, and which
    /// of tied timers fires. Sizes are the plain ones unless the plan's maker sets the fields of its
    /// [`Swarm`], batches are whole, no fault strikes. For small configurations: few tasks, few
    /// batches.
    #[must_use]
    pub const fn exhaustive(mut self, limits: Exhaustive) -> Self {
        self.exhaustive = Some(limits);
        self
    }

    /// Runs that making a failing stream short may cost; 3,000 unless told, 0 for none.
    #[must_use]
    pub const fn shrink_runs(mut self, runs: usize) -> Self {
        self.shrink_runs = runs;
        self
    }

    /// Steps within which a run must end after its faults did; 200,000 unless told.
    #[must_use]
    pub const fn bound(mut self, steps: u64) -> Self {
        self.bounds.heal = steps;
        self
    }
}

/// What one run was and why it failed, if it did.
pub(crate) struct Tried {
    pub(crate) run: SimRun,
    pub(crate) fault: Option<(FailureKind, String)>,
}

impl<F> Simulation<F> {
    /// Runs all seeds; the first that fails is shrunk and told.
    ///
    /// # Panics
    /// When a seed fails, with the seed, the shrunk stream and a test that replays it.
    #[track_caller]
    #[expect(clippy::panic, reason = "a check that fails must fail the test that asked for it")]
    pub fn check<T>(self, oracle: impl FnMut(&SimRun, T) -> Result<(), String>) -> SimStats
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        match self.try_check(oracle) {
            Ok(stats) => stats,
            Err(f) => panic!("{f}"),
        }
    }

    /// Like [`Simulation::check`], with the failure as a value.
    ///
    /// # Errors
    /// The first failing seed, shrunk.
    pub fn try_check<T>(
        mut self,
        mut oracle: impl FnMut(&SimRun, T) -> Result<(), String>,
    ) -> Result<SimStats, Box<Failure>>
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        if let Some(Err(e)) = &self.stream {
            return Err(Box::new(Failure::no_stream(e)));
        }
        if let Some(limits) = self.exhaustive {
            return self.walk(limits, &mut oracle);
        }
        let mut stats = SimStats::default();
        for seed in self.first..self.first.saturating_add(self.seeds) {
            let mut tried = self.try_seed(seed, &mut oracle);
            if self.twice && tried.fault.is_none() {
                let again = self.try_seed(seed, &mut oracle);
                if again.run.trace_hash != tried.run.trace_hash {
                    let text = format!(
                        "two runs of one seed differ: trace {:#x} and {:#x}; the plan or the oracle \
                         uses something that does not come from the simulation",
                        tried.run.trace_hash, again.run.trace_hash
                    );
                    tried.fault = Some((FailureKind::Differs, text));
                }
            }
            stats.add(&tried.run);
            if let Some((kind, message)) = tried.fault {
                return Err(self.explain(seed, kind, message, &tried.run, &mut oracle));
            }
        }
        Ok(stats)
    }

    /// Runs the first seed, or the stream, once, and gives the run with its timeline and, unless
    /// the run broke a rule, what was collected; no oracle is asked. For golden traces and for measuring in virtual time.
    pub fn record<T>(mut self) -> (SimRun, Option<T>)
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        let recorder = match self.stream.take() {
            Some(stream) => Recorder::replay(stream.unwrap_or_default()),
            None => Recorder::seeded(self.first),
        };
        let mut kept = None;
        let tried = self.try_once(recorder, self.first, Trace::told(), &mut |_, t| {
            kept = Some(t);
            Ok(())
        });
        (tried.run, kept)
    }

    /// Every branch of the tree of choices, one run each.
    fn walk<T>(
        &mut self,
        limits: Exhaustive,
        oracle: &mut impl FnMut(&SimRun, T) -> Result<(), String>,
    ) -> Result<SimStats, Box<Failure>>
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        let mut explorer = Explorer::new(limits);
        let mut stats = SimStats::of_walk();
        while stats.runs < limits.runs {
            let recorder = Recorder::guided(explorer.prefix());
            let tried = self.try_with(recorder, 0, Trace::quiet(), oracle, Some(&mut explorer));
            stats.add(&tried.run);
            if let Some((kind, message)) = tried.fault {
                return Err(self.explain(0, kind, message, &tried.run, oracle));
            }
            if !explorer.advance(&tried.run.choices) {
                stats.complete = Some(true);
                break;
            }
        }
        stats.left = explorer.left;
        Ok(stats)
    }

    fn try_seed<T>(
        &mut self,
        seed: u64,
        oracle: &mut impl FnMut(&SimRun, T) -> Result<(), String>,
    ) -> Tried
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        let recorder = match &self.stream {
            Some(Ok(s)) => Recorder::replay(s.clone()),
            _ => Recorder::seeded(seed),
        };
        self.try_once(recorder, seed, Trace::quiet(), oracle)
    }

    fn try_once<T>(
        &mut self,
        recorder: Recorder,
        seed: u64,
        trace: Trace,
        oracle: &mut impl FnMut(&SimRun, T) -> Result<(), String>,
    ) -> Tried
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        self.try_with(recorder, seed, trace, oracle, None)
    }

    /// One run and what the rules and the oracle say about it.
    fn try_with<T>(
        &mut self,
        recorder: Recorder,
        seed: u64,
        trace: Trace,
        oracle: &mut impl FnMut(&SimRun, T) -> Result<(), String>,
        mut explorer: Option<&mut Explorer>,
    ) -> Tried
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        let world = Arc::new(World::new(recorder, trace));
        let walks = self.exhaustive.is_some();
        let faults = if walks { Faults::none() } else { self.faults };
        let mut swarm = Swarm::draw(world, faults);
        if walks {
            // Choices go on to the end.
            swarm.heal_at = u64::MAX;
        }
        let strategy = self.strategy.unwrap_or_else(|| Strategy::of_seed(seed));
        let mut session = Session::new(strategy, seed, self.controller.as_deref_mut());
        let (run, collected) = loop {
            let (plan, collected) = (self.make)(&mut swarm);
            let lived = run(plan, &swarm, &mut session, self.bounds, explorer.as_deref_mut());
            match lived {
                Some(run) => break (run, collected),
                None => swarm.next_life(),
            }
        };
        let fault = if let Some(s) = &run.stuck {
            Some((FailureKind::Stuck, s.clone()))
        } else if let Some(b) = run.broken.first() {
            Some((FailureKind::Broken, b.clone()))
        } else if run.left {
            None
        } else {
            let says = catch_unwind(AssertUnwindSafe(|| oracle(&run, collected)));
            let says = says.unwrap_or_else(|p| {
                let text = p.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let text = text.or_else(|| p.downcast_ref::<String>().cloned());
                Err(text.unwrap_or_else(|| "the oracle panicked".to_owned()))
            });
            says.err().map(|m| (FailureKind::Oracle, m))
        };
        Tried { run, fault }
    }

    fn explain<T>(
        &mut self,
        seed: u64,
        kind: FailureKind,
        message: String,
        run: &SimRun,
        oracle: &mut impl FnMut(&SimRun, T) -> Result<(), String>,
    ) -> Box<Failure>
    where
        F: FnMut(&mut Swarm) -> (ExecutionPlan<'static>, T),
    {
        let whole = trimmed(run.stream());
        // A run that is not the same twice cannot be shrunk by running it again.
        let (stream, runs) = if kind == FailureKind::Differs {
            (whole.clone(), 0)
        } else {
            let mut left = SHRINK_STEPS;
            shrink(&whole, self.shrink_runs, |s| {
                if left == 0 {
                    return None;
                }
                let t = self.try_once(Recorder::replay(s.to_vec()), 0, Trace::quiet(), oracle);
                left = left.saturating_sub(t.run.steps);
                t.fault.filter(|f| f.0 == kind).map(|_| trimmed(t.run.stream()))
            })
        };
        let last = self.try_once(Recorder::replay(stream.clone()), 0, Trace::told(), oracle);
        let shrunk = last.fault.filter(|f| f.0 == kind).map(|f| f.1);
        Box::new(Failure {
            seed,
            kind,
            message,
            shrunk_message: shrunk,
            stream,
            recorded: whole.len(),
            shrink_runs: runs,
            swarm: last.run.swarm,
            timeline: last.run.timeline,
            replayed: self.stream.is_some(),
        })
    }
}
