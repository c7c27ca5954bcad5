//! W7: what a stage boundary costs per item: chains of one and four stages of one's own in one
//! task, behind a source of numbers. Source and end cancel out when one chain is taken from the
//! other.

use std::hint::black_box;

use bench_common::{BenchError, Measured, Task, timed};
use flux_io::core::{Batch, Out, Stage, StageCx, StageError, Step};
use flux_io::flow::Pipeline;
use flux_io::source;

use crate::engines::{On, run as run_flow};

const REPEATS: usize = 3;

/// Runs one case three times and gives the median.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let (kind, shape) = task.case.rsplit_once('-').ok_or_else(|| task.unknown())?;
    let (stages, batch) = shape.split_once('x').ok_or_else(|| task.unknown())?;
    let stages: usize = stages.parse().map_err(|_| task.unknown())?;
    let batch: usize = batch.parse().map_err(|_| task.unknown())?;
    let on = match kind {
        "flux" => On::Sync,
        "flux-tokio" => On::Tokio(2),
        _ => return Err(task.unknown()),
    };
    let mut runs = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let (done, seconds) = timed(|| chain(on, stages, batch, black_box(task.items)));
        done?;
        runs.push(seconds);
    }
    runs.sort_by(f64::total_cmp);
    let metrics = [("min_s".to_owned(), runs[0]), ("max_s".to_owned(), runs[REPEATS - 1])];
    let seconds = runs[REPEATS / 2];
    Ok(Measured { items: task.items, seconds, check: None, metrics: metrics.into() })
}

fn chain(on: On, stages: usize, batch: usize, n: u64) -> Result<(), BenchError> {
    let mut flow = Pipeline::new().source("numbers", source::numbers(0..n));
    for stage in 0..stages {
        flow = flow.stage(&format!("multiply {stage}"), Multiply(black_box(3)));
    }
    run_flow(on, batch, true, flow.discard("end")).map(|_| ())
}

/// The work of a stage: a multiply and an xor per item, in place.
#[derive(Debug)]
struct Multiply(u64);

impl Stage for Multiply {
    type In = Vec<u64>;
    type Out = Vec<u64>;

    fn on_batch(
        &mut self,
        input: &mut Batch<Vec<u64>>,
        out: &mut Out<'_, Vec<u64>>,
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        for x in &mut input.col {
            *x = x.wrapping_mul(self.0) ^ 7;
        }
        out.swap(input);
        Ok(Step::Done)
    }
}
