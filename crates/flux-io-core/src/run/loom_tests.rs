//! Every schedule of the tasks of a run and of those who hold its handle.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use super::*;
use loom::future::block_on;
use loom::thread;
use std::future::poll_fn;

/// Waits, as a task does, until the handle has something new.
fn wait_for_news(handle: &RunHandle, slot: usize, seen: u64) {
    block_on(poll_fn(|cx| handle.poll_news(slot, seen, cx)));
}

/// A task that waits for nothing but its handle ends when the run is aborted. Row 279.
///
/// Caught: `poll_news` that does not look again once it is registered; `notify` that wakes before
/// it counts; `stop` that notifies before it stores.
#[test]
fn an_abort_reaches_a_task_that_waits() {
    loom::model(|| {
        let ours = RunHandle::new();
        let slot = ours.join();
        let theirs = ours.clone();
        let stopper = thread::spawn(move || theirs.stop(StopMode::Abort));
        let mut seen = 0;
        while !ours.aborted() {
            wait_for_news(&ours, slot, seen);
            seen = ours.version();
        }
        stopper.join().unwrap();
    });
}

/// A task that waits for room, and looks for nothing but an abort, ends too.
///
/// Caught: `stop` that notifies before it stores.
#[test]
fn an_abort_reaches_a_task_that_waits_for_room() {
    loom::model(|| {
        let ours = RunHandle::new();
        let slot = ours.join();
        let theirs = ours.clone();
        let stopper = thread::spawn(move || theirs.stop(StopMode::Abort));
        block_on(poll_fn(|cx| {
            ours.register(slot, cx);
            if ours.aborted() { Poll::Ready(()) } else { Poll::Pending }
        }));
        stopper.join().unwrap();
    });
}

/// An abort overrides a drain, whichever comes first, and every task is told of both.
///
/// Caught: a level that is stored instead of raised.
#[test]
fn an_abort_overrides_a_drain() {
    loom::model(|| {
        let ours = RunHandle::new();
        let slot = ours.join();
        let (drainer, aborter) = (ours.clone(), ours.clone());
        let second = Duration::from_secs(1);
        let drain = StopMode::Graceful { deadline: Some(second) };
        let drainer = thread::spawn(move || drainer.stop(drain));
        let aborter = thread::spawn(move || aborter.stop(StopMode::Abort));
        let mut seen = 0;
        while !ours.aborted() {
            wait_for_news(&ours, slot, seen);
            seen = ours.version();
        }
        drainer.join().unwrap();
        aborter.join().unwrap();
        assert!(ours.aborted());
        assert_eq!(ours.drain_by(|| Moment(0)), Some(Moment(0).plus(second)));
    });
}

/// The end of a drain is one moment, whoever asks first.
///
/// Caught: `drain_by` that reckons anew for each task.
#[test]
fn a_drain_ends_at_one_moment() {
    loom::model(|| {
        let ours = RunHandle::new();
        let theirs = ours.clone();
        ours.stop(StopMode::Graceful { deadline: Some(Duration::from_nanos(5)) });
        let other = thread::spawn(move || theirs.drain_by(|| Moment(10)));
        let here = ours.drain_by(|| Moment(20));
        assert_eq!(other.join().unwrap(), here);
    });
}

/// A new version of the policies reaches a source that waits, and each has a number of its own.
///
/// Caught: `policy` that notifies before it counts; a version read and written in two steps.
#[test]
fn a_policy_reaches_a_task_that_waits() {
    loom::model(|| {
        let ours = RunHandle::new();
        let slot = ours.join();
        let theirs = ours.clone();
        let other = thread::spawn(move || theirs.policy());
        let mine = ours.policy();
        let mut seen = 0;
        while ours.wanted_policy() < Epoch(2) {
            wait_for_news(&ours, slot, seen);
            seen = ours.version();
        }
        assert_ne!(other.join().unwrap(), mine);
    });
}

/// Of two tasks that acknowledge an epoch, one is the last; the epoch is given to it alone, and not
/// again when one of them ends.
///
/// Caught: `finished` that keeps what it gave; an acknowledgement looked at under a second lock.
#[test]
fn an_epoch_is_complete_once() {
    loom::model(|| {
        let ours = RunHandle::new();
        let (a, b) = (ours.join(), ours.join());
        let theirs = ours.clone();
        let other = thread::spawn(move || {
            let whole = [theirs.ack(b, Epoch(1)), theirs.leave(b, true)];
            whole.iter().flatten().count()
        });
        let mine = ours.ack(a, Epoch(1)).iter().count();
        assert_eq!(other.join().unwrap() + mine, 1);
    });
}

