//! Sources and sinks that are pulled and pushed at once.
//!
//! [`source`] reads rows wherever they come from and takes those that a program pushes in between:
//! control rows beside a file, corrections beside a feed. [`sink`] lets a program pull rows as far
//! as it keeps up, and pushes on what it does not take.

use crate::channel::{ChannelSource, Receiver, Sender, bounded, channel};
use crate::sink::Front;
use flux_io_core::{
    Batch, ConnectorDescriptor, Epoch, ErrorRecord, Filled, IoCx, Sink, Source, StageError,
};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Rows of `pull`, and rows pushed into the sender; at most `capacity` of these wait, then senders
/// do. It ends when both have ended.
///
/// - Rows that were pushed go first; each side keeps its order.
/// - An error of either side is given where it came, and the other side goes on behind it.
/// - It has no position, since what was pushed cannot be read again, and promises no event time.
/// - Cancel-safe.
pub fn source<T, S>(pull: S, capacity: usize) -> (Sender<T>, HybridSource<T, S>)
where
    T: Send + 'static,
    S: Source<Col = Vec<T>>,
{
    let (sender, push) = channel(capacity);
    let (pulled, ended) = (Batch::default(), [false; 2]);
    (sender, HybridSource { pull, push, pulled, ended })
}

/// See [`source`].
#[derive(Debug)]
pub struct HybridSource<T, S> {
    pull: S,
    push: ChannelSource<T>,
    /// Rows pulled by a call that was dropped before it could give them.
    pulled: Batch<Vec<T>>,
    /// Whether the pulled and the pushed side have ended.
    ended: [bool; 2],
}

impl<T: Send + 'static, S> HybridSource<T, S> {
    /// Gives what was pulled and not given; whether that was any.
    fn give(&mut self, out: &mut Batch<Vec<T>>, max: usize) -> bool {
        let n = self.pulled.col.len().min(max);
        out.col.extend(self.pulled.col.drain(..n));
        n > 0
    }

    /// Books the end of a side; what that makes of the answer.
    fn filled(&mut self, side: usize, filled: Filled) -> Filled {
        self.ended[side] |= filled == Filled::End;
        if self.ended == [true; 2] && self.pulled.is_empty() { Filled::End } else { Filled::More }
    }
}

/// Which side answered.
enum Side<R> {
    Pull(R),
    Push(R),
}

impl<T: Send + 'static, S: Source<Col = Vec<T>>> Source for HybridSource<T, S> {
    type Col = Vec<T>;

    async fn fill(&mut self, out: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<Filled, StageError> {
        loop {
            if self.give(out, cx.max_rows()) {
                return Ok(self.filled(0, Filled::More));
            }
            let [pull_ended, push_ended] = self.ended;
            let (pull, pulled) = (&mut self.pull, &mut self.pulled);
            let (push, pushed) = (&mut self.push, &mut *out);
            let answer = {
                let mut pulling = pin!(async {
                    if pull_ended { pending().await } else { pull.fill(pulled, cx).await }
                });
                let mut pushing = pin!(async {
                    if push_ended { pending().await } else { push.fill(pushed, cx).await }
                });
                poll_fn(|task| {
                    if let Poll::Ready(r) = pushing.as_mut().poll(task) {
                        return Poll::Ready(Side::Push(r));
                    }
                    pulling.as_mut().poll(task).map(Side::Pull)
                })
                .await
            };
            match answer {
                Side::Push(r) => match self.filled(1, r?) {
                    Filled::More if out.is_empty() => {}
                    filled => return Ok(filled),
                },
                Side::Pull(Ok(filled)) => {
                    if self.filled(0, filled) == Filled::End {
                        return Ok(Filled::End);
                    }
                }
                Side::Pull(Err(e)) => {
                    self.give(out, cx.max_rows());
                    return Err(e);
                }
            }
        }
    }

    fn try_fill(
        &mut self,
        out: &mut Batch<Vec<T>>,
        max_rows: usize,
    ) -> Option<Result<Filled, StageError>> {
        if self.give(out, max_rows) {
            return Some(Ok(self.filled(0, Filled::More)));
        }
        let [pull_ended, push_ended] = self.ended;
        if !push_ended && let Some(r) = self.push.try_fill(out, max_rows) {
            return Some(r.map(|filled| self.filled(1, filled)));
        }
        if pull_ended {
            return None;
        }
        let r = self.pull.try_fill(out, max_rows)?;
        Some(r.map(|filled| self.filled(0, filled)))
    }

    fn take_faults(&mut self) -> Vec<ErrorRecord> {
        self.pull.take_faults()
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        let pull = self.pull.descriptor();
        ConnectorDescriptor { kind: "hybrid source", seekable: false, ..pull }
    }
}

/// Rows go to whoever pulls from the receiver while it has room for them (`capacity` rows), the
/// others into `push`; each row goes one way. When the receiver is gone, all go into `push`.
///
/// - Rows keep their order on either way.
/// - `flush` and `close` are those of `push`; closing also ends the receiver's side. Aborting, or
///   dropping it unclosed, ends that side with an error, behind what was sent.
/// - Cancel-safe: rows that went no way yet stay in the batch.
pub fn sink<T, K>(push: K, capacity: usize) -> (HybridSink<T, K>, Receiver<T>)
where
    T: Send + 'static,
    K: Sink<Col = Vec<T>>,
{
    let (pull, receiver) = bounded(capacity);
    (HybridSink { pull, push }, receiver)
}

/// See [`sink`].
#[derive(Debug)]
pub struct HybridSink<T, K> {
    pull: Sender<T>,
    push: K,
}

impl<T, K> HybridSink<T, K> {
    /// The sink that rows are pushed into.
    pub const fn get_ref(&self) -> &K {
        &self.push
    }

    fn give_up(&self) {
        let what = "the run that sends into this channel stopped before its end";
        self.pull.fail(StageError::permanent(what));
    }
}

impl<T: Send + 'static, K: Sink<Col = Vec<T>>> Sink for HybridSink<T, K> {
    type Col = Vec<T>;

    async fn write(&mut self, batch: &mut Batch<Vec<T>>, cx: &IoCx) -> Result<(), StageError> {
        self.pull.send_what_fits(&mut Front::of(batch).rest);
        if batch.is_empty() {
            return Ok(());
        }
        self.push.write(batch, cx).await
    }

    fn holds_back(&self) -> bool {
        self.push.holds_back()
    }

    async fn flush(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.push.flush(cx).await
    }

    async fn close(&mut self, cx: &IoCx) -> Result<(), StageError> {
        self.push.close(cx).await?;
        self.pull.close();
        Ok(())
    }

    fn abort(&mut self) {
        self.push.abort();
        self.give_up();
    }

    async fn prepare(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.push.prepare(epoch, cx).await
    }

    async fn commit(&mut self, epoch: Epoch, cx: &IoCx) -> Result<(), StageError> {
        self.push.commit(epoch, cx).await
    }

    async fn recover(&mut self, done: Option<Epoch>, cx: &IoCx) -> Result<(), StageError> {
        self.push.recover(done, cx).await
    }

    fn descriptor(&self) -> ConnectorDescriptor {
        // What was pulled cannot be taken back.
        let push = self.push.descriptor();
        ConnectorDescriptor { kind: "hybrid sink", transactional: false, ..push }
    }
}

impl<T, K> Drop for HybridSink<T, K> {
    fn drop(&mut self) {
        self.give_up();
    }
}
