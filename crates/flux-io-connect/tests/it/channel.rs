//! Channels against a model, and the faults they must not have.

use crate::host::{Hand, block_on, inline, read_all};
use flux_io_connect::channel::{
    ChannelSource, Closed, Receiver, Send, Sender, TrySendError, bounded, bounded_with, bridge,
    channel, outlet, outlet_with,
};
use flux_io_connect::duplex::duplex;
use flux_io_core::{
    Batch, Draws, ErrorClass, ErrorKind, Filled, IoCx, Seq, Sink, Source, StageError, Timestamp,
    Uniform, WhenFull,
};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// Polls a fill once and drops it.
fn fill_once<T: std::marker::Send + 'static>(
    s: &mut ChannelSource<T>,
    cx: &IoCx,
) -> (Vec<T>, Poll<Result<Filled, StageError>>) {
    let mut batch = Batch::default();
    let polled = pin!(s.fill(&mut batch, cx)).poll(&mut Hand::new().cx());
    (batch.col, polled)
}

/// What a channel must do: a queue, a row of senders that wait, two flags.
#[derive(Default)]
struct Model {
    queue: VecDeque<u64>,
    waiting: VecDeque<(usize, u64)>,
    cap: usize,
    closed: bool,
}

impl Model {
    fn admit(&mut self) {
        while !self.closed && self.queue.len() < self.cap {
            let Some((_, x)) = self.waiting.pop_front() else { break };
            self.queue.push_back(x);
        }
    }
}

struct Pending<'a> {
    id: usize,
    item: u64,
    hand: Hand,
    send: Send<'a, u64>,
}

/// Random calls on a channel and on the model, compared after each.
fn against_model(seed: u64, cap: usize, steps: usize) {
    let mut draws = Draws(seed);
    let (tx, mut rx) = channel::<u64>(cap);
    let mut model = Model { cap, ..Model::default() };
    let mut sends: Vec<Pending<'_>> = Vec::new();
    let (mut next, mut id) = (0, 0);
    for _ in 0..steps {
        match draws.below(20) {
            0..=4 => {
                next += 1;
                let room = model.queue.len() < cap;
                let want = match (model.closed, room) {
                    (true, _) => Err(TrySendError::Closed(next)),
                    (false, false) => Err(TrySendError::Full(next)),
                    (false, true) => {
                        model.queue.push_back(next);
                        Ok(())
                    }
                };
                assert_eq!(tx.try_send(next), want);
            }
            5..=9 => {
                next += 1;
                id += 1;
                let hand = Hand::new();
                let mut send = tx.send(next);
                let polled = hand.poll(&mut send);
                if model.closed {
                    assert_eq!(polled, Poll::Ready(Err(Closed(next))));
                } else if model.queue.len() < cap {
                    assert_eq!(polled, Poll::Ready(Ok(())));
                    model.queue.push_back(next);
                } else {
                    assert_eq!(polled, Poll::Pending);
                    model.waiting.push_back((id, next));
                    sends.push(Pending { id, item: next, hand, send });
                }
            }
            10..=12 if !sends.is_empty() => {
                // A sender asks again; whoever became ready was woken.
                let i = draws.below(sends.len() as u32) as usize;
                let mut p = sends.swap_remove(i);
                let waits = model.waiting.iter().position(|w| w.0 == p.id);
                let woken = p.hand.flag.take();
                let polled = p.hand.poll(&mut p.send);
                match (waits, model.closed) {
                    (None, _) => assert_eq!((polled, woken), (Poll::Ready(Ok(())), true)),
                    (Some(at), true) => {
                        assert_eq!((polled, woken), (Poll::Ready(Err(Closed(p.item))), true));
                        model.waiting.remove(at);
                    }
                    (Some(_), false) => {
                        assert_eq!((polled, woken), (Poll::Pending, false));
                        sends.push(p);
                    }
                }
            }
            13 if !sends.is_empty() => {
                // A sender gives up.
                let i = draws.below(sends.len() as u32) as usize;
                let p = sends.swap_remove(i);
                model.waiting.retain(|w| w.0 != p.id);
            }
            14..=18 => {
                let max = 1 + draws.below(4) as usize;
                let (got, polled) = fill_once(&mut rx, &inline(max));
                let want: Vec<u64> = model.queue.drain(..max.min(model.queue.len())).collect();
                match polled {
                    Poll::Pending => assert!(want.is_empty() && !model.closed),
                    Poll::Ready(Ok(Filled::More)) => assert!(!want.is_empty()),
                    Poll::Ready(end) => {
                        assert_eq!(end.unwrap(), Filled::End);
                        assert!(want.is_empty() && model.closed);
                    }
                }
                assert_eq!(got, want);
                model.admit();
            }
            19 if draws.below(20) == 0 => {
                tx.close();
                model.closed = true;
            }
            _ => {}
        }
        assert_eq!((tx.waiting(), rx.waiting()), (model.queue.len(), model.queue.len()));
        assert!(model.queue.len() <= cap);
    }
}

