//! Panics in user code, at the n-th call for every n.

use super::{PLANNED, ROWS, assembled, engines, quiet, run};
use flux_io::core::{Ended, ErrorKind, RunOptions};
use flux_io::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls at which a panic is planned.
const CALLS: u64 = 500;

/// A panic in the n-th call of a `map`: the row fails, and its policy answers. The run ends as the
/// policy says, every other row comes out, and the one is counted. Row 274.
#[test]
fn a_map_that_panics_at_its_nth_call() {
    quiet();
    for n in 0..CALLS {
        for on in engines(n) {
            let policy = [OnError::Fail, OnError::DeadLetter, OnError::Skip][n as usize % 3];
            let mut calls = 0;
            let user = move |x| {
                calls += 1;
                assert!(calls != n + 1, "{PLANNED} in call {n}");
                x
            };
            let (plan, got) = assembled(user, policy);
            let report = run(on, plan, RunOptions::default());
            let at = format!("{on:?}, call {n}");
            if policy == OnError::Fail {
                assert_eq!(report.ended, Ended::Failed, "{at}");
                assert_eq!(report.failure.map(|f| f.error.kind), Some(ErrorKind::Panicked), "{at}");
                assert!(got.is_aborted(), "{at}");
                continue;
            }
            assert_eq!(report.ended, Ended::Completed, "{at}: {:?}", report.failure);
            assert_eq!(report.ledger("acc").unwrap().fragments, ROWS - 1, "{at}");
            assert_eq!(got.take().iter().filter(|o| o.is_complete()).count() as u64, ROWS / 3 - 1);
            let dead = report.dead_letters.get(&DeadCause::Panicked).copied().unwrap_or(0);
            let user = report.stage("user").unwrap();
            let skipped: u64 = user.dropped.values().sum();
            let expected = if policy == OnError::Skip { (0, 1) } else { (1, 0) };
            assert_eq!((dead, skipped), expected, "{at}");
        }
    }
}

/// Rows that are alive, rows that were dropped, and the drop that panics.
#[derive(Default)]
struct Fuse {
    made: AtomicU64,
    dropped: AtomicU64,
    at: u64,
}

/// A row whose drop may panic.
struct Bomb(u64, Arc<Fuse>);

impl Bomb {
    fn new(row: u64, fuse: &Arc<Fuse>) -> Self {
        fuse.made.fetch_add(1, Ordering::Relaxed);
        Self(row, Arc::clone(fuse))
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        let n = self.1.dropped.fetch_add(1, Ordering::Relaxed);
        assert!(n != self.1.at, "{PLANNED} in drop {n}");
    }
}

/// A panic in the n-th drop of a row, wherever that is: in a user's closure, in a filter, where the
/// engine clears a batch. The run ends, its accounts add up, and no row is leaked or dropped twice.
#[test]
fn a_row_that_panics_at_the_nth_drop() {
    quiet();
    let mut failed = 0;
    for n in 0..CALLS {
        for on in engines(n) {
            let fuse = Arc::new(Fuse { at: n, ..Fuse::default() });
            let making = Arc::clone(&fuse);
            let (collect, got) = sink::collect();
            let plan = Pipeline::new()
                .source("in", source::iter((0..ROWS).map(move |x| Bomb::new(x, &making))))
                .filter("third", |b| b.0 % 3 > 0)
                .on_error(OnError::DeadLetter)
                .fusion_barrier()
                .map("open", |b| b.0 * 2)
                .on_error(OnError::Skip)
                .sink("out", collect)
                .plan();
            let report = run(on, plan.unwrap(), RunOptions::default());
            let at = format!("{on:?}, drop {n}");
            let rows = got.take();
            match report.ended {
                Ended::Failed => failed += 1,
                ended => assert_eq!((ended, got.is_aborted()), (Ended::Completed, false), "{at}"),
            }
            assert!(rows.is_sorted() && rows.iter().all(|r| r % 2 == 0 && r % 6 > 0), "{at}");
            drop((rows, report));
            let (made, dropped) =
                (fuse.made.load(Ordering::Relaxed), fuse.dropped.load(Ordering::Relaxed));
            assert_eq!(made, dropped, "{at}");
        }
    }
    assert!(failed < CALLS * 6, "a panic in a drop costs a row, not always the run");
}
