//! Sources out of what a program has at hand.

use crate::host::{Hand, block_on, inline, read_all};
use flux_io_connect::source;
use flux_io_core::{
    Batch, CheckpointToken, Column, Filled, IoCx, RangeColumn, RecoverableSource, Source,
    StageError,
};
use std::future::{pending, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

fn copied<S: Source<Col = Vec<u64>>>(mut s: S, cx: &IoCx) -> Vec<u64> {
    let read = read_all(&mut s, cx, |r| *r);
    assert!(read.error.is_none() && read.faults.is_empty());
    read.rows
}

/// Row 19. Any iterator, any batch size; the iterator is pulled no further than asked.
#[test]
fn iterators_give_their_items() {
    for n in [0, 1, 5, 64, 100] {
        for max in [1, 5, 64, 1000] {
            let all: Vec<u64> = (0..n).collect();
            assert_eq!(copied(source::iter(all.clone()), &inline(max)), all);
            assert_eq!(copied(source::numbers(0..n), &inline(max)), all);
        }
    }
    let pulled = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&pulled);
    let mut s = source::iter((0_u64..).inspect(move |_| {
        let _ = counter.fetch_add(1, Ordering::Relaxed);
    }));
    let mut batch = Batch::default();
    assert_eq!(block_on(s.fill(&mut batch, &inline(7))).unwrap(), Filled::More);
    assert_eq!((batch.len(), pulled.load(Ordering::Relaxed)), (7, 7));
    assert!(matches!(s.try_fill(&mut batch, 3), Some(Ok(Filled::More))));
    assert_eq!(batch.col, (0..10).collect::<Vec<_>>());
}

/// Rows 36, 37. A range stands for its numbers and goes on from any of its positions.
#[test]
fn ranges_resume_at_every_number() {
    fn check<S: RecoverableSource>(
        make: impl Fn() -> S,
        row: impl Fn(<S::Col as Column>::Ref<'_>) -> u64,
    ) {
        let mut s = make();
        assert!(s.descriptor().seekable);
        let mut before = Vec::new();
        loop {
            let mut batch = Batch::<S::Col>::default();
            let filled = block_on(s.fill(&mut batch, &inline(3))).unwrap();
            before.extend((0..batch.len()).map(|i| row(batch.col.row(i))));
            let mut rest = make();
            rest.seek(&s.position().unwrap()).unwrap();
            let rest = read_all(&mut rest, &inline(4), &row).rows;
            assert_eq!([before.clone(), rest].concat(), (10..31).collect::<Vec<_>>());
            if filled == Filled::End {
                break;
            }
        }
        for bad in [vec![], vec![1; 7], vec![1; 9]] {
            assert!(make().seek(&CheckpointToken(bad)).is_err());
        }
    }
    check(|| source::range(10..31), |n| n);
    check(|| source::numbers(10..31), |n| *n);
    let counted = || {
        let made = source::generate(|seq, out: &mut Vec<u64>, max| {
            let n = (max as u64).min(21 - seq);
            out.extend((seq..seq + n).map(|n| n + 10));
            if seq + n == 21 { Filled::End } else { Filled::More }
        });
        made.resumable()
    };
    check(counted, |n| *n);
    for outside in [9_u64, 32] {
        let token = CheckpointToken(outside.to_le_bytes().to_vec());
        let e = source::range(10..31).seek(&token).unwrap_err();
        assert!(e.what.contains("outside of 10..31"), "{}", e.what);
    }
}

/// A batch of a range is two words, also when it is filled twice.
#[test]
fn range_batches_are_runs() {
    let mut s = source::range(5..1_000_000);
    let mut batch = Batch::<RangeColumn>::default();
    block_on(s.fill(&mut batch, &inline(1000))).unwrap();
    assert_eq!(batch.col, RangeColumn::new(5..1005));
    assert!(matches!(s.try_fill(&mut batch, 10), Some(Ok(Filled::More))));
    assert_eq!(batch.col, RangeColumn::new(5..1015));
}

/// Row 21. An async function is called once a row; its end is its end.
#[test]
fn async_functions_give_rows() {
    let mut n = 0;
    let s = source::from_fn(move || {
        n += 1;
        ready((n <= 10).then_some(n))
    });
    assert_eq!(copied(s, &inline(3)), (1..=10).collect::<Vec<_>>());
    let mut s = source::from_fn(|| async { None::<u64> });
    assert!(read_all(&mut s, &inline(3), |r| *r).rows.is_empty());
}

/// Something that futures of a test wait for.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(u64, Vec<Waker>)>>);

impl Gate {
    fn open(&self, n: u64) {
        let wakers = {
            let mut g = self.0.lock().unwrap();
            g.0 += n;
            std::mem::take(&mut g.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn pass(self) {
        std::future::poll_fn(|cx| {
            let mut g = self.0.lock().unwrap();
            if g.0 > 0 {
                g.0 -= 1;
                return Poll::Ready(());
            }
            g.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A fill that waits may be dropped: the call under way goes on in the next one, and what is ready
/// is given without waiting for more.
#[test]
fn b087_async_function_survives_dropped_fills() {
    let (gate, calls) = (Gate::default(), Arc::new(AtomicU64::new(0)));
    let (g, c) = (gate.clone(), Arc::clone(&calls));
    let mut s = source::from_fn(move || {
        let (g, n) = (g.clone(), c.fetch_add(1, Ordering::Relaxed));
        async move {
            g.pass().await;
            (n < 6).then_some(n)
        }
    });
    let cx = inline(100);
    let mut rows = Vec::new();
    for opened in [0, 0, 1, 0, 3, 0, 2] {
        gate.open(opened);
        let mut batch = Batch::default();
        let hand = Hand::new();
        let polled = Future::poll(pin!(s.fill(&mut batch, &cx)), &mut hand.cx());
        assert_eq!(polled.is_pending(), opened == 0);
        assert_eq!(batch.len() as u64, opened);
        rows.append(&mut batch.col);
    }
    gate.open(1);
    assert!(copied(s, &cx).is_empty());
    assert_eq!(rows, [0, 1, 2, 3, 4, 5]);
    assert_eq!(calls.load(Ordering::Relaxed), 7);
}

/// "Nothing now" waits, only `None` ends.
#[test]
fn b088_nothing_now_is_not_the_end() {
    let mut s = source::from_fn(pending::<Option<u64>>);
    let mut batch = Batch::default();
    let hand = Hand::new();
    let cx = inline(1);
    assert!(Future::poll(pin!(s.fill(&mut batch, &cx)), &mut hand.cx()).is_pending());
}

/// An error behind rows comes after them.
#[test]
fn errors_come_behind_the_rows_before_them() {
    let mut n = 0_u64;
    let mut s = source::from_fn(move || {
        n += 1;
        ready(match n {
            3 => Err(StageError::transient("not now")),
            6 => Ok(None),
            _ => Ok(Some(n)),
        })
    });
    let cx = inline(100);
    let first = read_all(&mut s, &cx, |r| *r);
    assert_eq!((first.rows, first.error.unwrap().what.as_str()), (vec![1, 2], "not now"));
    assert_eq!(read_all(&mut s, &cx, |r| *r).rows, [4, 5]);
}
