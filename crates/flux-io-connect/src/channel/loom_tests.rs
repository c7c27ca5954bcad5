//! Every schedule of the two ends of a channel.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use super::{Closed, Receiver, Sender, bounded};
use crate::sync::Arc;
use flux_io_core::StageError;
use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::future::Future;
use std::task::{Context, Poll, Waker};

fn all(rx: &mut Receiver<u32>) -> Vec<u32> {
    let mut all = Vec::new();
    while let Some(n) = block_on(rx.recv()).unwrap() {
        all.push(n);
    }
    all
}

fn send(tx: &Sender<u32>, n: u32) -> Result<(), Closed<u32>> {
    block_on(tx.send(n))
}

/// Items arrive once, those of one sender in its order, and the end is seen behind them. Row 279.
///
/// Caught: `put` that does not wake the receiver; `take` that does not wake the senders it let in;
/// `leave` that does not wake the receiver at the last sender; a receiver whose waker is stored
/// behind the unlock.
#[test]
fn items_arrive_once_and_then_the_end() {
    loom::model(|| {
        let (tx, mut rx) = bounded(1);
        let sender = thread::spawn(move || {
            send(&tx, 1).unwrap();
            send(&tx, 2).unwrap();
        });
        assert_eq!(all(&mut rx), [1, 2]);
        sender.join().unwrap();
    });
}

/// Two senders that wait for one place both get it.
///
/// Caught: `admit` that lets senders in but wakes the first of them alone.
#[test]
fn no_sender_starves() {
    loom::model(|| {
        let (tx, mut rx) = bounded(1);
        tx.try_send(0).unwrap();
        let other = tx.clone();
        let a = thread::spawn(move || send(&tx, 1).unwrap());
        let b = thread::spawn(move || send(&other, 2).unwrap());
        let mut got = all(&mut rx);
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
        a.join().unwrap();
        b.join().unwrap();
    });
}

/// A receiver that goes away gives the senders that wait their items back.
///
/// Caught: `abandon` that does not wake them; `ask` that does not look whether it is refused.
#[test]
fn a_receiver_that_leaves_gives_items_back() {
    loom::model(|| {
        let (tx, rx) = bounded(1);
        let sender = thread::spawn(move || (send(&tx, 1), send(&tx, 2)));
        drop(rx);
        let (first, second) = sender.join().unwrap();
        assert!(first.is_ok() || first == Err(Closed(1)));
        assert_eq!(second, Err(Closed(2)));
    });
}

/// An item whose sending was given up while there was no room never arrives; if there was room
/// meanwhile, it may.
///
/// Caught: `withdraw` that leaves the item.
#[test]
fn what_is_given_up_is_withdrawn_or_received() {
    loom::model(|| {
        let (tx, mut rx) = bounded(1);
        tx.try_send(1).unwrap();
        let given_up = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&given_up);
        let sender = thread::spawn(move || {
            let mut sending = Box::pin(tx.send(2));
            let polled = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(sending);
            over.store(true, Ordering::Release);
            polled
        });
        let no_room = given_up.load(Ordering::Acquire);
        let got = all(&mut rx);
        let sent = sender.join().unwrap() == Poll::Ready(Ok(()));
        assert!(if no_room { got == [1] } else { got == [1, 2] || (got == [1] && !sent) });
    });
}

/// A failure is seen behind what was sent, not instead of it, and only once.
///
/// Caught: `take` that looks for the end first; an error that is stored behind the wake.
#[test]
fn a_failure_comes_behind_what_was_sent() {
    loom::model(|| {
        let (tx, mut rx) = bounded(1);
        let sender = thread::spawn(move || {
            send(&tx, 1).unwrap();
            tx.fail(StageError::catastrophic("no"));
        });
        assert_eq!(block_on(rx.recv()).unwrap(), Some(1));
        assert!(block_on(rx.recv()).is_err());
        assert_eq!(block_on(rx.recv()).unwrap(), None);
        sender.join().unwrap();
    });
}
