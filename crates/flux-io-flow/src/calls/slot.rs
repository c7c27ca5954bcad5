//! The place of one call: its attempts, each with its hedges, until there is a result.

use super::Calls;
use super::wakes::Lender;
use crate::drive::panic_text;
use crate::effect::{Env, too_late};
use flux_io_core::{DeadCause, Host, Meta, Moment, OnError, RowError, TimerId, mutant};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What calls need from their stage.
pub(super) struct Around<'a, F> {
    pub(super) f: &'a mut F,
    pub(super) calls: Calls,
    pub(super) on: OnError,
    pub(super) env: &'a Env,
    pub(super) clock: &'a dyn Host,
    /// Attempts that are made again.
    pub(super) retried: u64,
}

/// A row and its calls. The boxes of futures are made once and filled again.
pub(super) struct Slot<T, Fut> {
    pub(super) meta: Meta,
    pub(super) ticket: u64,
    row: Option<T>,
    attempts: u32,
    futures: Vec<Pin<Box<Option<Fut>>>>,
    /// Futures made in this attempt.
    made: usize,
    /// Between two attempts: when the next one is made.
    again: Option<Moment>,
    timeout: Option<Moment>,
    hedge: Option<Moment>,
    timer: Option<(Moment, TimerId)>,
    waker: Lender,
    /// Clones of the waker that others held when it was polled last.
    lent: usize,
}

/// The end of a call: its value, or what is wrong, the row, and attempts made.
pub(super) type End<T, U> = Result<U, (RowError, T, u32)>;