/// Row 30. The channel equals a queue with a bound, senders first come first served.
#[test]
fn channel_equals_its_model() {
    for seed in 0..300 {
        against_model(seed, 1 + (seed % 5) as usize, 400);
    }
}

/// Row 22. Pushing and completing: bounded, refused after the end with the item.
#[test]
fn b090_push_says_full_and_closed() {
    let (tx, mut rx) = channel(2);
    assert_eq!((tx.try_send(1), tx.try_send(2)), (Ok(()), Ok(())));
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
    tx.close();
    assert_eq!(tx.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(block_on(tx.send(5)), Err(Closed(5)));
    assert_eq!(read_all(&mut rx, &inline(10), |r| *r).rows, [1, 2]);
    assert_eq!(
        TrySendError::Full(1).to_string(),
        "the channel is full; await `send`, or try again later"
    );
}

/// Only closed and empty is the end; a lost race or an empty moment is waiting.
#[test]
fn b091_only_closed_and_empty_is_the_end() {
    let (tx, mut rx) = channel::<u8>(4);
    let cx = inline(4);
    assert!(fill_once(&mut rx, &cx).1.is_pending());
    assert!(rx.try_fill(&mut Batch::default(), 4).is_none());
    tx.try_send(1).unwrap();
    assert_eq!(fill_once(&mut rx, &cx).0, [1]);
    assert!(fill_once(&mut rx, &cx).1.is_pending());
    tx.try_send(2).unwrap();
    drop(tx);
    let (rows, polled) = fill_once(&mut rx, &cx);
    assert!(rows == [2] && matches!(polled, Poll::Ready(Ok(Filled::More))));
    assert!(matches!(fill_once(&mut rx, &cx).1, Poll::Ready(Ok(Filled::End))));
    assert!(matches!(rx.try_fill(&mut Batch::default(), 4), Some(Ok(Filled::End))));
}

/// A fill that waits is woken by an item and by the end, and gives what is there.
#[test]
fn b092_fill_gives_what_is_there() {
    let (tx, mut rx) = channel(10);
    let (hand, cx) = (Hand::new(), inline(100));
    let mut batch = Batch::default();
    {
        let mut fill = pin!(rx.fill(&mut batch, &cx));
        assert!(fill.as_mut().poll(&mut hand.cx()).is_pending());
        tx.try_send("a").unwrap();
        tx.try_send("b").unwrap();
        assert!(hand.flag.take());
        assert!(matches!(fill.as_mut().poll(&mut hand.cx()), Poll::Ready(Ok(Filled::More))));
    }
    assert_eq!(batch.col, ["a", "b"]);
    let mut fill = pin!(rx.fill(&mut batch, &cx));
    assert!(fill.as_mut().poll(&mut hand.cx()).is_pending());
    let other = tx.clone();
    drop(tx);
    assert!(!hand.flag.take(), "a clone is still there");
    drop(other);
    assert!(hand.flag.take());
}

/// Rows 23, 24. Each direction ends by itself; closing twice is nothing.
#[test]
fn b093_halves_of_a_duplex_end_alone() {
    let (mut outside, mut inside) = duplex::<u8, String>(2, 2);
    let cx = inline(10);
    outside.sender.try_send(1).unwrap();
    outside.sender.close();
    outside.sender.close();
    assert_eq!(read_all(&mut inside.source, &cx, |r| *r).rows, [1]);
    block_on(inside.sink.write(&mut Batch::of(vec!["one".to_owned()]), &cx)).unwrap();
    assert_eq!(block_on(outside.receiver.recv()).unwrap().as_deref(), Some("one"));
    block_on(inside.sink.close(&cx)).unwrap();
    block_on(inside.sink.close(&cx)).unwrap();
    drop(inside);
    assert_eq!(block_on(outside.receiver.recv()).unwrap(), None);
    assert_eq!(block_on(outside.receiver.recv()).unwrap(), None);

    let (outside, mut inside) = duplex::<u8, u8>(1, 1);
    drop(outside.receiver);
    assert!(block_on(inside.sink.write(&mut Batch::of(vec![1]), &cx)).is_err());
    outside.sender.try_send(9).unwrap();
    assert_eq!(fill_once(&mut inside.source, &cx).0, [9]);
}

/// An error travels behind the rows, once; so does a run that stopped before its end.
#[test]
fn b093_errors_cross_the_channel() {
    let cx = inline(10);
    let (tx, mut rx) = channel(4);
    tx.try_send(1).unwrap();
    tx.fail(StageError::transient("upstream is down"));
    tx.fail(StageError::transient("too late"));
    let read = read_all(&mut rx, &cx, |r| *r);
    assert_eq!((read.rows, read.error.unwrap().what.as_str()), (vec![1], "upstream is down"));
    assert!(read_all(&mut rx, &cx, |r: &i32| *r).error.is_none());

    for abort in [true, false] {
        let (mut sink, mut rx) = outlet(4);
        block_on(sink.write(&mut Batch::of(vec![1]), &cx)).unwrap();
        if abort {
            sink.abort();
        }
        drop(sink);
        assert_eq!(block_on(rx.recv()).unwrap(), Some(1));
        let e = block_on(rx.recv()).unwrap_err();
        assert_eq!(e.what, "the run that sends into this channel stopped before its end");
        assert_eq!(block_on(rx.recv()).unwrap(), None);
    }
}

/// Policies are honoured and what they drop is counted.
#[test]
fn b094_full_channels_follow_their_policy() {
    let rows =
        |rx: &mut Receiver<i32>| -> Vec<i32> { std::iter::from_fn(|| rx.try_recv()).collect() };
    let cases = [
        (WhenFull::DropOldest, vec![3, 4], vec![6, 7]),
        (WhenFull::DropNewest, vec![1, 2], vec![5, 6]),
    ];
    for (policy, first, second) in cases {
        let (tx, mut rx) = bounded_with(2, policy);
        for i in 1..=4 {
            assert_eq!(block_on(tx.send(i)), Ok(()));
        }
        assert_eq!((rows(&mut rx), tx.dropped(), rx.dropped()), (first, 2, 2));
        let (mut sink, mut rx) = outlet_with(2, policy);
        block_on(sink.write(&mut Batch::of(vec![5, 6, 7]), &inline(1))).unwrap();
        assert_eq!((rows(&mut rx), rx.dropped()), (second, 1));
    }
    let (tx, _rx) = bounded(0);
    assert_eq!((tx.try_send(1), tx.try_send(2)), (Ok(()), Err(TrySendError::Full(2))));
}

/// A receiver that goes away gives every item back, also to those that wait.
#[test]
fn b094_receiver_drop_returns_the_items() {
    let (tx, rx) = bounded(1);
    let (hand, other) = (Hand::new(), Hand::new());
    tx.try_send(1).unwrap();
    let (mut a, mut b) = (tx.send(2), tx.send(3));
    assert!(hand.poll(&mut a).is_pending() && other.poll(&mut b).is_pending());
    drop(rx);
    assert!(hand.flag.take() && other.flag.take());
    assert_eq!(other.poll(&mut b), Poll::Ready(Err(Closed(3))));
    assert_eq!(hand.poll(&mut a), Poll::Ready(Err(Closed(2))));
    assert!(tx.is_closed());

    let (mut sink, rx) = outlet(1);
    let cx = inline(1);
    let mut batch = Batch::of(vec![1, 2, 3]);
    assert!(pin!(sink.write(&mut batch, &cx)).poll(&mut hand.cx()).is_pending());
    drop(rx);
    let e = block_on(sink.write(&mut batch, &cx)).unwrap_err();
    assert_eq!((e.kind, e.what.contains("its receiver is gone")), (ErrorKind::Io, true));
    assert_eq!(batch.col, [2, 3], "the row that waited is not lost");
}

/// What a write into an outlet does not give back was received: neither the row that waits for room
/// is lost when the receiver goes, nor those that wait to be received. What the batch says of rows
/// is that of the rows left.
#[test]
fn an_outlet_gives_back_what_nobody_received() {
    for capacity in 1..6 {
        for received in 0..8 {
            let (mut sink, mut rx) = outlet(capacity);
            let (cx, hand) = (inline(1), Hand::new());
            let mut batch = Batch::of((0..20_u64).collect::<Vec<_>>());
            batch.meta.seq = Seq::Run(40);
            batch.meta.time = Uniform::Rows((0..20).map(Timestamp).collect());
            let e = {
                let mut write = pin!(sink.write(&mut batch, &cx));
                for row in 0..received {
                    assert!(write.as_mut().poll(&mut hand.cx()).is_pending());
                    assert_eq!(rx.try_recv(), Some(row));
                }
                assert!(write.as_mut().poll(&mut hand.cx()).is_pending());
                drop(rx);
                block_on(write).unwrap_err()
            };
            assert_eq!(e.class, ErrorClass::Permanent);
            assert_eq!(batch.col, (received..20).collect::<Vec<_>>(), "capacity {capacity}");
            assert_eq!(batch.meta.seq.at(0), 40 + received);
            assert_eq!(batch.meta.time.at(0), Timestamp(received as i64));
        }
    }
}

/// Closing gives those that wait their items back; what was accepted is still received.
#[test]
fn closing_returns_the_items_that_wait() {
    let (tx, mut rx) = bounded(1);
    let hand = Hand::new();
    tx.try_send(1).unwrap();
    let mut late = tx.send(2);
    assert!(hand.poll(&mut late).is_pending());
    tx.close();
    assert!(hand.flag.take());
    assert_eq!(block_on(rx.recv()).unwrap(), Some(1));
    assert_eq!(hand.poll(&mut late), Poll::Ready(Err(Closed(2))));
    assert_eq!(block_on(rx.recv()).unwrap(), None);
}

/// Law I5: a write may be dropped at every poll; rows arrive once each, in order.
#[test]
fn dropped_writes_lose_and_repeat_nothing() {
    for cap in [1, 2, 7] {
        let (mut sink, mut rx) = outlet(cap);
        let cx = inline(1);
        let (hand, mut got) = (Hand::new(), Vec::new());
        for chunk in (0..60_u64).collect::<Vec<_>>().chunks(9) {
            let mut batch = Batch::of(chunk.to_vec());
            while !pin!(sink.write(&mut batch, &cx)).poll(&mut hand.cx()).is_ready() {
                got.extend(rx.try_recv());
            }
            assert!(batch.is_empty());
        }
        let mut closed = false;
        while !closed {
            closed = pin!(sink.close(&cx)).poll(&mut hand.cx()).is_ready();
            got.extend(rx.try_recv());
        }
        while let Some(x) = block_on(rx.recv()).unwrap() {
            got.push(x);
        }
        assert_eq!(got, (0..60).collect::<Vec<_>>(), "capacity {cap}");
    }
}

/// Row 30. Two pipelines joined: the second sees the first's rows and its end.
#[test]
fn bridges_join_two_pipelines() {
    let (mut sink, mut source) = bridge(3);
    let cx = inline(10);
    block_on(sink.write(&mut Batch::of(vec![1, 2, 3]), &cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    assert_eq!(read_all(&mut source, &cx, |r| *r).rows, [1, 2, 3]);
    assert_eq!((sink.descriptor().kind, source.descriptor().kind), ("channel", "channel"));
}

/// Threads: every item arrives once, each sender's in order.
#[test]
fn items_of_many_threads_arrive_once() {
    let (tx, mut rx): (Sender<(u64, u64)>, _) = bounded(3);
    std::thread::scope(|scope| {
        for t in 0..4 {
            let tx = tx.clone();
            scope.spawn(move || {
                for i in 0..500 {
                    park_on(tx.send((t, i))).unwrap();
                }
            });
        }
        drop(tx);
        let mut next = [0; 4];
        while let Some((t, i)) = park_on(rx.recv()).unwrap() {
            assert_eq!(next[t as usize], i);
            next[t as usize] += 1;
        }
        assert_eq!(next, [500; 4]);
    });
}

/// Drives a future on its own thread, parked while it waits.
fn park_on<F: Future>(f: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut f = pin!(f);
    loop {
        match f.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            Poll::Ready(r) => return r,
            Poll::Pending => std::thread::park(),
        }
    }
}
