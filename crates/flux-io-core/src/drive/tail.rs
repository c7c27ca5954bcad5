//! Where a chain ends: output edges, or a sink.

use super::{Halt, Shared, panic_text};
use crate::batch::AnyBatch;
use crate::edge::Edge;
use crate::error::{
    DeadCause, ErrorClass, ErrorKind, ErrorRecord, GiveUp, OnError, Original, StageError,
};
use crate::graph::Route;
use crate::host::{Alarm, Sleep};
use crate::id::Epoch;
use crate::io::{DynSink, IoCx};
use crate::run::{Phase, RunFailure, StageState};
use crate::stage::{Control, Draws, Parcel, Removed};
use crate::sync::Arc;
use crate::time::Moment;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// One edge of the plan, seen by one sending instance.
pub(super) struct OutEdge {
    pub(super) route: Route,
    pub(super) ordered: bool,
    pub(super) to: Vec<Edge>,
    turn: usize,
    sent_in_turn: bool,
    owners: Vec<u32>,
    parts: Vec<AnyBatch>,
}

impl OutEdge {
    pub(super) fn new(route: Route, ordered: bool, to: Vec<Edge>) -> Self {
        Self {
            route,
            ordered,
            to,
            turn: 0,
            sent_in_turn: false,
            owners: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Sends a batch and gives an empty one back, if there is one.
    async fn send(
        &mut self,
        mut b: AnyBatch,
        run: &Shared,
        slot: usize,
        now: &mut Moment,
    ) -> Result<Option<AnyBatch>, Halt> {
        match self.route {
            Route::Hash if self.to.len() > 1 => {
                self.scatter(&mut b, run, slot, now).await?;
                Ok(Some(b))
            }
            Route::RoundRobin if self.to.len() > 1 => {
                if std::mem::replace(&mut self.sent_in_turn, true) {
                    self.to[self.turn].control(Control::Turn);
                    self.turn = (self.turn + 1) % self.to.len();
                }
                send_one(&self.to[self.turn], b, run, slot, now).await
            }
            _ => match self.to.first() {
                Some(e) => send_one(e, b, run, slot, now).await,
                None => Ok(Some(b)),
            },
        }
    }

    async fn scatter(
        &mut self,
        b: &mut AnyBatch,
        run: &Shared,
        slot: usize,
        now: &mut Moment,
    ) -> Result<(), Halt> {
        while self.parts.len() < self.to.len() {
            self.parts.push(b.empty());
        }
        b.owners(self.to.len() as u32, &mut self.owners);
        b.scatter(&self.owners, &mut self.parts).map_err(|e| RunFailure {
            stage: "exchange".into(),
            shard: 0,
            error: e.into(),
        })?;
        for (edge, part) in self.to.iter().zip(&mut self.parts) {
            if part.is_empty() {
                if let Some(m) = part.meta().marks.last() {
                    edge.control(Control::Watermark(m.watermark));
                }
                part.clear();
                continue;
            }
            let fresh = part.empty();
            let full = std::mem::replace(part, fresh);
            if let Some(mut spare) = send_one(edge, full, run, slot, now).await? {
                spare.clear();
                *part = spare;
            }
        }
        Ok(())
    }

    fn control(&self, c: Control) {
        match (c, self.route) {
            // One stream, dealt out in turn: its watermark travels with the turn it stands in.
            (Control::Watermark(_), Route::RoundRobin) if self.ordered && self.to.len() > 1 => {
                self.to[self.turn].control(c);
            }
            _ => self.to.iter().for_each(|e| e.control(c)),
        }
    }
}

/// Sends over one edge, waiting for room; an abort ends the wait. `clock` is read again meanwhile
/// (S7): it is the time that the stages of the task are told next.
pub(super) async fn send_one(
    edge: &Edge,
    b: AnyBatch,
    run: &Shared,
    slot: usize,
    clock: &mut Moment,
) -> Result<Option<AnyBatch>, Halt> {
    let mut batch = Some(b);
    let mut alarm: Option<Alarm> = None;
    poll_fn(|cx| {
        if run.handle.aborted() {
            return Poll::Ready(Err(Halt::Aborted));
        }
        let mut retry = None;
        // The clock matters to flow-control policies only; they get it when there is one.
        *clock = run.host.now();
        match edge.poll_send(cx, &mut batch, &mut retry, *clock) {
            Poll::Ready(spare) => Poll::Ready(Ok(spare)),
            Poll::Pending => {
                if let Some(at) = retry {
                    alarm.get_or_insert_with(|| Alarm::new(&run.host)).set(at, cx);
                }
                run.handle.register(slot, cx);
                if run.handle.aborted() { Poll::Ready(Err(Halt::Aborted)) } else { Poll::Pending }
            }
        }
    })
    .await
}

/// Polls user code of a source or sink; a panic becomes an error.
pub(super) fn poll_guarded<T>(
    f: Pin<&mut (impl Future<Output = Result<T, StageError>> + ?Sized)>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, StageError>> {
    catch_unwind(AssertUnwindSafe(|| f.poll(cx))).unwrap_or_else(|p| {
        let what = format!("panicked: {}", panic_text(&*p));
        Poll::Ready(Err(StageError::new(ErrorClass::Permanent, ErrorKind::Panicked, what)))
    })
}

/// Awaits user code of a sink; an abort ends the wait.
async fn guarded<T>(
    f: impl Future<Output = Result<T, StageError>>,
    run: &Shared,
    slot: usize,
) -> Result<Result<T, StageError>, Halt> {
    let mut f = pin!(f);
    poll_fn(|cx| {
        if run.handle.aborted() {
            return Poll::Ready(Err(Halt::Aborted));
        }
        if let Poll::Ready(r) = poll_guarded(f.as_mut(), cx) {
            return Poll::Ready(Ok(r));
        }
        run.handle.register(slot, cx);
        if run.handle.aborted() { Poll::Ready(Err(Halt::Aborted)) } else { Poll::Pending }
    })
    .await
}

/// Waits until a moment; an abort ends the wait.
async fn pause(at: Moment, run: &Shared, slot: usize) -> Result<(), Halt> {
    let sleep = Sleep::until(&run.host, at);
    guarded(async move { Ok(sleep.await) }, run, slot).await.map(|_| ())
}

/// A sink at the end of a chain.
pub(super) struct SinkEnd<'env> {
    pub(super) sink: Box<dyn DynSink + 'env>,
    pub(super) state: StageState,
    pub(super) removed: Removed,
    on_error: OnError,
    io: IoCx,
    draws: Draws,
    prepared: Vec<Epoch>,
    closed: bool,
}

impl<'env> SinkEnd<'env> {
    pub(super) fn new(
        sink: Box<dyn DynSink + 'env>,
        name: String,
        on_error: OnError,
        io: IoCx,
        seed: u64,
    ) -> Self {
        Self {
            sink,
            draws: Draws(crate::key::hash_of(name.as_str(), seed)),
            state: StageState { name, ..StageState::default() },
            removed: Removed::default(),
            on_error,
            io,
            prepared: Vec::new(),
            closed: false,
        }
    }

    async fn write(&mut self, b: &mut AnyBatch, run: &Shared, slot: usize) -> Result<(), Halt> {
        let rows = b.len() as u64;
        self.state.counts.rows_in += rows;
        let mut attempt = 0;
        loop {
            let answer = guarded(self.sink.write(b, &self.io), run, slot).await?;
            let Err(e) = answer else {
                self.state.counts.rows_out += rows;
                if let Some(o) = &run.observer {
                    o.on_batch(&self.state.name, 0, rows as usize, run.host.now());
                }
                return Ok(());
            };
            attempt += 1;
            self.note(&e);
            if let Some(wait) = self.on_error.retry_after(e.class, attempt, self.draws.next_u32())
                && e.class != ErrorClass::Catastrophic
            {
                self.state.retries += 1;
                pause(run.host.now().plus(wait), run, slot).await?;
                continue;
            }
            let left = b.len() as u64;
            match self.on_error.finally() {
                GiveUp::DeadLetter if e.class != ErrorClass::Catastrophic => {
                    let mut r = ErrorRecord::new(DeadCause::Failed, crate::error::chain(&e));
                    (r.items, r.attempts) = (left, attempt);
                    (r.source, r.seq) = (b.meta().source, b.meta().seq.at(0));
                    let fresh = b.empty();
                    r.original = Original::value(std::mem::replace(b, fresh));
                    self.removed.dead.push(r);
                }
                GiveUp::Skip if e.class != ErrorClass::Catastrophic => {
                    self.removed.drop_rows("skip", left);
                    b.clear();
                }
                _ => return Err(self.failure(e).into()),
            }
            self.state.counts.rows_out += rows - left;
            self.state.counts.failed += left;
            return Ok(());
        }
    }

    async fn control(&mut self, c: Control, run: &Shared, slot: usize) -> Result<(), Halt> {
        let answer = match c {
            Control::End => {
                self.closed = true;
                self.state.phase = Phase::Done;
                guarded(self.sink.close(&self.io), run, slot).await?
            }
            Control::Barrier(e) => {
                self.prepared.push(e);
                guarded(self.sink.prepare(e, &self.io), run, slot).await?
            }
            _ => Ok(()),
        };
        answer.map_err(|e| {
            self.note(&e);
            self.failure(e).into()
        })
    }

    /// Commits what every task has acknowledged.
    pub(super) async fn commit(
        &mut self,
        done: Epoch,
        run: &Shared,
        slot: usize,
    ) -> Result<(), Halt> {
        while let Some(e) = self.prepared.first().copied().filter(|e| *e <= done && !self.closed) {
            let answer = guarded(self.sink.commit(e, &self.io), run, slot).await?;
            answer.map_err(|e| self.failure(e))?;
            self.prepared.remove(0);
        }
        Ok(())
    }

    fn note(&mut self, e: &StageError) {
        self.state.errors += 1;
        self.state.last_error = Some(crate::error::chain(e));
    }

    fn failure(&self, error: StageError) -> RunFailure {
        RunFailure { stage: self.state.name.clone(), shard: 0, error }
    }
}

/// The end of a chain.
pub(super) enum Tail<'env> {
    /// One list of edges for each output port of the last link.
    Edges(Vec<Vec<OutEdge>>),
    Sink(Box<SinkEnd<'env>>),
}

impl Tail<'_> {
    /// Passes a parcel on; gives an empty batch back, if there is one.
    pub(super) async fn deliver(
        &mut self,
        port: usize,
        p: Parcel,
        run: &Shared,
        slot: usize,
        now: &mut Moment,
    ) -> Result<Option<AnyBatch>, Halt> {
        match (self, p) {
            (Self::Sink(s), Parcel::Batch(mut b)) => {
                s.write(&mut b, run, slot).await?;
                *now = run.host.now();
                Ok(Some(b))
            }
            (Self::Sink(s), Parcel::Control(c)) => {
                s.control(c, run, slot).await?;
                *now = run.host.now();
                Ok(None)
            }
            (Self::Edges(ports), Parcel::Batch(b)) => {
                match ports.get_mut(port).and_then(|e| e.first_mut()) {
                    Some(e) => e.send(b, run, slot, now).await,
                    None => Ok(Some(b)),
                }
            }
            (Self::Edges(ports), Parcel::Control(c)) => {
                ports.get(port).into_iter().flatten().for_each(|e| e.control(c));
                Ok(None)
            }
        }
    }

    /// The task ends: receivers learn it, an unfinished sink gives up.
    pub(super) fn leave(&mut self, clean: bool) {
        match self {
            Self::Edges(ports) => {
                ports.iter().flatten().for_each(|e| e.control(Control::End));
            }
            Self::Sink(s) if !clean && !s.closed => s.sink.abort(),
            Self::Sink(_) => {}
        }
    }
}

/// What a task holds of the run's shared things.
pub(super) fn io_of(run: &Arc<Shared>) -> IoCx {
    IoCx::new(Arc::clone(&run.host), run.max_rows)
}
