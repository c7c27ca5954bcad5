//! `errors`: what fails in a stage as a flow of its own.

use flux_io_core::{
    AnyBatch, Command, Control, Counts, Epoch, ErrorRecord, Gauge, Ledger, Node, Outbox, StageCx,
    StageError, Step, Timestamp, Uniform,
};
use std::task::{Context, Poll};

/// A node whose dead letters leave by a port of their own, behind its other ports.
pub(super) struct Diverted<'env> {
    node: Box<dyn Node + 'env>,
    /// The greatest watermark that the port has passed on.
    told: Timestamp,
}

impl<'env> Diverted<'env> {
    pub(super) const fn new(node: Box<dyn Node + 'env>) -> Self {
        Self { node, told: Timestamp::MIN }
    }

    /// Calls the node with its own ports, then sends what failed meanwhile to the last port, with
    /// an event time that no watermark there has passed.
    fn call<R>(
        &mut self,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
        f: impl FnOnce(&mut (dyn Node + 'env), &mut [Outbox], &mut StageCx<'_>) -> R,
    ) -> Result<R, StageError> {
        let Some((errors, own)) = outs.split_last_mut() else {
            return Ok(f(&mut *self.node, outs, cx));
        };
        let answer = f(&mut *self.node, own, cx);
        let mut failed = cx.take_dead();
        if failed.is_empty() {
            return Ok(answer);
        }
        for record in &mut failed {
            if record.stage_name.is_empty() {
                cx.home().name.clone_into(&mut record.stage_name);
            }
        }
        let mut out = errors.typed::<Vec<ErrorRecord>>()?;
        let batch = out.batch();
        if batch.col.is_empty() {
            batch.meta.time = Uniform::All(Timestamp(self.told.0.saturating_add(1)));
        }
        batch.col.append(&mut failed);
        out.seal_if_full();
        Ok(answer)
    }

    /// Passes a watermark on to the errors, behind those that are there: they do not wait for more.
    fn tell(&mut self, w: Timestamp, outs: &mut [Outbox]) {
        if w > self.told
            && let Some(errors) = outs.last_mut()
        {
            self.told = w;
            errors.seal();
            errors.control(Control::Watermark(w));
        }
    }
}

impl Node for Diverted<'_> {
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.node.on_start(cx)
    }
    fn on_batch(
        &mut self,
        port: usize,
        input: &mut AnyBatch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        let last = input.meta().marks.last().map(|m| m.watermark);
        let step = self.call(outs, cx, |n, outs, cx| n.on_batch(port, input, outs, cx))??;
        // Marks that the node leaves come again as a control.
        if let Some(w) = last.filter(|_| step == Step::Done && input.meta().marks.is_empty()) {
            self.tell(w, outs);
        }
        Ok(step)
    }
    fn on_watermark(
        &mut self,
        w: Timestamp,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.call(outs, cx, |n, outs, cx| n.on_watermark(w, outs, cx))?
    }
    fn on_passed(
        &mut self,
        port: usize,
        number: u64,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.call(outs, cx, |n, outs, cx| n.on_passed(port, number, outs, cx))?
    }
    fn on_timer(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.call(outs, cx, |n, outs, cx| n.on_timer(outs, cx))?
    }
    fn on_input_end(
        &mut self,
        port: usize,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.call(outs, cx, |n, outs, cx| n.on_input_end(port, outs, cx))?
    }
    fn on_end(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<Step, StageError> {
        self.call(outs, cx, |n, outs, cx| n.on_end(outs, cx))?
    }
    fn on_policy(&mut self, epoch: Epoch, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        self.node.on_policy(epoch, cx)
    }
    fn on_barrier(
        &mut self,
        epoch: Epoch,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.call(outs, cx, |n, outs, cx| n.on_barrier(epoch, outs, cx))?
    }
    fn on_command(
        &mut self,
        command: &Command,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<bool, StageError> {
        self.call(outs, cx, |n, outs, cx| n.on_command(command, outs, cx))?
    }
    fn accepts(&self, port: usize) -> bool {
        self.node.accepts(port)
    }
    fn follows_time(&self) -> bool {
        self.node.follows_time()
    }
    fn promise(&mut self, watermark: Timestamp) -> Option<Timestamp> {
        let promised = self.node.promise(watermark);
        self.told = promised.map_or(self.told, |w| w.max(self.told));
        promised
    }
    fn in_flight(&self) -> usize {
        self.node.in_flight()
    }
    fn awaits_outside(&self) -> bool {
        self.node.awaits_outside()
    }
    fn poll(
        &mut self,
        task: &mut Context<'_>,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Poll<Result<(), StageError>> {
        match self.call(outs, cx, |n, outs, cx| n.poll(task, outs, cx)) {
            Ok(polled) => polled,
            Err(e) => Poll::Ready(Err(e)),
        }
    }
    fn snapshot(&mut self, to: &mut Vec<u8>) -> Result<(), StageError> {
        self.node.snapshot(to)
    }
    fn restore(&mut self, from: &[u8]) -> Result<(), StageError> {
        self.node.restore(from)
    }
    fn counts(&self, each: &mut dyn FnMut(usize, Counts)) {
        self.node.counts(each);
    }
    fn ledger(&self) -> Option<Ledger> {
        self.node.ledger()
    }
    fn gauge(&self) -> Option<Gauge> {
        self.node.gauge()
    }
}
