//! Laws of plain pipelines: order, counts, empty inputs, bounded output.

use super::kit::{BATCHES, Seen, Tape, by_row, completed, every_way, fresh};
use crate::doubles::{CollectSink, Line, ScriptSource, VecSource};
use crate::plans::HandPlan;
use flux_io_core::{Batch, Engine, Out, RunOptions, Stage, StageCx, StageError, Step, Timestamp};

const N: u64 = 700;

/// Rows come out in the order they went in, whatever the batch size and the chaining; each stage
/// counts them exactly.
pub fn rows_keep_their_order(engine: &dyn Engine) {
    for options in every_way() {
        for ready in [true, false] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let source = VecSource::<u64>::new(0..N);
            let plan = HandPlan::from("in", if ready { source.ready() } else { source })
                .then("double", by_row(|r, out| out.push(2 * r)))
                .then("drop odd halves", by_row(|r, out| out.extend((r % 4 == 0).then_some(r))))
                .into("out", sink)
                .plan();
            let report = engine.run_plan(plan, fresh(&options));
            completed(&report);
            let expected: Vec<u64> = (0..N).map(|r| 2 * r).filter(|r| r % 4 == 0).collect();
            assert_eq!(shelf.take(), expected, "{options:?}");
            assert_eq!(shelf.closed(), 1);
            for (name, rows_in, rows_out) in [
                ("in", N, N),
                ("double", N, N),
                ("drop odd halves", N, N / 2),
                ("out", N / 2, N / 2),
            ] {
                let c = report.stage(name).map(|s| (s.counts.rows_in, s.counts.rows_out));
                assert_eq!(c, Some((rows_in, rows_out)), "{name} with {options:?}");
            }
            let names: Vec<&str> = report.stages.iter().map(|s| s.name.as_str()).collect();
            assert_eq!(names, ["in", "double", "drop odd halves", "out"], "in plan order");
        }
    }
}

/// A source may be joined to a sink directly.
pub fn a_source_feeds_a_sink_without_a_stage(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..N)).into("out", sink).plan();
        completed(&engine.run_plan(plan, options));
        assert_eq!(shelf.take(), (0..N).collect::<Vec<_>>());
        assert_eq!(shelf.closed(), 1);
    }
}

/// An input without rows gives an output without rows, and the sink is closed.
pub fn an_empty_input_ends(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let (tape, log) = Tape::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new([])).then("tape", tape);
        completed(&engine.run_plan(plan.into("out", sink).plan(), options));
        assert_eq!(shelf.take(), Vec::<u64>::new());
        assert_eq!(shelf.closed(), 1);
        assert_eq!(log.take(), [(0, Seen::End)]);
    }
}

/// A source that is pending between any two rows loses nothing.
pub fn a_source_may_be_pending_between_rows(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let lines = (0..300).flat_map(|r| match r % 3 {
            0 => vec![Line::Row(r), Line::Yield],
            1 => vec![Line::Yield, Line::Cut, Line::Row(r)],
            _ => vec![Line::Row(r)],
        });
        let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines)).into("out", sink).plan();
        completed(&engine.run_plan(plan, options));
        assert_eq!(shelf.take(), (0..300).collect::<Vec<u64>>());
    }
}

/// A stage that makes a thousand rows of one yields when its output is full, and the driver
/// empties it: order is kept and no edge holds more than it may.
pub fn a_stage_that_expands_stays_bounded(engine: &dyn Engine) {
    for options in every_way() {
        let (sink, shelf) = CollectSink::<u64>::new();
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..40))
            .capacity(2)
            .then("expand", by_row(|r, out| out.extend(r * 100..(r + 1) * 100)))
            .then("pass", by_row(|r, out| out.push(r)))
            .into("out", sink);
        completed(&engine.run_plan(plan.plan(), options));
        assert_eq!(shelf.take(), (0..4_000).collect::<Vec<u64>>());
    }
}

/// Keeps every row and gives all at the end, batch by batch.
struct Hoard {
    rows: Vec<u64>,
    given: usize,
}

impl Stage for Hoard {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        _out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.rows.append(&mut input.col);
        Ok(Step::Done)
    }

    fn on_end(
        &mut self,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        while self.given < self.rows.len() {
            if out.is_full() {
                return Ok(Step::Yield);
            }
            out.batch().col.push(self.rows[self.given]);
            self.given += 1;
            out.seal_if_full();
        }
        Ok(Step::Done)
    }
}

