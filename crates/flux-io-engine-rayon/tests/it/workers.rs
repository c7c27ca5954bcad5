//! What a lane of the rayon executor promises about its workers.

use flux_io_core::{BoxFuture, Executor};
use flux_io_engine_rayon::RayonExecutor;
use std::sync::Arc;
use std::sync::Barrier;

/// Every worker takes jobs, also when one of them was there first and found nothing to do: two jobs
/// that wait for each other are polled by two workers, however late both become ready.
#[test]
fn no_worker_is_lost_to_another_that_gives_way() {
    for _ in 0..200 {
        let lane = RayonExecutor::new().open(2).unwrap();
        let both = Arc::new(Barrier::new(2));
        let job = || -> BoxFuture<'static, ()> {
            let both = Arc::clone(&both);
            let mut first = true;
            Box::pin(std::future::poll_fn(move |cx| {
                if std::mem::take(&mut first) {
                    let later = cx.waker().clone();
                    // Woken when the workers have had time to look around.
                    std::thread::spawn(move || {
                        std::thread::yield_now();
                        later.wake();
                    });
                    return std::task::Poll::Pending;
                }
                both.wait();
                std::task::Poll::Ready(())
            }))
        };
        lane.poll_all(vec![job(), job()]);
    }
}
