//! What both ends of a channel share: one queue, the senders that wait, one receiver that waits.
//!
//! Wakers are taken under the lock and called behind it; items that are dropped by policy leave
//! the lock before they are dropped. No user code runs under the lock.

use crate::sync::{Arc, Mutex, lock};
use flux_io_core::{StageError, WhenFull};
use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll, Waker};

/// A sender that waits for room, with its item.
struct Waiting<T> {
    ticket: u64,
    item: T,
    waker: Waker,
}

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    when_full: WhenFull,
    /// First come, first served; tickets ascend.
    waiting: VecDeque<Waiting<T>>,
    next_ticket: u64,
    senders: usize,
    closed: bool,
    error: Option<StageError>,
    receiver_gone: bool,
    takes_back: bool,
    receiver: Option<Waker>,
    dropped: u64,
}

/// The shared part of a channel.
pub(super) struct Chan<T>(Mutex<State<T>>);

impl<T> fmt::Debug for Chan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = lock(&self.0);
        write!(f, "{}/{} waiting", s.queue.len(), s.capacity)
    }
}

/// What became of an item.
pub(super) enum Put<T> {
    /// It is in the queue, or was dropped and counted by the policy.
    Taken,
    /// No room; only when asked not to wait.
    Full(T),
    /// It waits under this ticket.
    Waits(u64),
    /// Nobody will receive it.
    Closed(T),
}

/// What the receiver sees.
pub(super) enum Got {
    /// Items were given.
    Items,
    /// Closed and empty.
    End,
    /// Closed with an error, and empty; the error is given once.
    Failed(StageError),
}

impl<T> State<T> {
    const fn refuses(&self) -> bool {
        self.closed || self.receiver_gone
    }

    /// Fills room from the senders that wait; returns whom to wake.
    fn admit(&mut self, wake: &mut Vec<Waker>) {
        while !self.refuses() && self.queue.len() < self.capacity {
            let Some(w) = self.waiting.pop_front() else { break };
            self.queue.push_back(w.item);
            wake.push(w.waker);
        }
    }
}

impl<T> Chan<T> {
    pub(super) fn new(capacity: usize, when_full: WhenFull) -> Arc<Self> {
        let capacity = capacity.max(1);
        Arc::new(Self(Mutex::new(State {
            queue: VecDeque::new(),
            capacity,
            when_full,
            waiting: VecDeque::new(),
            next_ticket: 0,
            senders: 1,
            closed: false,
            error: None,
            receiver_gone: false,
            takes_back: false,
            receiver: None,
            dropped: 0,
        })))
    }

    /// Puts an item in. With `task`, waits for room; without, says `Full`.
    pub(super) fn put(&self, item: T, task: Option<&Context<'_>>) -> Put<T> {
        let mut out = None;
        let mut s = lock(&self.0);
        if s.refuses() {
            return Put::Closed(item);
        }
        if s.queue.len() >= s.capacity {
            match (s.when_full, task) {
                (WhenFull::Block, None) => return Put::Full(item),
                (WhenFull::Block, Some(task)) => {
                    let ticket = s.next_ticket;
                    s.next_ticket += 1;
                    s.waiting.push_back(Waiting { ticket, item, waker: task.waker().clone() });
                    return Put::Waits(ticket);
                }
                (WhenFull::DropNewest, _) => {
                    s.dropped += 1;
                    drop(s);
                    return Put::Taken;
                }
                (WhenFull::DropOldest, _) => {
                    s.dropped += 1;
                    out = s.queue.pop_front();
                }
            }
        }
        s.queue.push_back(item);
        let wake = s.receiver.take();
        drop(s);
        drop(out);
        if let Some(w) = wake {
            w.wake();
        }
        Put::Taken
    }

    /// Moves items from `from` while there is room; `true` when one had to stay for want of room.
    /// When the channel is closed, nothing moves and the answer is `Err`.
    pub(super) fn put_many(&self, from: &mut VecDeque<T>) -> Result<bool, ()> {
        let mut out = Vec::new();
        let mut s = lock(&self.0);
        if s.refuses() {
            return Err(());
        }
        while s.queue.len() < s.capacity || s.when_full != WhenFull::Block {
            let Some(item) = from.pop_front() else { break };
            if s.queue.len() < s.capacity {
                s.queue.push_back(item);
                continue;
            }
            s.dropped += 1;
            if s.when_full == WhenFull::DropOldest {
                out.extend(s.queue.pop_front());
                s.queue.push_back(item);
            } else {
                out.push(item);
            }
        }
        let wake = s.receiver.take();
        drop(s);
        drop(out);
        if let Some(w) = wake {
            w.wake();
        }
        Ok(!from.is_empty())
    }

