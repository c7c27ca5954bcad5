//! Laws of engines that let a scheduler choose among ready tasks, and of those that do not.

use super::kit::{KeyBy, by_row, completed, every_way};
use crate::doubles::{CollectSink, Shelf, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{
    Ended, Engine, ExecutionPlan, RunOptions, RunReport, Scheduler, TaskView, Tiers,
};

/// Two pipelines of three tasks each, into one shelf a pipeline.
fn two() -> (ExecutionPlan<'static>, [Shelf<u64>; 2]) {
    let shelves = [Shelf::default(), Shelf::default()];
    let mut p = HandPlan::new().capacity(1);
    for (i, shelf) in shelves.iter().enumerate() {
        let from = p.source(&format!("in {i}"), VecSource::<u64>::new(0..60));
        let key = p.stage(&format!("key {i}"), KeyBy(|r| r % 7));
        let twice = p.stage(&format!("twice {i}"), by_row(|r, out| out.extend([r, r])));
        let out = p.sink(&format!("out {i}"), CollectSink::onto(shelf));
        p.join(from, key);
        p.join(key, twice);
        p.join(twice, out);
    }
    (p.plan(), shelves)
}

/// Runs with a scheduler where the engine takes one, and checks that it is refused before
/// anything runs where it does not.
fn scheduled(engine: &dyn Engine, options: RunOptions) -> Option<RunReport> {
    let (plan, shelves) = two();
    let accepted = engine.accepts(&plan.graph, &options);
    let report = engine.run_plan(plan, options);
    if let Err(fault) = accepted {
        assert_eq!(report.ended, Ended::Failed);
        let what = report.failure.map(|f| f.error.what);
        assert_eq!(what, Some(fault.to_string()));
        assert!(shelves.iter().all(|s| s.is_empty()));
        return None;
    }
    let expected: Vec<u64> = (0..60).flat_map(|r| [r, r]).collect();
    assert!(shelves.iter().all(|s| s.take() == expected));
    Some(report)
}

/// Answers whatever its closure says.
struct Picks<F>(F);

impl<F: FnMut(&[usize]) -> usize + Send> Scheduler for Picks<F> {
    fn begin(&mut self, _tasks: &[TaskView]) {}
    fn pick(&mut self, ready: &[usize]) -> usize {
        (self.0)(ready)
    }
}

/// Priority tiers, last ready first and first ready first give the same rows; an engine that takes
/// no scheduler says so and runs nothing.
pub fn a_scheduler_changes_no_output(engine: &dyn Engine) {
    for options in every_way() {
        let tiers = || Tiers::new().tier("out 1", 0).tier("in 1", 0).tier("in 0", 255).patience(3);
        for options in [
            options.clone().scheduler(tiers),
            options.clone().scheduler(|| Picks(|r: &[usize]| r.len() - 1)),
            options.scheduler(|| Picks(|_: &[usize]| 0)),
        ] {
            let options = super::kit::fresh(&options);
            scheduled(engine, options).iter().for_each(completed);
        }
    }
}

/// A scheduler that answers nonsense or panics, when it is made, at its first sight of the tasks or
/// later, delays nobody for ever.
pub fn a_scheduler_that_fails_loses_no_task(engine: &dyn Engine) {
    struct Refuses;
    impl Scheduler for Refuses {
        fn begin(&mut self, tasks: &[TaskView]) {
            assert!(tasks.is_empty(), "{} tasks are too many", tasks.len());
        }
        fn pick(&mut self, _ready: &[usize]) -> usize {
            0
        }
    }
    for options in every_way() {
        let dies_at = |n: u32| {
            move || {
                let mut asked = 0;
                Picks(move |_: &[usize]| {
                    asked += 1;
                    assert!(asked < n, "asked too often");
                    usize::MAX
                })
            }
        };
        for options in [
            options.clone().scheduler(dies_at(1)),
            options.clone().scheduler(dies_at(9)),
            options.clone().scheduler(dies_at(u32::MAX)),
            options.scheduler(|| Refuses),
        ] {
            let options = super::kit::fresh(&options);
            scheduled(engine, options).iter().for_each(completed);
        }
    }
}
