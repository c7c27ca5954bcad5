//! Every schedule of the thread that serves timers.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use crate::sync::Arc;
use crate::timers::Timers;
use flux_io_core::Moment;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::task::{Wake, Waker};
use tokio::runtime::{Builder, Runtime};

/// Long past.
const DUE: Moment = Moment(0);

/// After every test.
const NEVER: Moment = Moment(u64::MAX);

/// Counts its wakes, and says so.
#[derive(Default)]
struct Bell {
    rung: AtomicUsize,
    heard: Notify,
}

impl Bell {
    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    fn wait(&self) {
        while self.rung.load(SeqCst) == 0 {
            self.heard.wait();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, SeqCst);
        self.heard.notify();
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn timers(on: &Runtime) -> Timers {
    Timers::new(tokio::time::Instant::now(), on.handle().clone())
}

/// A timer that starts the thread and one that is armed while it looks or sleeps both fire, once.
///
/// Caught: `arm` that wakes nobody; a thread that sleeps without having said until when.
#[test]
fn a_timer_is_never_forgotten() {
    let runtime = runtime();
    loom::model(move || {
        let (timers, first, second) = (timers(&runtime), Arc::<Bell>::default(), Arc::default());
        timers.arm(DUE, &first.waker());
        first.wait();
        timers.arm(DUE, &Bell::waker(&second));
        second.wait();
        drop(timers);
        assert_eq!((first.rung.load(SeqCst), second.rung.load(SeqCst)), (1, 1));
    });
}

/// The thread ends with its timers, whether it sleeps or is about to.
///
/// Caught: a drop that wakes nobody; a drop that does not say that it is over.
#[test]
fn the_thread_ends_with_its_timers() {
    let runtime = runtime();
    loom::model(move || {
        let (timers, bell) = (timers(&runtime), Arc::<Bell>::default());
        timers.arm(DUE, &bell.waker());
        timers.arm(NEVER, &bell.waker());
        drop(timers);
        assert!(bell.rung.load(SeqCst) <= 1);
    });
}

/// The task and the thread fire at once: a timer wakes once, and one that was cancelled before it
/// fired not at all.
///
/// Caught: a timer that stays in the set when it fires.
#[test]
fn a_timer_fires_once_or_was_cancelled() {
    let runtime = runtime();
    loom::model(move || {
        let (timers, bell) = (Arc::new(timers(&runtime)), Arc::<Bell>::default());
        let id = timers.arm(DUE, &bell.waker());
        let theirs = Arc::clone(&timers);
        let task = thread::spawn(move || theirs.fire());
        timers.cancel(id);
        let rung = bell.rung.load(SeqCst);
        task.join().unwrap();
        drop(timers);
        assert!(rung <= bell.rung.load(SeqCst) && bell.rung.load(SeqCst) <= 1);
    });
}
