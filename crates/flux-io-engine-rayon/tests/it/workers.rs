//! What a lane of the rayon executor promises about its workers.

use flux_io_core::{BoxFuture, Executor};
use flux_io_engine_rayon::RayonExecutor;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
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

/// Runs `work` to its end; a hang fails instead of lasting for ever.
fn ends(work: impl FnOnce() + Send + 'static) {
    let (tell, told) = sync_channel(1);
    let run = move || {
        work();
        _ = tell.send(());
    };
    assert!(std::thread::Builder::new().spawn(run).is_ok());
    let ended = told.recv_timeout(Duration::from_secs(60));
    assert!(ended.is_ok(), "it hangs, or has failed above");
}

/// A job of one poll.
fn once(work: impl FnOnce() + Send + 'static) -> BoxFuture<'static, ()> {
    Box::pin(async move { work() })
}

/// What a job asks of rayon runs on every worker of the pool, also when they were asleep: as many
/// pieces at once as there are workers, and a broadcast on each.
#[test]
fn a_job_that_uses_rayon_finds_the_other_workers() {
    for workers in [1, 2, 4] {
        ends(move || {
            let lane = RayonExecutor::new().open(workers).unwrap();
            let all = Barrier::new(workers as usize);
            let job = once(move || {
                for _ in 0..20 {
                    // Ended only by as many as wait at once.
                    rayon::scope(|s| (0..workers).for_each(|_| s.spawn(|_| _ = all.wait())));
                    assert_eq!(rayon::broadcast(|w| w.index()).len(), workers as usize);
                }
            });
            lane.poll_all(vec![job]);
        });
    }
}

/// A worker that always has a ready job takes its part of a broadcast all the same, and two jobs may
/// broadcast at once.
#[test]
fn a_broadcast_reaches_workers_that_are_busy() {
    ends(|| {
        let lane = RayonExecutor::new().open(2).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&over);
        let endless = poll_fn(move |cx| {
            cx.waker().wake_by_ref();
            if busy.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        });
        let asks = once(move || {
            assert_eq!(rayon::broadcast(|_| ()).len(), 2);
            over.store(true, Ordering::Release);
        });
        lane.poll_all(vec![Box::pin(endless), asks]);
    });
    ends(|| {
        let lane = RayonExecutor::new().open(2).unwrap();
        let both = Arc::new(Barrier::new(2));
        let job = || {
            let both = Arc::clone(&both);
            once(move || {
                both.wait();
                assert_eq!(rayon::broadcast(|_| ()).len(), 2);
            })
        };
        lane.poll_all(vec![job(), job()]);
    });
}
