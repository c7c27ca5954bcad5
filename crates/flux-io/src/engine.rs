//! Engines that take a described flow: `engine::Sync::new().run(flow)?`.

use flux_io_core::{RunFailure, RunReport};
use flux_io_flow::PlanFaults;
#[cfg(any(feature = "engine-sync", feature = "engine-tokio", feature = "engine-rayon"))]
use {flux_io_core::RunOptions, flux_io_flow::Runnable};

#[cfg(feature = "engine-tokio")]
#[doc(inline)]
pub use flux_io_engine_tokio::{Block, DataflowEngine};

#[cfg(feature = "engine-hybrid")]
#[doc(inline)]
pub use flux_io_engine_hybrid::{Assigned, Assignment, Cost, Costs, Fallback, HybridEngine, Why};

/// Why a run did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The description has faults; nothing ran.
    #[error("the plan was refused")]
    Plan(#[source] PlanFaults),
    /// A stage failed. The report says how far the others came.
    #[error("the run failed")]
    Failed {
        /// What failed.
        #[source]
        failure: Box<RunFailure>,
        /// What was done until then.
        report: Box<RunReport>,
    },
    /// What was counted does not add up: a defect, in flux-io or in a stage of your own that
    /// counts for itself.
    #[error("the run's accounts do not add up: {what}")]
    Unbalanced {
        /// What does not.
        what: String,
        /// The whole report.
        report: Box<RunReport>,
    },
}

#[cfg(any(feature = "engine-sync", feature = "engine-tokio", feature = "engine-rayon"))]
/// A run that stopped early on request is a result, not an error: see [`RunReport::ended`].
fn judge(mut report: RunReport) -> Result<RunReport, RunError> {
    if let Some(failure) = report.failure.take() {
        return Err(RunError::Failed { failure: Box::new(failure), report: Box::new(report) });
    }
    match report.check() {
        Ok(()) => Ok(report),
        Err(what) => Err(RunError::Unbalanced { what, report: Box::new(report) }),
    }
}

#[cfg(any(feature = "engine-sync", feature = "engine-tokio", feature = "engine-rayon"))]
macro_rules! options {
    () => {
        /// Runs with these options.
        #[must_use]
        pub fn with(mut self, options: RunOptions) -> Self {
            self.options = options;
            self
        }
    };
}

/// The reference: one thread, a virtual clock, every choice from one stream.
#[cfg(feature = "engine-sync")]
#[derive(Clone, Debug, Default)]
pub struct Sync {
    engine: flux_io_engine_sync::SyncEngine,
    options: RunOptions,
}

#[cfg(feature = "engine-sync")]
impl Sync {
    /// Nothing random.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every choice drawn from a seed; same seed and input, same bytes.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let engine = flux_io_engine_sync::SyncEngine::seeded(seed);
        Self { engine, options: RunOptions::default().seed(seed) }
    }

    options!();

    /// Runs a flow to its end on this thread. Closures may borrow.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run<'env>(&self, flow: impl Runnable<'env>) -> Result<RunReport, RunError> {
        let plan = flow.into_plan().map_err(RunError::Plan)?;
        judge(self.engine.run(plan, &self.options))
    }
}

/// A task per segment instance on tokio.
#[cfg(feature = "engine-tokio")]
#[derive(Clone, Debug, Default)]
pub struct Tokio {
    options: RunOptions,
}

#[cfg(feature = "engine-tokio")]
impl Tokio {
    /// With default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    options!();

    /// Runs a flow to its end on the runtime this is awaited on.
    ///
    /// The flow is described and planned before the first await, so the future can be spawned.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the run: sinks give up what they have not committed.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run<F: Runnable<'static>>(
        &self,
        flow: F,
    ) -> impl Future<Output = Result<RunReport, RunError>> + Send + use<F> {
        let plan = flow.into_plan().map_err(RunError::Plan);
        let options = self.options.clone();
        async move {
            let engine = flux_io_engine_tokio::TokioEngine::new();
            judge(engine.run(plan?, options).await)
        }
    }

    /// Runs a flow to its end on a runtime made for it, with as many workers as the options say.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_blocking(&self, flow: impl Runnable<'static>) -> Result<RunReport, RunError> {
        use flux_io_core::Engine;
        let plan = flow.into_plan().map_err(RunError::Plan)?;
        let engine = flux_io_engine_tokio::TokioEngine::new();
        judge(engine.run_plan(plan, self.options.clone()))
    }
}

/// CPU-bound segments on a work-stealing pool.
#[cfg(feature = "engine-rayon")]
#[derive(Clone, Debug, Default)]
pub struct Rayon {
    options: RunOptions,
}

#[cfg(feature = "engine-rayon")]
impl Rayon {
    /// With default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    options!();

    /// Runs a flow to its end on a pool made for it. Closures may borrow.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run<'env>(&self, flow: impl Runnable<'env>) -> Result<RunReport, RunError> {
        let plan = flow.into_plan().map_err(RunError::Plan)?;
        judge(flux_io_engine_rayon::RayonEngine::new().run(plan, &self.options))
    }
}

/// Each stage on the executor that suits it: tokio for those that wait, rayon for those that
/// compute. Which is which follows from what the stages declare (`.hint(..)`) and from measured
/// [`Costs`]; [`HybridEngine::explain`] says it with the reasons.
#[cfg(feature = "engine-hybrid")]
#[derive(Clone, Debug)]
pub struct Hybrid {
    engine: HybridEngine,
    options: RunOptions,
}

#[cfg(feature = "engine-hybrid")]
impl Default for Hybrid {
    fn default() -> Self {
        let engine = HybridEngine::new(
            flux_io_engine_tokio::TokioExecutor::new(),
            flux_io_engine_rayon::RayonExecutor::new(),
        );
        Self { engine, options: RunOptions::default() }
    }
}

#[cfg(feature = "engine-hybrid")]
impl Hybrid {
    /// With default options, and nothing measured.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    options!();

    /// Uses what earlier runs measured.
    #[must_use]
    pub fn costs(mut self, costs: Costs) -> Self {
        self.engine = self.engine.costs(costs);
        self
    }

    /// The engine behind it.
    #[must_use]
    pub const fn engine(&self) -> &HybridEngine {
        &self.engine
    }

    /// Where each stage of a plan would run, and why.
    ///
    /// # Errors
    /// When it refuses the plan.
    pub fn explain(&self, graph: &flux_io_core::Graph) -> Result<Assignment, RunError> {
        let refused = |fault| RunError::Plan(PlanFaults(vec![fault]));
        self.engine.explain(graph, &self.options).map_err(refused)
    }

    /// Runs a flow to its end on threads made for it.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&self, flow: impl Runnable<'static>) -> Result<RunReport, RunError> {
        use flux_io_core::Engine;
        let plan = flow.into_plan().map_err(RunError::Plan)?;
        judge(self.engine.run_plan(plan, self.options.clone()))
    }
}
