//! Laws of the batches of a run: filled again, and by those they belong to.

use super::errors::then;
use super::kit::{by_row, completed, every_way};
use crate::doubles::{CollectSink, Line, ScriptSource, VecSource};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Engine, GiveUp, Node, Outbox, RunOptions, StageCx, StageError, Step, Timestamp,
};

/// In a steady run batches are filled again instead of being made.
pub fn steady_runs_reuse_their_batches(engine: &dyn Engine) {
    for chain in [true, false] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..10_000))
            .then("first", by_row(|r, out| out.push(r)))
            .then("second", by_row(|r, out| out.push(r)))
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), RunOptions::default().batch(10).chain(chain));
        completed(&report);
        assert_eq!(shelf.len(), 10_000);
        let b = report.batches;
        assert!(b.made <= 60 && b.reused >= 1_000, "{b:?}");
    }
}

/// Two ports of different columns; fails transiently in every other call.
struct Mixed {
    calls: u32,
}

impl Node for Mixed {
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.calls += 1;
        if self.calls % 2 == 1 {
            return Err(StageError::transient("again"));
        }
        let mut out = outs[0].typed::<Vec<u64>>()?;
        if port == 0 {
            out.batch().col.append(&mut input.get_mut::<Vec<u64>>()?.col);
        } else {
            let words = &mut input.get_mut::<Vec<String>>()?.col;
            out.batch().col.extend(words.drain(..).map(|w| w.len() as u64));
        }
        out.seal_if_full();
        Ok(Step::Done)
    }
}

/// Used batches go back to the sender they came from, also when a retry lies between: a stage with
/// ports of two columns never gets the one where it expects the other.
pub fn a_used_batch_goes_back_where_it_came_from(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let mut p = HandPlan::new().capacity(2);
        // A watermark behind every row, in a batch of its own: controls come between the batches.
        fn marked<T>(r: u64, row: T) -> [Line<T>; 4] {
            [Line::Row(row), Line::Cut, Line::Mark(Timestamp(r as i64)), Line::Cut]
        }
        let lines = (0..40).flat_map(|r| marked(r, r));
        let numbers = p.source("numbers", ScriptSource::<u64>::new(lines));
        let first = p.stage("first", by_row(|r, out| out.push(r)));
        let lines = (0..40).flat_map(|r| marked(r, "x".repeat(r as usize)));
        let words = p.source("words", ScriptSource::new(lines));
        let ports = [column::<Vec<u64>>(), column::<Vec<String>>()].concat();
        let mixed = p.node("mixed", ports, column::<Vec<u64>>(), Mixed { calls: 0 });
        p.graph.nodes[mixed].on_error = then(100, GiveUp::Fail);
        p.join(numbers, first);
        p.edge((first, 0), (mixed, 0), Default::default());
        p.edge((words, 0), (mixed, 1), Default::default());
        let out = p.sink("out", sink);
        p.join(mixed, out);
        let report = engine.run_plan(p.plan(), options);
        assert!(report.failure.is_none(), "{:?}", report.failure);
        completed(&report);
        let mut rows = shelf.take();
        rows.sort_unstable();
        assert_eq!(rows, (0..40).flat_map(|r| [r, r]).collect::<Vec<u64>>());
    }
}