/// A checkpoint asked for while another one is under way begins when the task has seen that, whichever
/// comes first.
///
/// Caught: `ack` that does not look whether another one was asked for.
#[test]
fn a_checkpoint_asked_for_meanwhile_begins() {
    loom::model(|| {
        let ours = RunHandle::new();
        let slot = ours.join();
        let first = ours.checkpoint();
        let theirs = ours.clone();
        let asker = thread::spawn(move || theirs.checkpoint());
        let mut seen = ours.version();
        drop(ours.ack(slot, first));
        while ours.wanted_barrier() == first {
            wait_for_news(&ours, slot, seen);
            seen = ours.version();
        }
        assert_eq!(ours.wanted_barrier(), Epoch(2));
        assert_eq!(asker.join().unwrap(), Epoch(2));
    });
}

/// A task that waits is woken for the next checkpoint when another one was the last to see this one.
///
/// Caught: a cut that begins without a notice.
#[test]
fn the_next_checkpoint_reaches_a_task_that_waits() {
    loom::model(|| {
        let ours = RunHandle::new();
        let (a, b) = (ours.join(), ours.join());
        let (first, next) = (ours.checkpoint(), ours.checkpoint());
        drop(ours.ack(a, first));
        let mut seen = ours.version();
        let theirs = ours.clone();
        let other = thread::spawn(move || drop(theirs.ack(b, first)));
        while ours.wanted_barrier() != next {
            wait_for_news(&ours, a, seen);
            seen = ours.version();
        }
        other.join().unwrap();
    });
}

/// A task that ends while another acknowledges completes the epoch, or the other does.
///
/// Caught: `leave` that does not look whether its task was the last one missing.
#[test]
fn a_task_that_ends_holds_no_epoch_up() {
    loom::model(|| {
        let ours = RunHandle::new();
        let (a, b) = (ours.join(), ours.join());
        let theirs = ours.clone();
        let other = thread::spawn(move || theirs.leave(b, true).is_some());
        let mine = ours.ack(a, Epoch(1)).is_some();
        assert!(other.join().unwrap() ^ mine);
    });
}

/// Every task gets every request once; what all have read is forgotten.
///
/// Caught: `take` that counts from the first request that waits instead of from the task's place.
#[test]
fn every_task_gets_every_request_once() {
    loom::model(|| {
        let ours = RunHandle::new();
        let (a, b) = (ours.join(), ours.join());
        let (reader, asker) = (ours.clone(), ours.clone());
        ours.command("stage", Command::FlushAll);
        let asker = thread::spawn(move || asker.command("stage", Command::FlushAll));
        let reader = thread::spawn(move || reader.commands_for(b).len());
        let mut mine = ours.commands_for(a).len();
        let mut theirs = reader.join().unwrap();
        asker.join().unwrap();
        mine += ours.commands_for(a).len();
        theirs += ours.commands_for(b).len();
        assert_eq!((mine, theirs, lock(&ours.inner.commands).waiting.len()), (2, 2, 0));
    });
}

/// Two tasks fail at once: one failure is told, and the run has failed.
///
/// Caught: a failure that is stored behind the abort.
#[test]
fn a_failure_is_told_with_the_abort() {
    loom::model(|| {
        let ours = RunHandle::new();
        let theirs = ours.clone();
        let failure = |shard| RunFailure {
            stage: "stage".into(),
            shard,
            error: StageError::catastrophic("no"),
        };
        let other = thread::spawn(move || theirs.fail(failure(1)));
        while !ours.aborted() {
            thread::yield_now();
        }
        ours.fail(failure(2));
        let (ended, told) = ending(&ours);
        other.join().unwrap();
        assert_eq!((ended, told.map(|f| f.shard)), (Ended::Failed, Some(1)));
    });
}

/// Who looks sees a state as it was published, whole.
///
/// The model of the publication; no single step of it can be left out and still compile.
#[test]
fn a_state_is_seen_whole() {
    loom::model(|| {
        let ours = RunHandle::new();
        let theirs = ours.clone();
        let state =
            |n| StageState { name: "s".into(), errors: n, retries: n, ..Default::default() };
        let publisher = thread::spawn(move || {
            theirs.publish(&state(1));
            theirs.publish(&state(2));
        });
        let seen = ours.inspect("s").unwrap_or_default();
        assert_eq!(seen.errors, seen.retries);
        publisher.join().unwrap();
        assert_eq!(ours.inspect("s").map(|s| s.errors), Some(2));
    });
}
