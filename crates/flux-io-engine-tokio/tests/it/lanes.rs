//! What a lane of the tokio executor promises the jobs that it polls.

use flux_io_core::{BoxFuture, Executor};
use flux_io_engine_tokio::TokioExecutor;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

/// A job may wait for a timer of the lane, for one of tokio's, for a task that it spawns, and for
/// blocking work; one that panics takes no other along.
#[test]
fn jobs_wait_for_whatever_they_like() {
    for workers in [1, 2] {
        let lane = TokioExecutor::new().open(workers).unwrap();
        let (host, done) = (lane.host(), Arc::new(AtomicUsize::new(0)));
        let job = |n: usize| -> BoxFuture<'static, ()> {
            let (host, done) = (Arc::clone(&host), Arc::clone(&done));
            let mut due = None;
            Box::pin(async move {
                match n % 5 {
                    0 => {
                        poll_fn(|cx| {
                            let wait = Duration::from_micros(n as u64 * 100);
                            let at = *due.get_or_insert_with(|| host.now().plus(wait));
                            if host.now() >= at {
                                return Poll::Ready(());
                            }
                            host.arm(at, cx.waker());
                            Poll::Pending
                        })
                        .await;
                    }
                    1 => tokio::time::sleep(Duration::from_millis(1)).await,
                    2 => tokio::spawn(tokio::task::yield_now()).await.unwrap(),
                    3 => {
                        let (told, heard) = tokio::sync::oneshot::channel();
                        host.blocking(Box::new(|| told.send(()).unwrap()));
                        heard.await.unwrap();
                    }
                    _ => panic!("a job gives up"),
                }
                done.fetch_add(1, SeqCst);
            })
        };
        lane.poll_all((0..50).map(job).collect());
        assert_eq!(done.load(SeqCst), 40, "{workers} workers");
    }
}
