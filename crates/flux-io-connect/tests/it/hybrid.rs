//! Sources and sinks that are pulled and pushed at once, and the halves of a duplex channel as
//! sources and sinks.

use crate::host::{Hand, block_on, inline, read_all};
use flux_io_connect::channel::Receiver;
use flux_io_connect::duplex::duplex;
use flux_io_connect::sink::Collected;
use flux_io_connect::{channel, hybrid, sink, source};
use flux_io_core::{Batch, ErrorClass, Filled, Seq, Sink, Source, StageError};
use flux_io_testkit::conformance;
use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;

/// Row 23. A hybrid source keeps the laws of sources, whichever sides give rows: none is lost,
/// repeated or out of its side's order.
#[test]
fn hybrid_sources_keep_the_laws() {
    for (pulled, pushed) in [(0, 0), (20, 0), (0, 20), (20, 10), (3, 20)] {
        let make = || {
            let (sender, source) = hybrid::source(source::iter(0..pulled), 100);
            (100..100 + pushed).for_each(|i| sender.try_send(i).unwrap());
            source
        };
        conformance::source::laws(make, |n| *n);
        let rows = read_all(&mut make(), &inline(7), |n| *n).rows;
        assert!(rows.iter().filter(|n| **n < 100).copied().eq(0..pulled));
        assert!(rows.iter().filter(|n| **n >= 100).copied().eq(100..100 + pushed));
    }
}

/// Row 23. While one side is silent the other goes on; either may end first.
#[test]
fn either_side_of_a_hybrid_wakes_it() {
    let cx = inline(10);
    let (pull, slow) = channel::channel::<u32>(4);
    let (push, mut source) = hybrid::source(slow, 4);
    let hand = Hand::new();
    let mut batch = Batch::default();
    for (from, n) in [(&pull, 1), (&push, 2), (&pull, 3)] {
        let mut fill = pin!(source.fill(&mut batch, &cx));
        assert!(Future::poll(fill.as_mut(), &mut hand.cx()).is_pending());
        from.try_send(n).unwrap();
        assert!(hand.flag.take(), "{n}");
        let polled = Future::poll(fill.as_mut(), &mut hand.cx());
        assert!(matches!(polled, Poll::Ready(Ok(Filled::More))), "{polled:?}");
    }
    assert_eq!(batch.col, [1, 2, 3]);
    // What a dropped call had pulled is not lost.
    pull.try_send(4).unwrap();
    drop(push);
    batch.clear();
    assert_eq!(block_on(source.fill(&mut batch, &cx)).unwrap(), Filled::More);
    drop(pull);
    assert_eq!(block_on(source.fill(&mut batch, &cx)).unwrap(), Filled::End);
    assert_eq!(batch.col, [4]);
}

/// An error of either side is given once, behind its rows; the other side goes on.
#[test]
fn hybrid_errors_do_not_end_the_other_side() {
    let cx = inline(10);
    let (push, mut hybrid) = hybrid::source(source::iter(0..3), 4);
    push.try_send(9).unwrap();
    push.fail(StageError::transient("the pusher is ill"));
    let read = read_all(&mut hybrid, &cx, |n| *n);
    assert_eq!((read.rows, read.error.unwrap().what.as_str()), (vec![9], "the pusher is ill"));
    assert_eq!(read_all(&mut hybrid, &cx, |n| *n).rows, [0, 1, 2]);

    // Rows that came with the error come first.
    struct Both;
    impl Source for Both {
        type Col = Vec<i32>;
        async fn fill(
            &mut self,
            out: &mut Batch<Vec<i32>>,
            _cx: &flux_io_core::IoCx,
        ) -> Result<Filled, StageError> {
            out.col.extend([1, 2]);
            Err(StageError::transient("both"))
        }
    }
    let (_push, mut source) = hybrid::source(Both, 4);
    let read = read_all(&mut source, &cx, |n| *n);
    assert_eq!((read.rows, read.error.unwrap().what.as_str()), (vec![1, 2], "both"));

    let (pull, failing) = channel::channel(4);
    let (push, mut source) = hybrid::source(failing, 4);
    pull.try_send(1).unwrap();
    pull.fail(StageError::transient("the feed is ill"));
    let read = read_all(&mut source, &cx, |n| *n);
    assert_eq!((read.rows, read.error.unwrap().what.as_str()), (vec![1], "the feed is ill"));
    push.try_send(2).unwrap();
    drop(push);
    assert_eq!(read_all(&mut source, &cx, |n| *n).rows, [2]);
}

type World = (Mutex<Option<Receiver<u32>>>, Mutex<Option<Collected<u32>>>);

/// Row 23. A hybrid sink keeps the laws of sinks: each row is pulled or pushed, once, in order.
#[test]
fn hybrid_sinks_keep_the_laws() {
    for capacity in [1, 5, 100] {
        conformance::sink::laws(
            World::default,
            |world| {
                let (push, collected) = sink::collect();
                let (hybrid, receiver) = hybrid::sink(push, capacity);
                *world.0.lock().unwrap() = Some(receiver);
                *world.1.lock().unwrap() = Some(collected);
                hybrid
            },
            |world| {
                let mut rows = Vec::new();
                let mut receiver = world.0.lock().unwrap().take().unwrap();
                while let Some(n) = block_on(receiver.recv()).unwrap() {
                    rows.push(n);
                }
                rows.extend(world.1.lock().unwrap().take().unwrap().take());
                rows
            },
            || (0..20).collect(),
        );
    }
}