/// The end of a stage that holds a million rows never has more batches in flight than the edges
/// and ports hold (S4): the rows come out once, in order, from few batches made.
pub fn the_end_of_a_large_state_stays_bounded(engine: &dyn Engine) {
    const ROWS: u64 = 1_000_000;
    for chain in [true, false] {
        let (sink, shelf) = CollectSink::<u64>::new();
        let hoard = Hoard { rows: Vec::new(), given: 0 };
        let plan = HandPlan::from("in", VecSource::<u64>::new(0..ROWS).ready())
            .then("hoard", hoard)
            .into("out", sink);
        let report = engine.run_plan(plan.plan(), RunOptions::default().chain(chain));
        completed(&report);
        let rows = shelf.take();
        assert_eq!(rows.len() as u64, ROWS);
        assert!(rows.iter().enumerate().all(|(i, r)| i as u64 == *r), "in order");
        // Ports hold 2 ready and 1 open batch, edges 8, and a few are in hands.
        let made = report.batches.made;
        assert!(made <= 40, "{made} batches made: more than may be in flight");
    }
}

/// Watermarks stay between the same two rows through a chain of stages, at every batch size.
pub fn marks_keep_their_place_in_a_chain(engine: &dyn Engine) {
    let lines: Vec<Line<u64>> = (0..200)
        .flat_map(|r| {
            let row = Line::At(r, Timestamp(r as i64));
            if r % 5 == 0 { vec![row, Line::Mark(Timestamp(r as i64))] } else { vec![row] }
        })
        .collect();
    let mut seen = Vec::new();
    for batch in BATCHES {
        for chain in [true, false] {
            let (first, a) = Tape::new();
            let (second, b) = Tape::new();
            let (sink, _) = CollectSink::<u64>::new();
            let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines.clone()))
                .then("first", first)
                .then("second", second)
                .into("out", sink);
            completed(
                &engine.run_plan(plan.plan(), RunOptions::default().batch(batch).chain(chain)),
            );
            let (a, b) = (a.take(), b.take());
            assert_eq!(a, b, "two stages in a row see the same");
            seen.push(a);
        }
    }
    let expected: Vec<(u32, Seen)> = (0..200)
        .flat_map(|r| {
            let mark = (r % 5 == 0).then_some(Seen::Mark(Timestamp(r as i64)));
            [Some(Seen::Row(r)), mark].into_iter().flatten()
        })
        .chain([Seen::End])
        .map(|s| (0, s))
        .collect();
    for s in seen {
        assert_eq!(s, expected);
    }
}

/// A split into two branches and a merge of them loses no row and doubles none (B54, B60).
pub fn a_diamond_gives_every_row_once(engine: &dyn Engine) {
    for options in every_way() {
        for capacity in [1, 3] {
            let (sink, shelf) = CollectSink::<u64>::new();
            let mut p = HandPlan::from("in", VecSource::<u64>::new(0..N)).capacity(capacity);
            let split = p.node(
                "split",
                crate::plans::column::<Vec<u64>>(),
                [crate::plans::column::<Vec<u64>>(), crate::plans::column::<Vec<u64>>()].concat(),
                super::kit::Split,
            );
            p.join(0, split);
            let left = p.stage("left", by_row(|r, out| out.push(r)));
            let right = p.stage("right", by_row(|r, out| out.push(r)));
            p.edge((split, 0), (left, 0), Default::default());
            p.edge((split, 1), (right, 0), Default::default());
            let merge = p.stage("merge", by_row(|r, out| out.push(r)));
            p.join(left, merge);
            p.join(right, merge);
            let out = p.sink("out", sink);
            p.join(merge, out);
            completed(&engine.run_plan(p.plan(), fresh(&options)));
            let mut rows = shelf.take();
            let (odd, even): (Vec<u64>, Vec<u64>) = rows.iter().partition(|r| *r % 2 == 1);
            assert!(odd.is_sorted() && even.is_sorted(), "each branch keeps its order");
            rows.sort_unstable();
            assert_eq!(rows, (0..N).collect::<Vec<_>>());
        }
    }
}
