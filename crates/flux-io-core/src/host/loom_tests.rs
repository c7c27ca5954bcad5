//! Every schedule of a blocking job and of the task that waits for it.
//!
//! What is said to be caught was seen: the code was broken so, and the model failed.

use super::*;
use loom::future::block_on;
use loom::thread;

/// Runs or drops blocking jobs on a thread of the model.
struct Aside {
    runs: bool,
}

impl Host for Aside {
    fn now(&self) -> Moment {
        Moment(0)
    }

    fn wall(&self) -> Timestamp {
        Timestamp(0)
    }

    fn arm(&self, _at: Moment, _waker: &Waker) -> TimerId {
        TimerId(0)
    }

    fn cancel(&self, _id: TimerId) {}

    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        let runs = self.runs;
        thread::spawn(move || if runs { job() } else { drop(job) });
    }

    fn outside(&self, job: Box<dyn FnOnce() + Send>) {
        self.blocking(job);
    }
}

fn start(runs: bool) -> Blocking<u32> {
    let host: Arc<dyn Host> = Arc::new(Aside { runs });
    Blocking::start(|| 7, |job| host.blocking(job))
}

/// Caught: a waker stored behind the unlock; a job that wakes nobody at its end.
#[test]
fn a_result_reaches_the_task_that_waits() {
    loom::model(|| assert_eq!(block_on(start(true)), Some(7)));
}

/// Caught: `gone` set only by a job that ran.
#[test]
fn a_dropped_job_holds_nobody_up() {
    loom::model(|| assert_eq!(block_on(start(false)), None));
}

/// A job that is given while the thread of the one before it works, ends or waits is done, by that
/// thread or by another, and every thread ends with its owner.
///
/// Caught: a call that wakes nobody; a job left to a thread that was counted as idle and had been
/// called already; a drop that closes without a call.
#[test]
fn a_job_outside_is_never_forgotten() {
    loom::model(|| {
        let outside = Outside::new();
        let done = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let mut threads = Vec::new();
        for _ in 0..2 {
            let done = Arc::clone(&done);
            let job = move || drop(done.fetch_add(1, loom::sync::atomic::Ordering::Relaxed));
            outside.run(Box::new(job), |body| threads.push(thread::spawn(body)));
        }
        drop(outside);
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(done.load(loom::sync::atomic::Ordering::Relaxed), 2);
    });
}
