//! Laws of an input that goes quiet.

use super::kit::{by_row, completed, every_way};
use crate::doubles::{CollectSink, Gate, Line, ScriptSource, Shelf};
use crate::plans::HandPlan;
use flux_io_core::{Batch, Engine, IoCx, Moment, Sink, StageError};
use std::time::Duration;

/// Rows before each pause: fewer and more than fill a batch of any size tried.
const PIECES: [u64; 4] = [1, 10, 2_000, 3];

/// Keeps what it accepts until it is flushed or closed; opens the gate of a piece when all its rows
/// are handed over, and notes when.
struct Keeps {
    kept: Vec<u64>,
    given: u64,
    gates: Vec<Gate>,
    inner: CollectSink<u64>,
    handed: Shelf<Moment>,
}

impl Keeps {
    async fn hand_over(&mut self, cx: &IoCx) -> Result<(), StageError> {
        let mut batch = Batch::of(std::mem::take(&mut self.kept));
        if batch.is_empty() {
            return Ok(());
        }
        let mut due = 0;
        self.given += batch.len() as u64;
        self.inner.write(&mut batch, cx).await?;
        for (piece, gate) in PIECES.iter().zip(&self.gates) {
            due += piece;
            if due == self.given {
                self.handed.put(cx.now());
                gate.open();
            }
        }
        Ok(())
    }
}

impl Sink for Keeps {
    type Col = Vec<u64>;

    async fn write(&mut self, batch: &mut Batch<Vec<u64>>, _cx: &IoCx) -> Result<(), StageError> {
        self.kept.append(&mut batch.col);
        Ok(())
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.hand_over(cx).await
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.hand_over(cx).await?;
        self.inner.close(cx).await
    }
}

/// Runs pieces through two stages into a sink that keeps what it can; `pause` is what the source does
/// behind piece `i`, given the gate that opens when all of it was handed over.
fn run(
    engine: &dyn Engine,
    options: flux_io_core::RunOptions,
    pause: impl Fn(usize, Gate) -> Line<u64>,
) -> Vec<Moment> {
    let (inner, shelf) = CollectSink::<u64>::new();
    let handed = Shelf::default();
    let gates: Vec<Gate> = PIECES.iter().map(|_| Gate::new()).collect();
    let mut next = 0..;
    let mut lines = Vec::new();
    for (i, (piece, gate)) in PIECES.iter().zip(&gates).enumerate() {
        lines.extend(next.by_ref().take(*piece as usize).map(Line::Row));
        lines.extend([Line::Cut, pause(i, gate.clone())]);
    }
    let sink = Keeps { kept: Vec::new(), given: 0, gates, inner, handed: handed.clone() };
    let plan = HandPlan::from("in", ScriptSource::<u64>::new(lines))
        .then("first", by_row(|r, out| out.push(r)))
        .then("second", by_row(|r, out| out.push(r)))
        .into("out", sink);
    completed(&engine.run_plan(plan.plan(), options));
    assert_eq!(shelf.take(), (0..PIECES.iter().sum()).collect::<Vec<u64>>());
    handed.take()
}

/// What was accepted is handed over while the input is quiet, however little it is: a source that
/// goes on only when it was is not left waiting.
pub fn a_quiet_input_holds_nothing_back(engine: &dyn Engine) {
    for options in every_way() {
        let handed = run(engine, options, |_, gate| Line::Gate(gate));
        assert_eq!(handed.len(), PIECES.len());
    }
}

/// From accepted to handed over no more than ten milliseconds of the engine's clock pass while the
/// input is quiet.
pub fn what_was_accepted_is_handed_over_within_ten_milliseconds(engine: &dyn Engine) {
    let second = |n: usize| Moment::START.plus(Duration::from_secs(n as u64));
    for options in every_way() {
        let handed = run(engine, options, |i, _| Line::Until(second(i + 1)));
        for (i, at) in handed.iter().enumerate() {
            let after = at.since(second(i));
            assert!(after <= Duration::from_millis(10), "piece {i}: {after:?}");
        }
        assert_eq!(handed.len(), PIECES.len());
    }
}
