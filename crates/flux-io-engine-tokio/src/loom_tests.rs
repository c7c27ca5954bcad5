//! Every schedule of the thread that serves timers, the process's own or a lane's worker.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use crate::sync::{Arc, Mutex, lock};
use crate::timers::{OfRuntime, Server, Worker};
use flux_io_core::Moment;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Wake, Waker};
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

fn timers(on: &Runtime) -> OfRuntime {
    OfRuntime::new(on.handle().clone(), Arc::new(Server::new()))
}

/// A timer that starts the thread and one that is armed while it looks or sleeps both fire, once.
///
/// Caught: `arm` that wakes nobody; a thread that sleeps without having said until when; a drop that
/// wakes nobody.
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

/// The thread ends with the last timers that ask it, whether it sleeps or is about to.
///
/// Caught: a call that is not noted, or only when the thread sleeps.
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

/// A worker polls a task until another thread has told it news, and `hears` of it.
fn worker(hears: fn(&Worker, Waker)) {
    loom::model(move || {
        let timers = Arc::new(Worker::new());
        let (news, waiting) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (theirs, told, waker) = (Arc::clone(&timers), Arc::clone(&news), Arc::clone(&waiting));
        let other = thread::spawn(move || {
            told.store(1, SeqCst);
            let task: Option<Waker> = lock(&waker).take();
            task.into_iter().for_each(|t| hears(&theirs, t));
        });
        let task = poll_fn(|cx| {
            *lock(&waiting) = Some(cx.waker().clone());
            if news.load(SeqCst) == 1 { Poll::Ready(()) } else { Poll::Pending }
        });
        timers.block_on(pin!(task));
        other.join().unwrap();
    });
}

/// A worker that serves the timers hears of a wake, whether it polls, looks or sleeps. Row 279.
///
/// Caught: a call that wakes nobody, is not noted, or only when the worker sleeps.
#[test]
fn a_worker_hears_of_a_wake() {
    worker(|_, task| task.wake());
}

/// A worker hears of a timer that another thread arms, whether it polls, looks or sleeps.
///
/// Caught: `arm` that wakes nobody; a worker that sleeps without having said until when.
#[test]
fn a_worker_hears_of_a_timer() {
    worker(|timers, task| {
        timers.arm(DUE, &task);
    });
}
