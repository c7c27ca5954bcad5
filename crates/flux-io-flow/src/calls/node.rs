//! The stage of `async_map`.

use super::Calls;
use super::clock::StageClock;
use super::order::{Finished, Next, Order};
use super::slot::{Around, Slot};
use super::wakes::Wakes;
use crate::drive::Failed;
use crate::effect::{Cancel, Env};
use crate::kernel::{Kernel, Raw};
use crate::meta::{join, joins};
use flux_io_core::{
    AnyBatch, Column, Control, ErrorClass, ErrorKind, IoCx, Meta, Node, OnError, Original, Outbox,
    Reservation, RowError, Seq, StageCx, StageError, Step, Uniform, mutant,
};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

type RowOf<C> = <Raw as Kernel<C>>::Out;

/// Calls for rows of column `C` that give values of type `U`.
pub(super) struct AsyncMap<C, U, F, Fut>
where
    C: Column,
    Raw: Kernel<C>,
{
    f: F,
    calls: Calls,
    on: OnError,
    clock: Arc<StageClock>,
    cancel: Cancel,
    env: Option<Env>,
    wakes: Arc<Wakes>,
    slots: Vec<Slot<RowOf<C>, Fut>>,
    free: Vec<usize>,
    order: Order<RowOf<C>, U>,
    /// Rows taken from the input so far; 0 between two inputs.
    at: u64,
    ready: Vec<usize>,
    /// A number that was passed behind the rows in flight.
    passed: Option<u64>,
    /// Clones of slots' wakers that others hold: timers, and whoever is waited for.
    lent: usize,
    charge: Reservation,
    column: PhantomData<fn() -> C>,
}

impl<C, U, E, F, Fut> AsyncMap<C, U, F, Fut>
where
    C: Column,
    Raw: Kernel<C>,
    U: Send + 'static,
    E: Into<RowError>,
    F: FnMut(&RowOf<C>, &Env) -> Fut + Send,
    Fut: Future<Output = Result<U, E>> + Send,
{
    pub(super) fn new(f: F, calls: Calls, on: OnError) -> Self {
        Self {
            f,
            calls,
            on,
            clock: Arc::default(),
            cancel: Cancel::new(),
            env: None,
            wakes: Arc::default(),
            slots: Vec::new(),
            free: Vec::new(),
            order: Order::new(calls.ordered),
            at: 0,
            ready: Vec::new(),
            passed: None,
            lent: 0,
            charge: Reservation::default(),
            column: PhantomData,
        }
    }

    /// Whether one more row may be taken.
    fn has_room(&self) -> bool {
        self.slots.len() - self.free.len() < self.calls.limit
            && self.order.rows() < self.calls.limit
    }

    fn begin(&mut self, row: RowOf<C>, meta: Meta) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new(self.wakes.slot()));
            self.slots.len() - 1
        });
        let ticket = self.order.begin();
        if let Some(s) = self.slots.get_mut(slot) {
            s.take(row, meta, ticket);
        }
        self.wakes.wake(slot);
    }

    /// Polls the calls that were woken; whether one has ended.
    fn turn(&mut self, task: &Context<'_>, cx: &mut StageCx<'_>) -> bool {
        let Some(env) = &self.env else { return false };
        let mut around = Around {
            f: &mut self.f,
            calls: self.calls,
            on: self.on,
            env,
            clock: self.clock.as_ref(),
            retried: 0,
        };
        self.wakes.take(&mut self.ready, task.waker());
        let mut ended = false;
        for slot in self.ready.drain(..) {
            let Some(s) = self.slots.get_mut(slot) else { continue };
            let result = s.poll(&mut around);
            let (before, now) = s.lent();
            self.lent = self.lent + now - before;
            if let Some(result) = result {
                let meta = std::mem::take(&mut s.meta);
                self.order.end(s.ticket, Finished { meta, result });
                if mutant!(RetriedResultLate) && s.was_retried() {
                    self.order.delay(s.ticket);
                }
                self.free.push(slot);
                ended = true;
            }
        }
        cx.retried(around.retried);
        if ended {
            self.order.settle();
        }
        ended
    }

    /// Passes a number on when no row below it is in flight; whether it did.
    fn pass(&mut self, outs: &mut [Outbox]) -> bool {
        let number = self.passed.take_if(|_| self.order.len() == 0);
        if let (Some(n), Some(out)) = (number, outs.first_mut()) {
            out.control(Control::Passed(n));
        }
        number.is_some()
    }

    /// Gives out what may go on while there is room; whether there was any.
    fn give(&mut self, outs: &mut [Outbox], cx: &mut StageCx<'_>) -> Result<bool, StageError> {
        let Some(port) = outs.first_mut() else { return Ok(false) };
        let mut given = false;
        while !port.is_full()
            && let Some(next) = self.order.next()
        {
            given = true;
            let mut out = port.typed::<Vec<U>>()?;
            let Finished { meta, result } = match next {
                Next::Mark(w) => {
                    out.mark(w);
                    continue;
                }
                Next::Row(row) => row,
            };
            match result {
                Ok(value) => {
                    let batch = out.batch();
                    if !joins(&batch.meta, batch.len(), &meta) {
                        out.seal();
                    }
                    let batch = out.batch();
                    join(&mut batch.meta, batch.col.len(), meta, 1);
                    batch.col.push(value);
                    out.seal_if_full();
                }
                Err((error, row, attempts)) => {
                    let name = cx.home().name.clone();
                    let failed =
                        Failed { part: "stage", name: &name, meta: &meta, row: 0, attempts };
                    failed.go(self.on, error, Original::value(row), cx)?;
                }
            }
        }
        Ok(given)
    }
}

