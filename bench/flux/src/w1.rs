//! W1: map, filter, map, sum over the numbers 0..n.

use bench_common::{BATCH_ITEMS, BenchError, Measured, Task, keep, map_first, map_second, timed};
use flux_io::core::{Batch, Out, Stage, StageCx, StageError, Step};
use flux_io::flow::Pipeline;
use flux_io::source;
use std::hint::black_box;

use crate::engines::{On, no_value, run as run_flow};

/// Runs one case of W1.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let n = black_box(task.items);
    let (sum, seconds) = match task.case.as_str() {
        "flux-sync" => timed(|| rows(On::Sync, n)),
        "flux-tokio-2" => timed(|| rows(On::Tokio(2), n)),
        "flux-sync-range" => timed(|| runs(n)),
        "flux-dyn" => timed(|| stages(n)),
        _ => return Err(task.unknown()),
    };
    Ok(Measured::with_sum(n, (sum?, seconds)))
}

/// Rows in a `Vec`, closures fused.
fn rows(on: On, n: u64) -> Result<u64, BenchError> {
    let (flow, sum) = Pipeline::new()
        .source("numbers", source::numbers(0..n))
        .map("first", map_first)
        .filter("keep", keep)
        .map("second", map_second)
        .fold("sum", 0u64, |sum, x| *sum = sum.wrapping_add(x));
    run_flow(on, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}

/// A batch is two words, closures fused.
fn runs(n: u64) -> Result<u64, BenchError> {
    let (flow, sum) = Pipeline::new()
        .source("numbers", source::range(0..n))
        .map("first", map_first)
        .filter("keep", keep)
        .map("second", map_second)
        .fold("sum", 0u64, |sum, x| *sum = sum.wrapping_add(x));
    run_flow(On::Sync, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}

/// Each operator a stage of its own, called once a batch through its virtual table.
fn stages(n: u64) -> Result<u64, BenchError> {
    let (flow, sum) = Pipeline::new()
        .source("numbers", source::numbers(0..n))
        .stage("first", MapStage(map_first))
        .stage("keep", FilterStage(keep))
        .stage("second", MapStage(map_second))
        .fold("sum", 0u64, |sum, x| *sum = sum.wrapping_add(x));
    run_flow(On::Sync, BATCH_ITEMS, true, flow)?;
    sum.take().ok_or_else(no_value)
}

struct MapStage<F>(F);

impl<F: FnMut(u64) -> u64 + Send> Stage for MapStage<F> {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for x in &mut input.col {
            *x = (self.0)(*x);
        }
        out.swap(input);
        Ok(Step::Done)
    }
}

struct FilterStage<F>(F);

impl<F: FnMut(&u64) -> bool + Send> Stage for FilterStage<F> {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    /// Compacts without a branch on the data: every item is written, only the end moves.
    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let rows = &mut input.col;
        let mut kept = 0;
        for i in 0..rows.len() {
            let x = rows[i];
            rows[kept] = x;
            kept += usize::from((self.0)(&x));
        }
        rows.truncate(kept);
        out.swap(input);
        Ok(Step::Done)
    }
}
