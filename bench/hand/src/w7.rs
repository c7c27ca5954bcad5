//! W7: what a stage boundary costs per item, by how the stage is called and how many items a call
//! carries. A case is named `<kind>-<stages>x<batch>`; the cost of one more stage is a third of
//! the difference between four stages and one, and its framework part is what that exceeds the
//! `fused` kind by, whose stages have no boundary.

use std::{hint::black_box, pin::Pin};

use bench_common::{BenchError, Measured, Task, timed};
use futures_executor::block_on;

const REPEATS: usize = 3;

/// Runs one case three times and gives the median.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let (kind, shape) = task.case.rsplit_once('-').ok_or_else(|| task.unknown())?;
    let (stages, batch) = shape.split_once('x').ok_or_else(|| task.unknown())?;
    let stages: usize = stages.parse().map_err(|_| task.unknown())?;
    let batch_items: usize = batch.parse().map_err(|_| task.unknown())?;
    let calls = task.items / batch_items.max(1) as u64;
    let mut batch: Vec<u64> = (0..batch_items as u64).collect();
    let mut runs = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let seconds = match kind {
            "fused" => timed(|| fused(stages, calls, &mut batch)).1,
            "dyn" => timed(|| by_dyn_call(stages, calls, &mut batch)).1,
            "async" => timed(|| block_on(by_async_fn(stages, calls, &mut batch))).1,
            "async-dyn" => timed(|| block_on(by_boxed_future(stages, calls, &mut batch))).1,
            _ => return Err(task.unknown()),
        };
        runs.push(seconds);
    }
    runs.sort_by(f64::total_cmp);
    black_box(&batch);
    let items = calls * batch_items as u64;
    let metrics = [("min_s".to_owned(), runs[0]), ("max_s".to_owned(), runs[REPEATS - 1])];
    Ok(Measured { items, seconds: runs[REPEATS / 2], check: None, metrics: metrics.into() })
}

/// The work of a stage: a multiply and an xor per item, in place.
#[derive(Debug)]
struct Multiply(u64);

impl Multiply {
    #[inline(always)]
    fn item(&self, x: u64) -> u64 {
        x.wrapping_mul(self.0) ^ 7
    }

    #[inline(always)]
    fn batch(&self, batch: &mut [u64]) {
        for x in batch {
            *x = self.item(*x);
        }
    }
}

fn stage() -> Multiply {
    Multiply(black_box(3))
}

/// No boundary between stages: one loop does the work of all.
fn fused(stages: usize, calls: u64, batch: &mut [u64]) {
    let stage = stage();
    for _ in 0..calls {
        let batch = black_box(&mut *batch);
        match stages {
            4 => {
                for x in batch {
                    *x = stage.item(stage.item(stage.item(stage.item(*x))));
                }
            }
            _ => stage.batch(batch),
        }
    }
}

trait DynStage {
    fn run(&mut self, batch: &mut [u64]);
}

impl DynStage for Multiply {
    fn run(&mut self, batch: &mut [u64]) {
        self.batch(batch);
    }
}

fn by_dyn_call(stages: usize, calls: u64, batch: &mut [u64]) {
    let mut stages: Vec<Box<dyn DynStage>> =
        (0..stages).map(|_| Box::new(stage()) as Box<dyn DynStage>).collect();
    let stages = black_box(&mut stages);
    for _ in 0..calls {
        for stage in stages.iter_mut() {
            stage.run(black_box(&mut *batch));
        }
    }
}

trait AsyncStage {
    async fn run(&mut self, batch: &mut [u64]);
}

impl AsyncStage for Multiply {
    async fn run(&mut self, batch: &mut [u64]) {
        self.batch(batch);
    }
}

async fn by_async_fn(stages: usize, calls: u64, batch: &mut [u64]) {
    let mut stages: Vec<Multiply> = (0..stages).map(|_| stage()).collect();
    for _ in 0..calls {
        for stage in &mut stages {
            AsyncStage::run(stage, black_box(&mut *batch)).await;
        }
    }
}

/// A boxed future per call, as object-safe async traits have it.
trait BoxedStage {
    fn run<'a>(&'a mut self, batch: &'a mut [u64])
    -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl BoxedStage for Multiply {
    fn run<'a>(
        &'a mut self,
        batch: &'a mut [u64],
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move { self.batch(batch) })
    }
}

async fn by_boxed_future(stages: usize, calls: u64, batch: &mut [u64]) {
    let mut stages: Vec<Box<dyn BoxedStage>> =
        (0..stages).map(|_| Box::new(stage()) as Box<dyn BoxedStage>).collect();
    let stages = black_box(&mut stages);
    for _ in 0..calls {
        for stage in stages.iter_mut() {
            stage.run(black_box(&mut *batch)).await;
        }
    }
}