/// The metadata of row `r`, for a batch of one.
fn meta_of(meta: &Meta, r: usize) -> Meta {
    Meta {
        source: meta.source,
        seq: Seq::Run(meta.seq.at(r)),
        time: Uniform::All(meta.time.at(r)),
        context: meta.context_at(r).map(Arc::clone),
        window: meta.window,
        ..Meta::default()
    }
}

impl<C, U, E, F, Fut> Node for AsyncMap<C, U, F, Fut>
where
    C: Column,
    Raw: Kernel<C>,
    U: Send + 'static,
    E: Into<RowError>,
    F: FnMut(&RowOf<C>, &Env) -> Fut + Send,
    Fut: Future<Output = Result<U, E>> + Send,
{
    fn on_start(&mut self, cx: &mut StageCx<'_>) -> Result<(), StageError> {
        let each = size_of::<Slot<RowOf<C>, Fut>>() + size_of::<Fut>() + size_of::<U>();
        let bytes = (self.calls.limit as u64).saturating_mul(each as u64);
        self.charge = cx.reservation();
        self.charge.try_grow(bytes).map_err(|e| {
            let what = format!(
                "no memory for {} calls in flight ({bytes} bytes); allow fewer calls or a greater \
                 budget",
                self.calls.limit
            );
            StageError::new(ErrorClass::Permanent, ErrorKind::User, what).because(e)
        })?;
        let host = Arc::clone(&self.clock);
        let seed = u64::from(cx.draw()) << 32 | u64::from(cx.draw());
        self.env = Some(Env::new(IoCx::new(host, 1), self.cancel.clone(), seed));
        Ok(())
    }

    fn on_batch(
        &mut self,
        _port: usize,
        input: &mut AnyBatch,
        _outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.clock.advance(cx.now());
        let input = input.get_mut::<C>()?;
        let (col, meta) = (&mut input.col, &mut input.meta);
        let mut at = self.at;
        let mut taken = false;
        if self.has_room() {
            let mut raw = Raw;
            taken = raw.run(col, &mut at, &mut |r, row| {
                let early = u32::from(mutant!(MarkBeforeCall));
                let before = meta.marks.partition_point(|m| m.at <= r + early);
                meta.marks.drain(..before).for_each(|m| self.order.mark(m.watermark));
                self.begin(row, meta_of(meta, r as usize));
                self.has_room()
            });
        }
        if !taken && col.rows() > 0 {
            self.at = at;
            return Ok(Step::Pending);
        }
        self.at = 0;
        input.meta.marks.drain(..).for_each(|m| self.order.mark(m.watermark));
        Ok(Step::Done)
    }

    fn on_passed(
        &mut self,
        _port: usize,
        number: u64,
        outs: &mut [Outbox],
        _cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.passed = self.passed.max(Some(number));
        self.pass(outs);
        Ok(Step::Done)
    }

    fn in_flight(&self) -> usize {
        self.order.len()
    }

    fn awaits_outside(&self) -> bool {
        // Timers and the stage's own token are inside; every timer was armed with a slot's waker.
        let Some(slot) = self.slots.first() else { return false };
        self.lent > self.clock.armed() + self.cancel.waiting(slot.waker())
    }

    fn poll(
        &mut self,
        task: &mut Context<'_>,
        outs: &mut [Outbox],
        cx: &mut StageCx<'_>,
    ) -> Poll<Result<(), StageError>> {
        self.clock.advance(cx.now());
        let ended = self.turn(task, cx);
        let given = self.give(outs, cx);
        let given = given.map(|given| self.pass(outs) || given);
        cx.cancel_wake();
        if let Some(at) = self.clock.next() {
            cx.wake_at(at);
        }
        match given {
            Err(e) => Poll::Ready(Err(e)),
            Ok(given) if given || ended => Poll::Ready(Ok(())),
            Ok(_) => Poll::Pending,
        }
    }
}

impl<C, U, F, Fut> Drop for AsyncMap<C, U, F, Fut>
where
    C: Column,
    Raw: Kernel<C>,
{
    /// Whoever waits outside for the token learns it before the futures are dropped.
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
