//! W1: map, filter, map, sum over the numbers 0..n. The limit is the fused iterator chain, which
//! the compiler vectorises; the others show what each kind of indirection costs.

use std::{hint::black_box, thread};

use bench_common::{BATCH_ITEMS, BenchError, Measured, Task, keep, map_first, map_second, timed};
use futures_executor::block_on;
use futures_util::{StreamExt as _, future, stream};
use rayon::prelude::*;

/// Runs one case of W1.
pub(crate) fn run(task: &Task) -> Result<Measured, BenchError> {
    let n = black_box(task.items);
    let measured = match task.case.as_str() {
        "std-iter" => timed(|| sum_of_range(0..n)),
        "scalar" => timed(|| scalar(n)),
        "std-2t" => {
            let (sum, seconds) = timed(|| two_threads(n));
            (sum?, seconds)
        }
        "rayon-2t" => rayon_two_threads(n)?,
        "boxed-iter" => timed(|| boxed_iterators(n)),
        "fused-1024" => timed(|| fused_behind_dyn(n)),
        "futures" => timed(|| block_on(futures_stream(n))),
        "futures-boxed" => timed(|| block_on(futures_boxed(n))),
        case => {
            let batch = case.strip_prefix("dyn-").and_then(|size| size.parse().ok());
            let batch: usize = batch.ok_or_else(|| task.unknown())?;
            timed(|| dyn_stages(n, batch))
        }
    };
    Ok(Measured::with_sum(task.items, measured))
}

fn sum_of_range(range: std::ops::Range<u64>) -> u64 {
    range.map(map_first).filter(keep).map(map_second).fold(0, u64::wrapping_add)
}

/// The same loop, kept from vectorising by a barrier on each item.
fn scalar(n: u64) -> u64 {
    let mut sum = 0u64;
    for i in 0..n {
        let x = map_first(black_box(i));
        if keep(&x) {
            sum = sum.wrapping_add(map_second(x));
        }
    }
    sum
}

fn two_threads(n: u64) -> Result<u64, BenchError> {
    thread::scope(|scope| {
        let halves = [0..n / 2, n / 2..n].map(|range| scope.spawn(move || sum_of_range(range)));
        halves.into_iter().try_fold(0u64, |sum, half| {
            let half = half.join().map_err(|_| BenchError::panicked("w1 std-2t"))?;
            Ok(sum.wrapping_add(half))
        })
    })
}

fn rayon_two_threads(n: u64) -> Result<(u64, f64), BenchError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool = pool.map_err(|error| BenchError::Failed {
        what: "starting rayon",
        detail: error.to_string(),
    })?;
    Ok(timed(|| {
        pool.install(|| {
            let chain = (0..n).into_par_iter().map(map_first).filter(keep).map(map_second);
            chain.fold(|| 0, u64::wrapping_add).reduce(|| 0, u64::wrapping_add)
        })
    }))
}

/// One boxed iterator per operator: a virtual call per item and operator.
fn boxed_iterators(n: u64) -> u64 {
    let source: Box<dyn Iterator<Item = u64>> = Box::new(0..n);
    let mapped: Box<dyn Iterator<Item = u64>> = Box::new(source.map(map_first));
    let kept: Box<dyn Iterator<Item = u64>> = Box::new(mapped.filter(keep));
    let last: Box<dyn Iterator<Item = u64>> = black_box(Box::new(kept.map(map_second)));
    let mut sum = 0u64;
    // Not `fold`, which a boxed iterator would hand to the inner loop in one call.
    for x in last {
        sum = sum.wrapping_add(x);
    }
    sum
}

async fn futures_stream(n: u64) -> u64 {
    let source = stream::iter(0..n).map(map_first);
    let kept = source.filter(|x| future::ready(keep(x)));
    kept.map(map_second).fold(0u64, |sum, x| future::ready(sum.wrapping_add(x))).await
}

async fn futures_boxed(n: u64) -> u64 {
    let mapped = stream::iter(0..n).boxed().map(map_first).boxed();
    let kept = mapped.filter(|x| future::ready(keep(x))).boxed();
    let mut last = kept.map(map_second).boxed();
    let mut sum = 0u64;
    while let Some(x) = last.next().await {
        sum = sum.wrapping_add(x);
    }
    sum
}

/// One operator of a plan that is built at run time: works on a whole batch in place.
trait Stage {
    fn run(&mut self, batch: &mut Vec<u64>);
}

struct MapStage<F>(F);

impl<F: FnMut(u64) -> u64> Stage for MapStage<F> {
    fn run(&mut self, batch: &mut Vec<u64>) {
        for x in batch.iter_mut() {
            *x = (self.0)(*x);
        }
    }
}

struct FilterStage<F>(F);

impl<F: FnMut(&u64) -> bool> Stage for FilterStage<F> {
    /// Compacts without a branch on the data: every item is written, only the end moves.
    fn run(&mut self, batch: &mut Vec<u64>) {
        let mut kept = 0;
        for i in 0..batch.len() {
            let x = batch[i];
            batch[kept] = x;
            kept += usize::from((self.0)(&x));
        }
        batch.truncate(kept);
    }
}

/// A virtual call per operator and batch.
fn dyn_stages(n: u64, batch_items: usize) -> u64 {
    let mut stages: Vec<Box<dyn Stage>> = vec![
        Box::new(MapStage(map_first)),
        Box::new(FilterStage(keep)),
        Box::new(MapStage(map_second)),
    ];
    let stages = black_box(&mut stages);
    let mut batch = Vec::with_capacity(batch_items);
    let mut sum = 0u64;
    for start in (0..n).step_by(batch_items) {
        batch.clear();
        batch.extend(start..n.min(start + batch_items as u64));
        for stage in stages.iter_mut() {
            stage.run(&mut batch);
        }
        sum = batch.iter().fold(sum, |sum, &x| sum.wrapping_add(x));
    }
    sum
}

/// Operators fused at compile time behind one virtual call per batch.
trait Kernel {
    fn run(&mut self, batch: &[u64]);
    fn sum(&self) -> u64;
}

struct Fused<A, B, C> {
    first: A,
    keep: B,
    second: C,
    sum: u64,
}

impl<A: Fn(u64) -> u64, B: Fn(&u64) -> bool, C: Fn(u64) -> u64> Kernel for Fused<A, B, C> {
    fn run(&mut self, batch: &[u64]) {
        for &x in batch {
            let x = (self.first)(x);
            if (self.keep)(&x) {
                self.sum = self.sum.wrapping_add((self.second)(x));
            }
        }
    }

    fn sum(&self) -> u64 {
        self.sum
    }
}

fn fused_behind_dyn(n: u64) -> u64 {
    let mut kernel: Box<dyn Kernel> =
        Box::new(Fused { first: map_first, keep, second: map_second, sum: 0 });
    let kernel = black_box(&mut kernel);
    let mut batch = Vec::with_capacity(BATCH_ITEMS);
    for start in (0..n).step_by(BATCH_ITEMS) {
        batch.clear();
        batch.extend(start..n.min(start + BATCH_ITEMS as u64));
        kernel.run(black_box(&batch));
    }
    kernel.sum()
}
