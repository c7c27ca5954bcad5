//! What a lane of the rayon executor promises about its workers.

use flux_io_core::{BoxFuture, Executor};
use flux_io_engine_rayon::RayonExecutor;
use std::future::poll_fn;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::Duration;

/// Every worker takes jobs, also when one of them was there first and found nothing to do: two jobs
/// that wait for each other are polled by two workers, however late both become ready.
#[test]
fn no_worker_is_lost_to_another_that_gives_way() {
    for _ in 0..200 {
        let lane = RayonExecutor::new().open(2).unwrap();
        let (both, host) = (Arc::new(Barrier::new(2)), lane.host());
        let job = || -> BoxFuture<'static, ()> {
            let (both, host) = (Arc::clone(&both), Arc::clone(&host));
            let mut first = true;
            Box::pin(poll_fn(move |cx| {
                if std::mem::take(&mut first) {
                    // Woken when the workers have had time to look around.
                    host.arm(host.now().plus(Duration::from_millis(1)), cx.waker());
                    return Poll::Pending;
                }
                both.wait();
                Poll::Ready(())
            }))
        };
        lane.poll_all(vec![job(), job()]);
    }
}
