//! Laws of nodes that hold rows back: what they promise, and what they are given meanwhile.

use super::kit::{Seen, Tape, completed, every_way, fresh};
use crate::doubles::{CollectSink, Line, ScriptSource};
use crate::plans::{HandPlan, column};
use flux_io_core::{
    AnyBatch, Control, Engine, Node, Outbox, StageCx, StageError, Step, Timestamp, Uniform,
};

const fn ts(t: u64) -> Timestamp {
    Timestamp(t as i64)
}

/// Holds one row back: the last one that came. Promises no more than that row allows, and the rest
/// when it has gone.
#[derive(Default)]
struct OneBehind {
    held: Option<(u64, Timestamp)>,
    watermark: Option<Timestamp>,
    told: Option<Timestamp>,
}

impl OneBehind {
    fn give(&mut self, outs: &mut [Outbox]) -> Result<(), StageError> {
        let Some((row, t)) = self.held.take() else { return Ok(()) };
        let mut out = outs[0].typed::<Vec<u64>>()?;
        out.seal();
        let batch = out.batch();
        batch.col.push(row);
        batch.meta.time = Uniform::All(t);
        out.seal();
        Ok(())
    }

    fn promised(&mut self) -> Option<Timestamp> {
        let before = |(_, t): (u64, Timestamp)| Timestamp(t.0 - 1);
        let w = self.watermark?.min(self.held.map_or(Timestamp::MAX, before));
        (self.told < Some(w)).then(|| {
            self.told = Some(w);
            w
        })
    }
}

impl Node for OneBehind {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let batch = input.get_mut::<Vec<u64>>()?;
        let times: Vec<Timestamp> = (0..batch.len()).map(|i| batch.meta.time.at(i)).collect();
        for (row, t) in batch.col.drain(..).zip(times) {
            self.give(outs)?;
            self.held = Some((row, t));
        }
        if let Some(w) = self.promised() {
            outs[0].control(Control::Watermark(w));
        }
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        _outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.watermark = self.watermark.max(Some(watermark));
        Ok(Step::Done)
    }

    fn promise(&mut self, _watermark: Timestamp) -> Option<Timestamp> {
        self.promised()
    }

    fn on_end(&mut self, outs: &mut [Outbox], _cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.give(outs)?;
        if let Some(w) = self.promised() {
            outs[0].control(Control::Watermark(w));
        }
        Ok(Step::Done)
    }
}

/// A node that holds a row promises no more than the row allows, and the rest when it has gone:
/// nothing comes behind a watermark that covers it, and the last watermark arrives.
pub fn a_node_promises_no_more_than_it_holds(engine: &dyn Engine) {
    for options in every_way() {
        let lines = (0..200).flat_map(|r| {
            let t = 10 * r;
            let own = [Line::At(r, ts(t)), Line::Mark(ts(t))];
            // A promise far beyond the row, by itself.
            let far = [Line::Cut, Line::Mark(ts(t + 5)), Line::Cut];
            own.into_iter().chain(far.into_iter().take(if r % 3 == 0 { 3 } else { 0 }))
        });
        let (tape, log) = Tape::new();
        let mut p = HandPlan::from("in", ScriptSource::<u64>::new(lines.collect::<Vec<_>>()));
        let one = || column::<Vec<u64>>();
        let behind = p.node("one behind", one(), one(), OneBehind::default());
        p.join(0, behind);
        let tape = p.stage("tape", tape);
        p.join(behind, tape);
        let (sink, shelf) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        p.join(tape, out);
        completed(&engine.run_plan(p.plan(), fresh(&options)));
        assert_eq!(shelf.take(), (0..200).collect::<Vec<u64>>());
        let mut watermark = Timestamp::MIN;
        for (_, seen) in log.take() {
            match seen {
                Seen::Mark(w) => {
                    assert!(w > watermark, "{w} behind {watermark}");
                    watermark = w;
                }
                Seen::Row(r) => assert!(ts(10 * r) > watermark, "row {r} behind {watermark}"),
                _ => {}
            }
        }
        assert_eq!(watermark, ts(1_990));
    }
}

/// Waits for the watermark to give what it holds, and takes one row of an input at a time.
#[derive(Default)]
struct Sorter {
    held: Vec<(Timestamp, u64)>,
    full: [bool; 2],
}

impl Sorter {
    fn release(&mut self, until: Timestamp, outs: &mut [Outbox]) -> Result<(), StageError> {
        self.held.sort_unstable();
        let due = self.held.partition_point(|h| h.0 <= until);
        let mut out = outs[0].typed::<Vec<u64>>()?;
        out.batch().col.extend(self.held.drain(..due).map(|h| h.1));
        self.full = [0, 1].map(|port| self.held.iter().any(|h| h.1 % 2 == port));
        Ok(())
    }
}

impl Node for Sorter {
    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let mark = input.meta().marks.last().map(|m| m.watermark);
        let batch = input.get_mut::<Vec<u64>>()?;
        let times: Vec<Timestamp> = (0..batch.len()).map(|i| batch.meta.time.at(i)).collect();
        self.held.extend(times.into_iter().zip(batch.col.drain(..)));
        self.release(mark.unwrap_or(Timestamp::MIN), outs)?;
        Ok(Step::Done)
    }

    fn on_watermark(
        &mut self,
        w: Timestamp,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.release(w, outs)?;
        Ok(Step::Done)
    }

    fn accepts(&self, port: usize) -> bool {
        !self.full[port]
    }

    fn follows_time(&self) -> bool {
        true
    }

    fn on_end(&mut self, outs: &mut [Outbox], _cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.release(Timestamp::MAX, outs)?;
        Ok(Step::Done)
    }
}

/// A node that waits for the watermark is given the input that holds it back, also when it is full
/// of that input's rows: those of a lag of many rows must all be there before the first may go.
pub fn the_input_that_holds_time_back_is_taken(engine: &dyn Engine) {
    for options in every_way() {
        // Every row of an input lies within a lag of 300.
        let script = |port: u64, rows: u64| -> Vec<Line<u64>> {
            let line = |k: u64| {
                let t = 10 * k;
                let row = Line::At(2 * k + port, ts(t));
                [row, Line::Mark(Timestamp(t as i64 - 300))]
            };
            (0..rows).flat_map(line).collect()
        };
        let mut p = HandPlan::new().capacity(1);
        let a = p.source("a", ScriptSource::<u64>::new(script(0, 300)));
        let b = p.source("b", ScriptSource::<u64>::new(script(1, 100)));
        let ports = [column::<Vec<u64>>(), column::<Vec<u64>>()].concat();
        let sorter = p.node("sorter", ports, column::<Vec<u64>>(), Sorter::default());
        p.edge((a, 0), (sorter, 0), Default::default());
        p.edge((b, 0), (sorter, 1), Default::default());
        let (sink, shelf) = CollectSink::<u64>::new();
        let out = p.sink("out", sink);
        p.join(sorter, out);
        completed(&engine.run_plan(p.plan(), fresh(&options)));
        let both = (0..100).flat_map(|k| [2 * k, 2 * k + 1]);
        let expected: Vec<u64> = both.chain((100..300).map(|k| 2 * k)).collect();
        assert_eq!(shelf.take(), expected);
    }
}
