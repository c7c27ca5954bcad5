//! A decorator of one's own: it sees every call of every stage, and changes nothing.
//!
//! A decorator wraps the nodes of a plan, instance by instance: for logs, metrics, faults on
//! purpose, authorisation. This one counts the calls of each stage and shard and the rows that came
//! with them, and with `--log` writes one line a call, correlated by stage and shard. Counting uses
//! plain fields; the registry is locked once, when an instance is dropped.
//!
//! `cargo run --release -p flux-io --example decorator -- --log`
//!
//! Row 334.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use flux_io::core::{
    AnyBatch, Command, Counts, Epoch, ExecutionPlan, Gauge, Ledger, Node, Outbox, StageCx,
    StageDecorator, StageNode, Step,
};
use flux_io::prelude::*;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Calls of one stage instance, by name, and the rows that came in.
#[derive(Clone, Debug, Default)]
struct Calls {
    by_name: BTreeMap<&'static str, u64>,
    rows: u64,
}

/// Calls by stage and shard.
type Registry = Arc<Mutex<BTreeMap<(String, u32), Calls>>>;

/// Wraps every stage in a [`Watched`].
struct Watch {
    registry: Registry,
    log: bool,
}

impl StageDecorator for Watch {
    fn decorate<'env>(
        &self,
        stage: &StageNode,
        inner: Box<dyn Node + 'env>,
    ) -> Box<dyn Node + 'env> {
        let (stage, registry) = (stage.name.clone(), Arc::clone(&self.registry));
        Box::new(Watched {
            inner,
            stage,
            shard: 0,
            calls: Calls::default(),
            registry,
            log: self.log,
        })
    }
}

/// A node that passes every call on and counts it.
struct Watched<'env> {
    inner: Box<dyn Node + 'env>,
    stage: String,
    shard: u32,
    calls: Calls,
    registry: Registry,
    log: bool,
}

impl Watched<'_> {
    fn note(&mut self, call: &'static str, rows: usize, cx: &StageCx<'_>) {
        self.shard = cx.home().shard;
        *self.calls.by_name.entry(call).or_default() += 1;
        self.calls.rows += rows as u64;
        if self.log {
            let at = cx.now().0;
            eprintln!(
                "stage={:?} shard={} call={call} rows={rows} ns={at}",
                self.stage, self.shard
            );
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.insert((self.stage.clone(), self.shard), self.calls.clone());
    }
}

/// Every method is passed on: a default left standing would cut the stage off from that call.
impl Node for Watched<'_> {
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.note("start", 0, cx);
        self.inner.on_start(cx)
    }
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let before = input.len();
        let step = self.inner.on_batch(port, input, outs, cx);
        // A stage that is done has used all of it; one that yields leaves the rest in front.
        let left = if matches!(step, Ok(Step::Done)) { 0 } else { input.len() };
        self.note("batch", before.saturating_sub(left), cx);
        step
    }
    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.note("watermark", 0, cx);
        self.inner.on_watermark(watermark, outs, cx)
    }
    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.note("timer", 0, cx);
        self.inner.on_timer(outs, cx)
    }
    fn on_passed(
        &mut self,
        port: usize,
        number: u64,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.inner.on_passed(port, number, outs, cx)
    }
    fn on_input_end(
        &mut self,
        port: usize,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.note("input end", 0, cx);
        self.inner.on_input_end(port, outs, cx)
    }
    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.note("end", 0, cx);
        self.inner.on_end(outs, cx)
    }
    fn on_policy(&mut self, epoch: Epoch, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.note("policy", 0, cx);
        self.inner.on_policy(epoch, cx)
    }
    fn on_barrier(
        &mut self,
        epoch: Epoch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.note("barrier", 0, cx);
        self.inner.on_barrier(epoch, outs, cx)
    }
    fn on_command(
        &mut self,
        command: &Command,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        self.note("command", 0, cx);
        self.inner.on_command(command, outs, cx)
    }
    fn accepts(&self, port: usize) -> bool {
        self.inner.accepts(port)
    }
    fn follows_time(&self) -> bool {
        self.inner.follows_time()
    }
    fn promise(&mut self, watermark: Timestamp) -> Option<Timestamp> {
        self.inner.promise(watermark)
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
    fn poll(
        &mut self,
        task: &mut Context<'_>,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Poll<Result<(), StageError>> {
        self.note("poll", 0, cx);
        self.inner.poll(task, outs, cx)
    }
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.inner.snapshot(to)
    }
    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.inner.restore(from)
    }
    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        self.inner.counts(each);
    }
    fn ledger(&self) -> Option<Ledger> {
        self.inner.ledger()
    }
    fn gauge(&self) -> Option<Gauge> {
        self.inner.gauge()
    }
}

type Pairs = Vec<Outcome<u64, u64>>;

/// Pairs of numbers that are equal in their last three digits.
fn plan(pairs: impl Sink<Col = Pairs> + 'static) -> Result<ExecutionPlan<'static>, impl Error> {
    Pipeline::new()
        .source("numbers", source::iter(0..2000_u64))
        .map("triple", |n| 3 * n)
        .filter("even", |n| n % 2 == 0)
        .key_by("last digits", |n: &u64| n % 1000)
        .accumulate("pair", |policy| {
            policy.require(Require::count(2)).merge(|sum: &mut u64, n: &mut u64| *sum += *n)
        })
        .parallel(2)
        .sink("pairs", pairs)
        .plan()
}

/// Key and sum of every pair, in an order of their own.
fn sorted(pairs: Pairs) -> Vec<(u64, u64)> {
    let mut all: Vec<_> = pairs.iter().map(|o| (*o.key(), *o.value())).collect();
    all.sort_unstable();
    all
}

fn main() -> Result<(), Box<dyn Error>> {
    let log = std::env::args().any(|arg| arg == "--log");
    let engine = || engine::Tokio::new().with(RunOptions::default().batch(256).workers(2));

    let (sink, pairs) = sink::collect();
    engine().run_blocking(plan(sink)?)?;
    let plain = sorted(pairs.take());

    let registry = Registry::default();
    let watch = Watch { registry: Arc::clone(&registry), log };
    let (sink, pairs) = sink::collect();
    engine().run_blocking(plan(sink)?.decorated(watch))?;
    let watched = sorted(pairs.take());

    let registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
    for ((stage, shard), calls) in registry.iter() {
        let counts: Vec<String> =
            calls.by_name.iter().map(|(name, n)| format!("{name} {n}")).collect();
        println!("{stage} #{shard}: {} rows; calls: {}", calls.rows, counts.join(", "));
    }
    if plain != watched {
        return Err("the decorator changed the output".into());
    }
    println!("{} pairs, the same with the decorator and without", watched.len());
    Ok(())
}
