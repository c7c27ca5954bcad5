//! Where a chain ends: output edges, or a sink.

use super::{Halt, Shared, panic_text, yield_now};
use crate::batch::AnyBatch;
use crate::edge::Edge;
use crate::error::{
    DeadCause, ErrorClass, ErrorKind, ErrorRecord, GiveUp, OnError, Original, StageError,
};
use crate::graph::Route;
use crate::host::Alarm;
use crate::id::Epoch;
use crate::io::{DynSink, IoCx};
use crate::mutant;
use crate::run::{Phase, RunFailure, SKIP, StageState};
use crate::stage::{Control, Draws, Parcel, Removed};
use crate::sync::Arc;
use crate::time::Moment;
use crate::watchdog::Doing;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Attempts without a wait after which a task yields.
const ATTEMPTS_PER_YIELD: u32 = 64;

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
            Route::RoundRobin if self.to.len() > 1 && !self.ordered => {
                send_any(&self.to, &mut self.turn, b, run, slot, now).await
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
        let refused = |error| RunFailure { stage: "exchange".into(), shard: 0, error };
        if b.meta().hash.len() != b.len() {
            // Rows without an owner would be dropped in silence.
            let what = "rows without key hashes reached an exchange by key; put `key_by` before it";
            let error = StageError::new(ErrorClass::Catastrophic, ErrorKind::Plan, what);
            return Err(refused(error).into());
        }
        b.owners(self.to.len() as u32, &mut self.owners);
        b.scatter(&self.owners, &mut self.parts).map_err(|e| refused(e.into()))?;
        for (edge, part) in self.to.iter().zip(&mut self.parts) {
            if part.is_empty() {
                if let Some(m) = part.meta().marks.last()
                    && !mutant!(ShardMarkLost)
                {
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
        let in_turn = self.route == Route::RoundRobin && self.ordered && self.to.len() > 1;
        match c {
            // One stream, dealt out in turn: what its sender says of itself travels with the turn
            // it stands in. Everywhere else it would come again, late, with a later turn.
            Control::Watermark(_)
            | Control::Passed(_)
            | Control::Idle
            | Control::Quarantined
            | Control::Resumed
                if in_turn =>
            {
                self.to[self.turn].control(c);
            }
            _ => self.to.iter().for_each(|e| e.control(c)),
        }
    }
}

/// A wait for room or for user code, and what ends it from outside: an abort, or the deadline of
/// a drain.
struct Wait<'r> {
    run: &'r Shared,
    slot: usize,
    doing: Doing,
    alarm: Option<Alarm>,
}

impl<'r> Wait<'r> {
    const fn new(run: &'r Shared, slot: usize, doing: Doing) -> Self {
        Self { run, slot, doing, alarm: None }
    }

    /// What is waited for is pending: ends the wait, or goes on with it until something moves, at
    /// the latest at `retry`.
    fn poll<T>(&mut self, retry: Option<Moment>, cx: &Context<'_>) -> Poll<Result<T, Halt>> {
        let (handle, host) = (&self.run.handle, &self.run.host);
        // Registered first: a stop that comes while we look wakes us again.
        handle.register(self.slot, cx);
        let by = handle.drain_by(|| host.now());
        if by.is_some_and(|t| t <= host.now()) {
            handle.drain_expired();
        }
        if handle.aborted() {
            return Poll::Ready(Err(Halt::Aborted));
        }
        let until = [retry, by].into_iter().flatten().min();
        if let Some(w) = &self.run.watched {
            w.waits(self.slot, self.doing, until);
        }
        match until {
            Some(at) => self.alarm.get_or_insert_with(|| Alarm::new(host)).set(at, cx),
            None => self.alarm = None,
        }
        Poll::Pending
    }
}

/// Sends over one edge, waiting for room. `clock` is read again meanwhile (S7): it is the time that
/// the stages of the task are told next.
pub(super) async fn send_one(
    edge: &Edge,
    b: AnyBatch,
    run: &Shared,
    slot: usize,
    clock: &mut Moment,
) -> Result<Option<AnyBatch>, Halt> {
    let mut batch = Some(b);
    let mut wait = Wait::new(run, slot, Doing::Room);
    poll_fn(|cx| {
        if run.handle.aborted() {
            return Poll::Ready(Err(Halt::Aborted));
        }
        let mut retry = None;
        // The clock matters to flow-control policies only; they get it when there is one.
        *clock = run.host.now();
        match edge.poll_send(cx, &mut batch, &mut retry, *clock) {
            Poll::Ready(spare) => Poll::Ready(Ok(spare)),
            Poll::Pending => wait.poll(retry, cx),
        }
    })
    .await
}

/// Sends over whichever edge has room first, looking from `turn` on: nobody behind asked for an
/// order, so a slow receiver holds up none of the others.
async fn send_any(
    edges: &[Edge],
    turn: &mut usize,
    b: AnyBatch,
    run: &Shared,
    slot: usize,
    clock: &mut Moment,
) -> Result<Option<AnyBatch>, Halt> {
    let mut batch = Some(b);
    let mut wait = Wait::new(run, slot, Doing::Room);
    poll_fn(|cx| {
        if run.handle.aborted() {
            return Poll::Ready(Err(Halt::Aborted));
        }
        *clock = run.host.now();
        let mut first = None;
        for k in 0..edges.len() {
            let at = (*turn + k) % edges.len();
            let mut retry = None;
            if let Poll::Ready(spare) = edges[at].poll_send(cx, &mut batch, &mut retry, *clock) {
                *turn = at + 1;
                return Poll::Ready(Ok(spare));
            }
            first = [first, retry].into_iter().flatten().min();
        }
        wait.poll(first, cx)
    })
    .await
}

/// A restored run: the sink settles what was prepared before its first row.
pub(super) async fn recover(tail: &mut Tail<'_>, run: &Shared, slot: usize) -> Result<(), Halt> {
    let Tail::Sink(s) = tail else { return Ok(()) };
    if mutant!(RecoverForgotten) {
        return Ok(());
    }
    let done = (run.restored > Epoch(0)).then_some(run.restored);
    let answer = guarded(s.sink.recover(done, &s.io), run, slot).await?;
    answer.map_err(|e| s.failure(e).into())
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

/// Awaits user code of a sink.
async fn guarded<T>(
    f: impl Future<Output = Result<T, StageError>>,
    run: &Shared,
    slot: usize,
) -> Result<Result<T, StageError>, Halt> {
    waited(f, None, run, slot).await
}

/// Awaits a future, or a pause of known end; an abort ends the wait.
async fn waited<T>(
    f: impl Future<Output = Result<T, StageError>>,
    until: Option<Moment>,
    run: &Shared,
    slot: usize,
) -> Result<Result<T, StageError>, Halt> {
    let mut f = pin!(f);
    let doing = if until.is_some() { Doing::Time } else { Doing::Sink };
    let mut wait = Wait::new(run, slot, doing);
    poll_fn(|cx| {
        if run.handle.aborted() {
            return Poll::Ready(Err(Halt::Aborted));
        }
        match poll_guarded(f.as_mut(), cx) {
            Poll::Ready(r) => Poll::Ready(Ok(r)),
            Poll::Pending => wait.poll(until, cx),
        }
    })
    .await
}

/// Waits between two attempts; an abort ends the wait. Attempts that wait for nothing let other
/// tasks run now and then.
async fn pause(run: &Shared, slot: usize, wait: Duration, attempt: u32) -> Result<(), Halt> {
    if wait.is_zero() && attempt.is_multiple_of(ATTEMPTS_PER_YIELD) {
        yield_now().await;
    }
    let at = run.host.now().plus(wait);
    // Woken by the wait's own alarm.
    let over = |_: &mut Context<'_>| match run.host.now() >= at {
        true => Poll::Ready(Ok(())),
        false => Poll::Pending,
    };
    waited(poll_fn(over), Some(at), run, slot).await.map(|_| ())
}

/// The least time between two flushes of a sink whose input goes quiet again and again: rows that
/// come one by one cost one call each of these, not one each row.
const FLUSH_EVERY: Duration = Duration::from_millis(5);

/// What is asked of a sink between rows, and tried again by its policy.
#[derive(Clone, Copy)]
enum Ask {
    Flush,
    Prepare(Epoch),
    Commit(Epoch),
}

/// A sink said that all is well and left rows: they are lost unless somebody says so.
fn half_taken(left: usize, rows: u64) -> StageError {
    let what = format!(
        "the sink left {left} of {rows} rows in the batch and said that it took them all; remove \
         the rows that are taken, from the front, or return an error"
    );
    StageError::new(ErrorClass::Permanent, ErrorKind::User, what)
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
    /// Rows were accepted since it was flushed.
    unflushed: bool,
    flushed_at: Option<Moment>,
    /// It was closed, or told to give up.
    over: bool,
    #[cfg(flux_io_mutants)]
    held: Option<AnyBatch>,
}

impl Drop for SinkEnd<'_> {
    /// A task that is dropped half-way has not finished its sink.
    fn drop(&mut self) {
        self.give_up();
    }
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
            unflushed: false,
            flushed_at: None,
            over: false,
            #[cfg(flux_io_mutants)]
            held: None,
        }
    }

    async fn write(&mut self, b: &mut AnyBatch, run: &Shared, slot: usize) -> Result<(), Halt> {
        let rows = b.len() as u64;
        self.state.counts.rows_in += rows;
        let mut attempt = 0;
        loop {
            let (before, place) = (b.len(), b.meta().seq.place());
            let mut answer = guarded(self.sink.write(b, &self.io), run, slot).await?;
            self.unflushed |= (b.len() as u64) < rows;
            let taken = before.saturating_sub(b.len());
            if !b.is_empty() && b.meta().seq.place() == place {
                b.meta_mut().advance(taken);
            }
            if answer.is_ok() && !b.is_empty() && !mutant!(LeftRowsPassed) {
                answer = Err(half_taken(b.len(), rows));
            }
            let Err(e) = answer else {
                #[cfg(flux_io_mutants)]
                if let Some(held) = self.held.take() {
                    *b = held;
                    continue;
                }
                self.state.counts.rows_out += rows;
                if let Some(o) = &run.observer {
                    o.on_batch(&self.state.name, 0, rows as usize, run.host.now());
                }
                return Ok(());
            };
            #[cfg(flux_io_mutants)]
            if mutant!(OrderLostAfterRetry) && e.class == ErrorClass::Transient && attempt == 0 {
                let fresh = b.empty();
                self.held = Some(std::mem::replace(b, fresh));
                self.state.counts.rows_out += rows;
                return Ok(());
            }
            attempt += 1;
            self.note(&e);
            if let Some(wait) = self.on_error.retry_after(e.class, attempt, self.draws.next_u32())
                && e.class != ErrorClass::Catastrophic
            {
                self.state.retries += 1;
                pause(run, slot, wait, attempt).await?;
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
                    self.removed.drop_rows(SKIP, left);
                    b.clear();
                }
                _ => return Err(self.failure(e).into()),
            }
            self.state.counts.rows_out += rows - left;
            return Ok(());
        }
    }

    async fn control(&mut self, c: Control, run: &Shared, slot: usize) -> Result<(), Halt> {
        #[cfg(flux_io_mutants)]
        if let Some(mut held) = self.held.take() {
            let rows = held.len() as u64;
            Box::pin(self.write(&mut held, run, slot)).await?;
            self.state.counts.rows_in -= rows;
            self.state.counts.rows_out -= rows;
        }
        let answer = match c {
            Control::End => {
                let closed = guarded(self.sink.close(&self.io), run, slot).await?;
                self.over = closed.is_ok();
                self.state.phase = if self.over { Phase::Done } else { Phase::Failed };
                closed
            }
            Control::Barrier(e) => {
                match self.tried(Ask::Prepare(e), run, slot).await? {
                    Ok(()) if mutant!(CommitAtBarrier) => {
                        let answer = self.tried(Ask::Commit(e), run, slot).await?;
                        answer.map_err(|e| self.failure(e))?;
                    }
                    Ok(()) => self.prepared.push(e),
                    Err(e) if e.class == ErrorClass::Catastrophic => {
                        return Err(self.failure(e).into());
                    }
                    // The checkpoint is given up, not the run: what was accepted goes with the
                    // next one.
                    Err(_) => run.handle.give_up(e),
                }
                return Ok(());
            }
            _ => Ok(()),
        };
        answer.map_err(|e| {
            self.note(&e);
            self.failure(e).into()
        })
    }

    /// When what it accepted is to be flushed if its input is quiet then.
    pub(super) fn flush_at(&self) -> Option<Moment> {
        let due = self.unflushed && !self.over && self.sink.holds_back();
        due.then(|| self.flushed_at.map_or(Moment::START, |t| t.plus(FLUSH_EVERY)))
    }

    /// The input is quiet: what was accepted is handed on.
    pub(super) async fn flush(&mut self, run: &Shared, slot: usize) -> Result<(), Halt> {
        self.tried(Ask::Flush, run, slot).await?.map_err(|e| self.failure(e))?;
        self.unflushed = false;
        self.flushed_at = Some(run.host.now());
        Ok(())
    }

    /// Asks the sink; transient failures are tried again by its policy.
    async fn tried(
        &mut self,
        ask: Ask,
        run: &Shared,
        slot: usize,
    ) -> Result<Result<(), StageError>, Halt> {
        let mut attempt = 0;
        loop {
            let call = match ask {
                Ask::Flush => self.sink.flush(&self.io),
                Ask::Prepare(e) => self.sink.prepare(e, &self.io),
                Ask::Commit(e) => self.sink.commit(e, &self.io),
            };
            let Err(e) = guarded(call, run, slot).await? else { return Ok(Ok(())) };
            attempt += 1;
            self.note(&e);
            let unit = self.draws.next_u32();
            let Some(wait) = self.on_error.retry_after(e.class, attempt, unit) else {
                return Ok(Err(e));
            };
            self.state.retries += 1;
            pause(run, slot, wait, attempt).await?;
        }
    }

    /// Commits what every task has acknowledged. What could not be committed stays prepared: it is
    /// recovered when the sink is used again.
    pub(super) async fn commit(
        &mut self,
        done: Epoch,
        run: &Shared,
        slot: usize,
    ) -> Result<(), Halt> {
        while let Some(e) = self.prepared.first().copied().filter(|e| *e <= done && !self.over) {
            self.tried(Ask::Commit(e), run, slot).await?.map_err(|e| self.failure(e))?;
            self.prepared.remove(0);
        }
        Ok(())
    }

    /// Gives up what was not finished, once.
    fn give_up(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            // The run is over for this sink whatever its abort does.
            drop(catch_unwind(AssertUnwindSafe(|| self.sink.abort())));
        }
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

    /// The task ends. Receivers learn the end of a whole input only: one that was cut short must
    /// not look complete to them, and they learn of the stop at the handle. A sink gives up what
    /// it has not finished.
    pub(super) fn leave(&mut self, clean: bool) {
        match self {
            Self::Edges(ports) if clean => {
                ports.iter().flatten().for_each(|e| e.control(Control::End));
            }
            Self::Edges(_) => {}
            Self::Sink(s) => s.give_up(),
        }
    }
}

/// What a task holds of the run's shared things.
pub(super) fn io_of(run: &Arc<Shared>) -> IoCx {
    IoCx::new(Arc::clone(&run.host), run.max_rows)
}