/// What is pulled in time is not pushed; what is left keeps its numbers; a receiver that went away
/// costs nothing.
#[test]
fn hybrid_sinks_push_what_is_not_pulled() {
    struct Numbers(Vec<(u32, u64)>);
    impl Sink for Numbers {
        type Col = Vec<u32>;
        async fn write(
            &mut self,
            batch: &mut Batch<Vec<u32>>,
            _cx: &flux_io_core::IoCx,
        ) -> Result<(), StageError> {
            let Self(got) = self;
            got.extend(batch.col.iter().enumerate().map(|(i, n)| (*n, batch.meta.seq.at(i))));
            batch.clear();
            Ok(())
        }
    }
    let cx = inline(10);
    let (mut hybrid, mut receiver) = hybrid::sink(Numbers(Vec::new()), 2);
    let mut write = |rows: std::ops::Range<u32>| {
        let mut batch = Batch::of(rows.clone().collect());
        batch.meta.seq = Seq::Run(1000 + u64::from(rows.start));
        block_on(hybrid.write(&mut batch, &cx)).unwrap();
        assert!(batch.is_empty());
    };
    write(0..5);
    assert_eq!(
        (receiver.try_recv(), receiver.try_recv(), receiver.try_recv()),
        (Some(0), Some(1), None)
    );
    write(5..7);
    assert_eq!(receiver.try_recv(), Some(5));
    write(7..9);
    drop(receiver);
    write(9..11);
    let pushed = [(2, 1002), (3, 1003), (4, 1004), (8, 1008), (9, 1009), (10, 1010)];
    assert_eq!(hybrid_rows(&hybrid), pushed);

    fn hybrid_rows(sink: &hybrid::HybridSink<u32, Numbers>) -> Vec<(u32, u64)> {
        sink.get_ref().0.clone()
    }
}

/// A run that stops before its end ends the pulled side with an error.
#[test]
fn a_hybrid_that_gives_up_says_so() {
    for abort in [true, false] {
        let (mut hybrid, mut receiver) = hybrid::sink(sink::collect().0, 2);
        block_on(hybrid.write(&mut Batch::of(vec![1]), &inline(1))).unwrap();
        if abort {
            hybrid.abort();
        }
        drop(hybrid);
        assert_eq!(block_on(receiver.recv()).unwrap(), Some(1));
        assert_eq!(block_on(receiver.recv()).unwrap_err().class, ErrorClass::Permanent);
    }
}

/// Rows 23, 24. The halves inside a pipeline keep the laws of sources and sinks.
#[test]
fn b093_duplex_halves_keep_the_laws() {
    let fed = || {
        let (outside, inside) = duplex::<u32, ()>(30, 1);
        (0..20).for_each(|n| outside.sender.try_send(n).unwrap());
        inside.source
    };
    conformance::source::laws(fed, |n| *n);
    conformance::sink::laws(
        || Mutex::new(None),
        |world| {
            let (outside, inside) = duplex::<(), u32>(1, 30);
            *world.lock().unwrap() = Some(outside.receiver);
            inside.sink
        },
        |world| {
            let mut receiver = world.lock().unwrap().take().unwrap();
            let mut rows = Vec::new();
            while let Some(n) = block_on(receiver.recv()).unwrap() {
                rows.push(n);
            }
            rows
        },
        || (0..20).collect(),
    );
}

/// Row 24. Completing one direction any number of times, or dropping any of the four ends, leaves
/// the other direction as it is; an empty batch neither ends it nor spins.
#[test]
fn b093_every_end_of_a_duplex_ends_its_direction_alone() {
    let cx = inline(10);
    for end in 0..6 {
        let (outside, inside) = duplex::<u32, u32>(2, 2);
        let (sender, mut receiver) = (outside.sender, outside.receiver);
        let (mut source, mut sink) = (inside.source, inside.sink);
        let inward = end < 3;
        match end {
            0 => drop(sender.clone()),
            1 => (0..3).for_each(|_| sender.close()),
            2 => {
                drop(source);
                assert!(sender.try_send(1).is_err() && sender.is_closed());
                block_on(sink.write(&mut Batch::of(vec![7]), &cx)).unwrap();
                assert_eq!(block_on(receiver.recv()).unwrap(), Some(7));
                continue;
            }
            3 => (0..3).for_each(|_| block_on(sink.close(&cx)).unwrap()),
            4 => {
                drop(sink);
                assert!(block_on(receiver.recv()).is_err());
                sender.try_send(7).unwrap();
                let mut batch = Batch::default();
                assert_eq!(block_on(source.fill(&mut batch, &cx)).unwrap(), Filled::More);
                assert_eq!(batch.col, [7]);
                continue;
            }
            _ => {
                drop(receiver);
                assert!(block_on(sink.write(&mut Batch::of(vec![7]), &cx)).is_err());
                sender.try_send(7).unwrap();
                continue;
            }
        }
        if inward {
            block_on(sink.write(&mut Batch::default(), &cx)).unwrap();
            block_on(sink.write(&mut Batch::of(vec![7]), &cx)).unwrap();
            assert_eq!(block_on(receiver.recv()).unwrap(), Some(7));
        } else {
            assert_eq!(block_on(receiver.recv()).unwrap(), None);
            sender.try_send(7).unwrap();
            sender.close();
            assert_eq!(read_all(&mut source, &cx, |n| *n).rows, [7]);
        }
    }
}
