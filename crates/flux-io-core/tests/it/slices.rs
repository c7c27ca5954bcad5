//! How often a task that never waits yields.

use flux_io_core::{Host, Moment, RunOptions, TimerId, Timestamp, tasks};
use flux_io_testkit::doubles::{CollectSink, ManualHost, VecSource};
use flux_io_testkit::plans::HandPlan;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// A host with a slice, whose clock goes on by itself or stands still.
struct Sliced {
    host: Arc<ManualHost>,
    slice: Duration,
    reading: Duration,
}

impl Host for Sliced {
    fn now(&self) -> Moment {
        self.host.advance_to(self.host.now().plus(self.reading));
        self.host.now()
    }
    fn wall(&self) -> Timestamp {
        self.host.wall()
    }
    fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        self.host.arm(at, waker)
    }
    fn cancel(&self, id: TimerId) {
        self.host.cancel(id);
    }
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
    fn outside(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
    fn slice(&self) -> Duration {
        self.slice
    }
}

/// Yields of a task of ten thousand batches, on a clock that goes on by `reading` each time it is
/// read, and the time it took.
fn yields(slice: Duration, reading: Duration) -> (u32, Duration) {
    let clock = ManualHost::new();
    let host: Arc<dyn Host> = Arc::new(Sliced { host: Arc::clone(&clock), slice, reading });
    let (sink, shelf) = CollectSink::<u64>::new();
    let plan = HandPlan::from("in", VecSource::<u64>::new(0..10_000)).into("out", sink).plan();
    let (mut tasks, _) = tasks(plan, &host, &RunOptions::default().batch(1));
    let mut task = pin!(tasks.remove(0));
    let mut yields = 0;
    while task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        yields += 1;
    }
    assert_eq!(shelf.len(), 10_000);
    (yields, clock.now().since(Moment::START))
}

/// A task yields when the host's slice is over, and every few thousand batches when time stands
/// still.
#[test]
fn a_task_yields_when_its_slice_is_over() {
    let us = Duration::from_micros;
    assert_eq!(yields(us(0), us(1)).0, 10_000 / 64);
    assert_eq!(yields(us(0), us(0)).0, 10_000 / 64);
    assert_eq!(yields(us(1), us(0)).0, 10_000 / 4096 + 1);
    let (n, took) = yields(us(1_000), us(1));
    let slices = n - 10_000 / 4096;
    assert!(slices > 5 && us(1_000) * (slices - 1) <= took, "{n} yields in {took:?}");
}