impl<T, U, E, Fut> Slot<T, Fut>
where
    Fut: Future<Output = Result<U, E>>,
    E: Into<RowError>,
{
    pub(super) fn new(waker: Lender) -> Self {
        Self {
            meta: Meta::default(),
            ticket: 0,
            row: None,
            attempts: 0,
            futures: Vec::new(),
            made: 0,
            again: None,
            timeout: None,
            hedge: None,
            timer: None,
            waker,
            lent: 0,
        }
    }

    /// Takes a row; the call is made when the slot is polled.
    pub(super) fn take(&mut self, row: T, meta: Meta, ticket: u64) {
        (self.row, self.meta, self.ticket) = (Some(row), meta, ticket);
        if !mutant!(AttemptsNotReset) {
            self.attempts = 0;
        }
        self.again = Some(Moment::START);
    }

    /// Counts the clones of its waker again; gives how many there were and are.
    pub(super) fn lent(&mut self) -> (usize, usize) {
        let now = self.waker.lent();
        (std::mem::replace(&mut self.lent, now), now)
    }

    /// Its waker.
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker.waker
    }

    /// Whether its call was made more than once.
    pub(super) const fn was_retried(&self) -> bool {
        self.attempts > 1
    }

    /// Makes and polls what is to be made and polled; `Some` at the end of the call.
    pub(super) fn poll<F>(&mut self, around: &mut Around<'_, F>) -> Option<End<T, U>>
    where
        F: FnMut(&T, &Env) -> Fut,
    {
        let row = self.row.take()?;
        match self.work(&row, around) {
            None => {
                self.row = Some(row);
                self.arm(around.clock);
                None
            }
            Some(end) => {
                self.disarm(around.clock);
                Some(end.map_err(|e| (e, row, self.attempts)))
            }
        }
    }

    fn work<F>(&mut self, row: &T, around: &mut Around<'_, F>) -> Option<Result<U, RowError>>
    where
        F: FnMut(&T, &Env) -> Fut,
    {
        let now = around.env.now();
        if let Some(at) = self.again {
            if at > now {
                return None;
            }
            self.again = None;
            self.attempts += 1;
            self.made = 0;
            self.timeout = around.calls.timeout.map(|t| now.plus(t));
            if let Err(e) = self.make(row, around) {
                return self.failed(e, around);
            }
        }
        loop {
            match self.poll_made() {
                Poll::Ready(Ok(value)) => {
                    self.stop();
                    return Some(Ok(value));
                }
                Poll::Ready(Err(e)) => return self.failed(e, around),
                Poll::Pending => {}
            }
            if let Some(limit) = around.calls.timeout
                && self.timeout.is_some_and(|t| t <= now)
            {
                return self.failed(too_late(limit), around);
            }
            if self.hedge.is_none_or(|t| t > now) {
                return None;
            }
            // A hedge that cannot be made is none: the calls under way go on.
            if self.make(row, around).is_err() {
                self.hedge = None;
            }
        }
    }

    /// One more call of this attempt.
    fn make<F>(&mut self, row: &T, around: &mut Around<'_, F>) -> Result<(), RowError>
    where
        F: FnMut(&T, &Env) -> Fut,
    {
        let future = guarded(|| (around.f)(row, around.env))?;
        match self.futures.get_mut(self.made) {
            Some(place) => place.set(Some(future)),
            None => self.futures.push(Box::pin(Some(future))),
        }
        self.made += 1;
        let more = |h: &super::Hedge| self.made <= h.extra as usize;
        self.hedge = around.calls.hedge.filter(more).map(|h| around.env.now().plus(h.after));
        Ok(())
    }

    /// Polls the calls of this attempt: the first value, or the last failure when all have failed.
    fn poll_made(&mut self) -> Poll<Result<U, RowError>> {
        let mut cx = Context::from_waker(&self.waker.waker);
        let mut failed = None;
        let mut left = false;
        for place in self.futures.iter_mut().take(self.made) {
            let Some(future) = place.as_mut().as_pin_mut() else { continue };
            let error = match guarded(|| future.poll(&mut cx)) {
                Ok(Poll::Pending) => {
                    left = true;
                    continue;
                }
                Ok(Poll::Ready(Ok(value))) => return Poll::Ready(Ok(value)),
                Ok(Poll::Ready(Err(e))) => e.into(),
                Err(e) => e,
            };
            drop_future(place);
            failed = Some(error);
        }
        match failed {
            Some(e) if !left => Poll::Ready(Err(e)),
            _ => Poll::Pending,
        }
    }

    /// An attempt failed: another one follows, or that was the end.
    fn failed<F>(
        &mut self,
        e: RowError,
        around: &mut Around<'_, F>,
    ) -> Option<Result<U, RowError>> {
        self.stop();
        match around.on.retry_after(e.class, self.attempts, around.env.draw()) {
            Some(wait) => {
                around.retried += 1;
                self.again = Some(around.env.now().plus(wait));
                None
            }
            None => Some(Err(e)),
        }
    }

    /// Drops the calls of this attempt.
    fn stop(&mut self) {
        self.timeout = self.timeout.filter(|_| mutant!(LimitOutlivesCall));
        self.hedge = None;
        self.futures.iter_mut().take(self.made).for_each(drop_future);
        self.made = 0;
    }

    /// The next moment at which the slot is to be polled.
    fn arm(&mut self, clock: &dyn Host) {
        let at = [self.again, self.timeout, self.hedge].into_iter().flatten().min();
        // A timer of a moment that has come may have fired: the same moment is armed anew.
        let armed = self.timer.map(|t| t.0).filter(|at| *at > clock.now());
        if at.is_some() && at == armed {
            return;
        }
        self.disarm(clock);
        self.timer = at.map(|at| (at, clock.arm(at, &self.waker.waker)));
    }

    fn disarm(&mut self, clock: &dyn Host) {
        if let Some((_, id)) = self.timer.take() {
            clock.cancel(id);
        }
    }
}

/// A future is gone also when dropping it panics.
fn drop_future<Fut>(place: &mut Pin<Box<Option<Fut>>>) {
    let gone = catch_unwind(AssertUnwindSafe(|| place.set(None)));
    if let Err(panic) = gone {
        // What a destructor panics with concerns no row: its call was over or given up.
        drop(panic);
    }
}

/// Runs code of the user's; a panic is a failure of the row.
fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, RowError> {
    catch_unwind(AssertUnwindSafe(f))
        .map_err(|p| RowError::new(DeadCause::Panicked, panic_text(p.as_ref())))
}
