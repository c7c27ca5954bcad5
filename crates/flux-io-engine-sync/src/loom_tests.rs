//! Every schedule of a wake from another thread and of the engine that parks.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use crate::Flag;
use crate::sync::{Arc, AtomicBool, Ordering, current, park};
use loom::thread;
use std::task::Waker;

/// A wake that comes between the look at the flag and the park is not lost, and what was published
/// before it is seen behind it. Row 279.
///
/// Caught: a wake that unparks before it sets the flag. Not caught: a flag set relaxed, since loom
/// takes the store and the unpark as one step.
#[test]
fn a_wake_before_the_park_is_not_lost() {
    loom::model(|| {
        let flag = Arc::new(Flag { ready: AtomicBool::new(false), thread: current() });
        let published = Arc::new(AtomicBool::new(false));
        let (waker, theirs) = (Waker::from(Arc::clone(&flag)), Arc::clone(&published));
        let other = thread::spawn(move || {
            theirs.store(true, Ordering::Relaxed);
            waker.wake();
        });
        while !flag.ready.load(Ordering::Acquire) {
            park();
        }
        assert!(published.load(Ordering::Relaxed));
        other.join().unwrap();
    });
}
