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
}

fn start(runs: bool) -> Blocking<u32> {
    let host: Arc<dyn Host> = Arc::new(Aside { runs });
    Blocking::start(&host, || 7)
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
