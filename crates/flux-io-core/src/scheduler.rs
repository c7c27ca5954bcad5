//! Which ready task runs next, where an engine lets somebody else say it.

use crate::drive::Task;
use crate::sync::Arc;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Chooses the next task of a run among those that are ready. Engines ask it once for each poll,
/// which handles a batch or more; one that has a scheduler of its own refuses a run with another.
///
/// # Laws
/// - Results depend on it as little as on the engine: it changes when things happen.
/// - It is asked under the lock of the engine's ready queue, so it neither blocks nor wakes anybody.
/// - Whatever it answers, no task is lost and none runs that is not ready: an answer that is out of
///   range, or a panic, counts as the first.
/// - It may starve a task for as long as others are ready; [`Tiers`] does not.
pub trait Scheduler: Send {
    /// The run begins: its tasks, which [`Scheduler::pick`] knows by their places here.
    fn begin(&mut self, tasks: &[TaskView]);
    /// The place in `ready`, which is never empty, of the task to run. `ready` holds the numbers of
    /// tasks, in an order of the engine's own.
    fn pick(&mut self, ready: &[usize]) -> usize;
}

/// A task as a scheduler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// The name of its first stage and its instance: `parse#0`.
    pub name: String,
    /// The stages it drives, from its head to its tail.
    pub stages: Vec<String>,
}

impl TaskView {
    /// A view of each task.
    #[must_use]
    pub fn of(tasks: &[Task<'_>]) -> Vec<Self> {
        let view = |t: &Task<'_>| Self { name: t.name().to_owned(), stages: t.stages().to_vec() };
        tasks.iter().map(view).collect()
    }
}

/// Makes the scheduler of a run.
pub type MakeScheduler = Arc<dyn Fn() -> Box<dyn Scheduler> + Send + Sync>;

/// Asks a scheduler, if there is one; whatever it does, the answer is a place in the list.
#[derive(Default)]
pub struct Picker(Option<Box<dyn Scheduler>>);

impl fmt::Debug for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picker(scheduler: {})", self.0.is_some())
    }
}

impl Picker {
    /// Makes the scheduler of a run and shows it the tasks.
    #[must_use]
    pub fn new(make: Option<&MakeScheduler>, tasks: &[Task<'_>]) -> Self {
        let begun = make.map(|make| {
            catch_unwind(AssertUnwindSafe(|| {
                let mut scheduler = make();
                scheduler.begin(&TaskView::of(tasks));
                scheduler
            }))
        });
        Self(begun.and_then(Result::ok))
    }

    /// Whether there is a scheduler to ask.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.0.is_some()
    }

    /// The place in `ready` of the task to run. A scheduler that panics is not asked again.
    pub fn pick(&mut self, ready: &[usize]) -> usize {
        let Some(scheduler) = &mut self.0 else { return 0 };
        match catch_unwind(AssertUnwindSafe(|| scheduler.pick(ready))) {
            Ok(at) if at < ready.len() => at,
            Ok(_) => 0,
            Err(_) => {
                self.0 = None;
                0
            }
        }
    }
}

/// Priority tiers: of the ready tasks one of the lowest tier runs, in the engine's order among
/// equals. A task that was passed over too often runs all the same, so none starves.
///
/// ```
/// use flux_io_core::{RunOptions, Tiers};
/// let options = RunOptions::default().scheduler(|| Tiers::new().tier("alerts", 0));
/// ```
#[derive(Clone, Debug)]
pub struct Tiers {
    by_stage: BTreeMap<String, u8>,
    patience: u32,
    /// By task.
    tiers: Vec<u8>,
    passed_over: Vec<u32>,
}

impl Default for Tiers {
    fn default() -> Self {
        Self::new()
    }
}

impl Tiers {
    /// The tier of stages that are in no other.
    pub const MIDDLE: u8 = 128;

    /// Every stage in the middle tier; a task is passed over at most 64 times in a row.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_stage: BTreeMap::new(), patience: 64, tiers: Vec::new(), passed_over: Vec::new() }
    }

    /// Puts a stage into a tier; 0 goes first. A task is in the lowest tier of its stages.
    #[must_use]
    pub fn tier(mut self, stage: &str, tier: u8) -> Self {
        self.by_stage.insert(stage.to_owned(), tier);
        self
    }

    /// How often a ready task may be passed over in a row, at least once.
    #[must_use]
    pub const fn patience(mut self, times: u32) -> Self {
        self.patience = times;
        self
    }

    fn impatient(&self, task: usize) -> bool {
        self.passed_over.get(task).is_some_and(|n| *n >= self.patience.max(1))
    }
}

impl Scheduler for Tiers {
    fn begin(&mut self, tasks: &[TaskView]) {
        let tier = |t: &TaskView| {
            let known = t.stages.iter().filter_map(|s| self.by_stage.get(s)).min();
            known.copied().unwrap_or(Self::MIDDLE)
        };
        self.tiers = tasks.iter().map(tier).collect();
        self.passed_over = vec![0; tasks.len()];
    }

    fn pick(&mut self, ready: &[usize]) -> usize {
        let rank =
            |t: usize| (!self.impatient(t), self.tiers.get(t).copied().unwrap_or(Self::MIDDLE));
        let at = (0..ready.len()).min_by_key(|i| rank(ready[*i])).unwrap_or(0);
        for (i, t) in ready.iter().enumerate() {
            if let Some(n) = self.passed_over.get_mut(*t) {
                *n = if i == at { 0 } else { *n + 1 };
            }
        }
        at
    }
}
