//! Panics in stages at a drawn call.

use crate::fault::Fault;
use crate::world::World;
use flux_io_core::{
    AnyBatch, Command, Counts, Epoch, Gauge, Ledger, Node, Outbox, StageCx, StageDecorator,
    StageError, StageNode, Step, Timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

/// Panics once, at the n-th call of any stage instance of the run, before the stage is called.
pub(crate) struct PanicAt {
    left: Arc<AtomicU32>,
    world: Arc<World>,
}

impl PanicAt {
    pub(crate) fn new(call: u32, world: &Arc<World>) -> Self {
        Self { left: Arc::new(AtomicU32::new(call + 1)), world: Arc::clone(world) }
    }
}

impl StageDecorator for PanicAt {
    fn decorate<'env>(
        &self,
        stage: &StageNode,
        node: Box<dyn Node + 'env>,
    ) -> Box<dyn Node + 'env> {
        let (left, world) = (Arc::clone(&self.left), Arc::clone(&self.world));
        Box::new(Armed { inner: node, left, world, name: stage.name.clone() })
    }
}

struct Armed<'env> {
    inner: Box<dyn Node + 'env>,
    left: Arc<AtomicU32>,
    world: Arc<World>,
    name: String,
}

impl Armed<'_> {
    /// Counts a call down; the one that reaches zero panics. No panic hook runs: it is meant.
    fn call(&self) {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 || self.world.healed() {
            return;
        }
        self.left.store(left - 1, Ordering::Relaxed);
        if left == 1 {
            self.world.took(Fault::Panic, &self.name);
            std::panic::resume_unwind(Box::new("injected panic"));
        }
    }
}

impl Node for Armed<'_> {
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.inner.on_start(cx)
    }
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.call();
        self.inner.on_batch(port, input, outs, cx)
    }
    fn on_watermark(
        &mut self,
        w: Timestamp,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.call();
        self.inner.on_watermark(w, outs, cx)
    }
    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.call();
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
        self.call();
        self.inner.on_input_end(port, outs, cx)
    }
    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.call();
        self.inner.on_end(outs, cx)
    }
    fn on_policy(&mut self, epoch: Epoch, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.call();
        self.inner.on_policy(epoch, cx)
    }
    fn on_barrier(
        &mut self,
        epoch: Epoch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.call();
        self.inner.on_barrier(epoch, outs, cx)
    }
    fn on_command(
        &mut self,
        command: &Command,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        self.call();
        self.inner.on_command(command, outs, cx)
    }
    fn accepts(&self, port: usize) -> bool {
        self.inner.accepts(port)
    }
    fn follows_time(&self) -> bool {
        self.inner.follows_time()
    }
    fn promise(&mut self, w: Timestamp) -> Option<Timestamp> {
        self.inner.promise(w)
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
        self.call();
        self.inner.poll(task, outs, cx)
    }
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.call();
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
