//! Every schedule of one sender and one receiver on an edge.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use super::*;
use crate::batch::Batch;
use loom::future::block_on;
use loom::thread;
use std::future::poll_fn;

const NOW: Moment = Moment(0);

fn edge(capacity: usize, policy: Option<Box<dyn FlowControl>>) -> Edge {
    Edge::new(EdgeQueue::new(capacity, WhenFull::Block, policy))
}

/// Fills a spare batch, or a new one, with `row` and sends it; gives what came back for it.
fn send(edge: &Edge, spare: Option<AnyBatch>, row: u32) -> Option<AnyBatch> {
    let mut batch = spare.unwrap_or_else(|| AnyBatch::new(Batch::of(Vec::<u32>::new())));
    batch.get_mut::<Vec<u32>>().unwrap().col.push(row);
    let (mut batch, mut retry) = (Some(batch), None);
    block_on(poll_fn(|cx| edge.poll_send(cx, &mut batch, &mut retry, NOW)))
}

fn receive(edge: &Edge, used: &mut Option<AnyBatch>) -> Slot {
    block_on(poll_fn(|cx| edge.poll_receive(cx, used, NOW)))
}

fn rows(slot: &Slot) -> Vec<u32> {
    slot.batch.as_ref().map(|b| b.get::<Vec<u32>>().unwrap().col.clone()).unwrap_or_default()
}

/// Takes everything up to the end; used batches go back.
fn receive_all(edge: &Edge) -> Vec<u32> {
    let (mut all, mut used) = (Vec::new(), None);
    loop {
        let slot = receive(edge, &mut used);
        all.extend(rows(&slot));
        used = slot.batch;
        if slot.controls.end {
            return all;
        }
    }
}

/// Rows arrive once and in order, and whoever waits is woken. Row 279.
///
/// Caught: the receiver's waker stored behind the unlock; `poll_send` or `control` that wakes
/// nobody; `poll_receive` that never wakes the sender.
#[test]
fn rows_arrive_once_and_in_order() {
    loom::model(|| {
        let ours = edge(1, None);
        let theirs = ours.clone();
        let sender = thread::spawn(move || {
            let spare = send(&theirs, None, 1);
            send(&theirs, spare, 2);
            theirs.control(Control::End);
        });
        assert_eq!(receive_all(&ours), [1, 2]);
        sender.join().unwrap();
        let s = ours.stats();
        assert_eq!((s.sent, s.taken, s.waiting), (2, 2, 0));
    });
}

/// Used batches come back to the sender: none is lost on the way, none is lent twice.
///
/// Caught: `give_back` that drops the batch.
#[test]
fn used_batches_come_back() {
    loom::model(|| {
        let ours = edge(1, None);
        let theirs = ours.clone();
        let sender = thread::spawn(move || {
            let mut made = 0;
            let mut spare: Option<AnyBatch> = None;
            for row in 0..3 {
                made += usize::from(spare.is_none());
                assert!(spare.as_ref().is_none_or(|b| b.is_empty()));
                spare = send(&theirs, spare.take(), row);
            }
            (made, usize::from(spare.is_some()))
        });
        let mut used = None;
        for row in 0..3 {
            let slot = receive(&ours, &mut used);
            assert_eq!(rows(&slot), [row]);
            used = slot.batch;
        }
        let (made, kept) = sender.join().unwrap();
        assert_eq!(made, kept + lock(&ours.0).queue.spare.len() + usize::from(used.is_some()));
    });
}

/// Credits for one batch at a time.
struct OneCredit(i64);

impl FlowControl for OneCredit {
    fn admit(&mut self, _cost: Cost, _now: Moment) -> Admission {
        if self.0 == 0 {
            return Admission::Wait;
        }
        self.0 -= 1;
        Admission::Admit
    }

    fn release(&mut self, _cost: Cost, _now: Moment) {
        self.0 += 1;
    }

    fn balance(&self) -> Option<i64> {
        Some(self.0)
    }
}

/// A sender without credit is woken when one comes back, and none is lost.
///
/// Caught: `pop` that forgets the release; a sender refused by the policy that leaves no waker.
#[test]
fn credits_come_back() {
    loom::model(|| {
        let ours = edge(2, Some(Box::new(OneCredit(1))));
        let theirs = ours.clone();
        let sender = thread::spawn(move || {
            let spare = send(&theirs, None, 1);
            send(&theirs, spare, 2);
            theirs.control(Control::End);
        });
        assert_eq!(receive_all(&ours), [1, 2]);
        sender.join().unwrap();
        assert_eq!(ours.stats().balance, Some(1));
    });
}

/// A receiver that turns to something else first wakes a sender that has room (deadlock otherwise:
/// the edge is too full for the usual wake).
///
/// Caught: `nudge` that wakes nobody, or only below half.
#[test]
fn a_receiver_that_turns_away_lets_the_sender_on() {
    loom::model(|| {
        let ours = edge(3, None);
        for row in 0..3 {
            send(&ours, None, row);
        }
        let theirs = ours.clone();
        let sender = thread::spawn(move || drop(send(&theirs, None, 3)));
        receive(&ours, &mut None);
        ours.nudge(true);
        sender.join().unwrap();
        assert_eq!(lock(&ours.0).queue.depth(), 3);
    });
}

/// A receiver that goes away holds nobody up, and every row is counted.
///
/// Caught: `close` that wakes nobody, or leaves what waits uncounted.
#[test]
fn a_closed_edge_holds_no_sender_up() {
    loom::model(|| {
        let ours = edge(1, None);
        let theirs = ours.clone();
        let sender = thread::spawn(move || {
            send(&theirs, None, 1);
            send(&theirs, None, 2);
            theirs.control(Control::End);
        });
        ours.close(NOW);
        sender.join().unwrap();
        let s = ours.stats();
        assert_eq!((s.sent, s.taken + s.undeliverable, s.waiting), (2, 2, 0));
    });
}

/// A barrier stays between the rows it was sent between, however full the edge is.
///
/// Caught: `control` that joins a slot which a barrier closed.
#[test]
fn a_barrier_keeps_its_place() {
    loom::model(|| {
        let ours = edge(1, None);
        let theirs = ours.clone();
        let sender = thread::spawn(move || {
            send(&theirs, None, 1);
            theirs.control(Control::Barrier(Epoch(1)));
            theirs.control(Control::Barrier(Epoch(2)));
            send(&theirs, None, 2);
        });
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let slot = receive(&ours, &mut None);
            seen.extend(rows(&slot).into_iter().map(u64::from));
            seen.extend(slot.controls.barrier.map(|e| 100 + e.0));
        }
        sender.join().unwrap();
        assert_eq!(seen, [1, 101, 102, 2]);
    });
}
