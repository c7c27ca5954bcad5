//! The canary: a source that is woken before what it waits for is there (rule L-5 broken), which the
//! exploration must find.

use super::portfolio;
use crate::RayonEngine;
use flux_io_core::{Batch, Filled, IoCx, RunOptions, Source, StageError};
use flux_io_testkit::doubles::CollectSink;
use flux_io_testkit::plans::HandPlan;
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::{FailurePersistence, thread};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};

/// What the source waits for.
#[derive(Default)]
struct Letterbox {
    full: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Letterbox {
    /// Rings first and delivers then: who looks when it rings finds nothing, and waits for ever.
    fn deliver(&self) {
        let waker = self.waker.lock().unwrap().take();
        if let Some(w) = waker {
            w.wake();
        }
        self.full.store(true, Ordering::SeqCst);
    }
}

/// Gives one row when the letterbox is full; the postman comes when it is asked first.
struct Letter(Arc<Letterbox>);

impl Source for Letter {
    type Col = Vec<u64>;

    async fn fill(&mut self, out: &mut Batch<Vec<u64>>, _cx: &IoCx) -> Result<Filled, StageError> {
        let theirs = Arc::clone(&self.0);
        thread::spawn(move || theirs.deliver());
        poll_fn(|cx| {
            *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.0.full.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        out.col.push(1);
        Ok(Filled::End)
    }
}

/// The lost wake-up is found, as a deadlock, within a thousand schedules: an exploration that lets
/// the canary live explores nothing. Row 279.
#[test]
fn the_canary_dies() {
    let tried = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&tried);
    let scenario = move || {
        count.fetch_add(1, Relaxed);
        let plan = HandPlan::from("letter", Letter(Arc::default()));
        let (sink, shelf) = CollectSink::<u64>::new();
        let options = RunOptions { hash_seed: Some(0), ..RunOptions::default() }.workers(2);
        RayonEngine::new().run(plan.into("out", sink).plan(), &options);
        assert_eq!(shelf.rows(), [1]);
    };
    let found = catch_unwind(AssertUnwindSafe(|| {
        portfolio(1, 1_000, FailurePersistence::None, scenario);
    }));
    let why = found.expect_err("the canary lives");
    let why = why.downcast_ref::<String>().map_or("", String::as_str);
    assert!(why.contains("deadlock"), "{why}");
    println!("the canary's lost wake-up was found in schedule {}", tried.load(Relaxed));
}