    /// Asks again for the item that waits under `ticket`.
    pub(super) fn ask(&self, ticket: u64, task: &Context<'_>) -> Poll<Result<(), T>> {
        let mut s = lock(&self.0);
        let Ok(i) = s.waiting.binary_search_by_key(&ticket, |w| w.ticket) else {
            return Poll::Ready(Ok(()));
        };
        if s.refuses() {
            return s.waiting.remove(i).map_or(Poll::Ready(Ok(())), |w| Poll::Ready(Err(w.item)));
        }
        if let Some(w) = s.waiting.get_mut(i) {
            w.waker.clone_from(task.waker());
        }
        Poll::Pending
    }

    /// Withdraws the item that waits under `ticket`, if it still does.
    pub(super) fn withdraw(&self, ticket: u64) -> Option<T> {
        let mut s = lock(&self.0);
        let i = s.waiting.binary_search_by_key(&ticket, |w| w.ticket).ok()?;
        s.waiting.remove(i).map(|w| w.item)
    }

    /// Takes up to `max` items; waits when there is none.
    pub(super) fn take(
        &self,
        max: usize,
        give: &mut impl Extend<T>,
        task: Option<&Context<'_>>,
    ) -> Poll<Got> {
        let mut wake = Vec::new();
        let mut s = lock(&self.0);
        let n = s.queue.len().min(max);
        if n == 0 {
            let answer = if s.closed || s.senders == 0 {
                s.receiver = None;
                Poll::Ready(s.error.take().map_or(Got::End, Got::Failed))
            } else {
                if let Some(task) = task {
                    s.receiver = Some(task.waker().clone());
                }
                Poll::Pending
            };
            return answer;
        }
        give.extend(s.queue.drain(..n));
        s.admit(&mut wake);
        drop(s);
        wake.into_iter().for_each(Waker::wake);
        Poll::Ready(Got::Items)
    }

    /// One more sender.
    pub(super) fn join(&self) {
        lock(&self.0).senders += 1;
    }

    /// One sender fewer; the last one closes.
    pub(super) fn leave(&self) {
        let mut s = lock(&self.0);
        s.senders -= 1;
        let wake = if s.senders == 0 { s.receiver.take() } else { None };
        drop(s);
        if let Some(w) = wake {
            w.wake();
        }
    }

    /// Closes for all senders; what is queued is still received. Idempotent: the first one counts.
    pub(super) fn close(&self, error: Option<StageError>) {
        let mut s = lock(&self.0);
        if !s.closed {
            s.closed = true;
            s.error = error;
        }
        let mut wake: Vec<Waker> = s.waiting.iter().map(|w| w.waker.clone()).collect();
        wake.extend(s.receiver.take());
        drop(s);
        wake.into_iter().for_each(Waker::wake);
    }

    /// The receiver is gone: senders get their items back, and what is queued is dropped unless a
    /// sink may still take its own back.
    pub(super) fn abandon(&self) {
        let mut s = lock(&self.0);
        s.receiver_gone = true;
        s.receiver = None;
        let queue = if s.takes_back { VecDeque::new() } else { std::mem::take(&mut s.queue) };
        let wake: Vec<Waker> = s.waiting.iter().map(|w| w.waker.clone()).collect();
        drop(s);
        drop(queue);
        wake.into_iter().for_each(Waker::wake);
    }

    /// The only sender is one that takes back what its receiver leaves behind.
    pub(super) fn takes_back(&self) {
        lock(&self.0).takes_back = true;
    }

    /// Takes out the newest of what a receiver that is gone has left behind, `most` at most, the
    /// newest first. The rest is dropped.
    pub(super) fn take_back(&self, most: usize) -> impl Iterator<Item = T> + use<T> {
        let mut s = lock(&self.0);
        let left = if s.receiver_gone { std::mem::take(&mut s.queue) } else { VecDeque::new() };
        drop(s);
        left.into_iter().rev().take(most)
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.0).refuses()
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).queue.len()
    }

    pub(super) fn dropped(&self) -> u64 {
        lock(&self.0).dropped
    }
}
