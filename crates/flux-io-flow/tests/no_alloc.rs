//! Describing and running `map` and `and_then` of an effect costs no allocation. A binary of its
//! own, because the allocator that counts is the whole program's.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait")]

use flux_io_core::{Host, IoCx, Moment, RowError, TimerId, Timestamp};
use flux_io_flow::effect::{self, Call, Cancel, Env};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.realloc(p, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Still;

impl Host for Still {
    fn now(&self) -> Moment {
        Moment::START
    }
    fn wall(&self) -> Timestamp {
        Timestamp(0)
    }
    fn arm(&self, _: Moment, _: &Waker) -> TimerId {
        TimerId(0)
    }
    fn cancel(&self, _: TimerId) {}
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
    fn outside(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

/// What an effect gives, and the allocations of running it.
fn cost<R: Call>(describe: impl FnOnce() -> R, env: &Env) -> (R::Value, u64) {
    let before = ALLOCATIONS.with(Cell::get);
    let value = {
        let mut running = pin!(describe().call(env));
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = running.as_mut().poll(&mut cx) {
                break value;
            }
        }
    };
    (value, ALLOCATIONS.with(Cell::get) - before)
}

/// Rows 42, 285: the cost of `map` and `and_then` in allocations, counted: none, nor of the other
/// words while nothing waits on a timer.
#[test]
fn describing_and_running_effects_allocates_nothing() {
    let env = Env::new(IoCx::new(Arc::new(Still), 1), Cancel::new(), 7);
    let mapped = || effect::of(|_| async { 1_u64 }).map(|x| x + 1).map(|x| x * 10).map(|x| x + 1);
    assert_eq!(cost(mapped, &env), (21, 0));
    let bound = || {
        mapped()
            .and_then(|x| effect::value(x + 1))
            .and_then(|x| async move { x * 2 })
            .and_then(|x| effect::ask(move |env: &Env| (x, env.now())))
    };
    assert_eq!(cost(bound, &env), ((44, Moment::START), 0));
    let zipped = || bound().zip(mapped()).map(|((x, _), y)| x + y);
    assert_eq!(cost(zipped, &env), (65, 0));
    let patient = || {
        bound()
            .map(|(x, _)| Ok::<_, RowError>(x))
            .timeout(Duration::from_secs(1))
            .retry(flux_io_core::Retry::default())
    };
    match cost(patient, &env) {
        (Ok(44), 0) => {}
        other => panic!("{other:?}"),
    }
    // The counter counts.
    assert_eq!(cost(|| effect::of(|_| async { Box::new(1_u8) }), &env).1, 1);
}
