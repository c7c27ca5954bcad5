//! The laws of every contract of `flux-io-core`, as functions.
//!
//! Whoever implements a contract calls its laws from a test: `key::laws(&keys)`,
//! `engine::laws(&engine)`. A law panics with what it saw when it is broken; each part of a
//! contract is a function of its own, so that a test can name it.
#![expect(
    clippy::missing_panics_doc,
    reason = "every law panics when it is broken; that is what it is for"
)]

pub mod column;
pub mod engine;
pub mod flow_control;
pub mod key;
pub mod memory_pool;
pub mod sink;
pub mod snapshot_store;
pub mod source;
pub mod spill_store;
pub mod stage;
pub mod transactional_sink;

use crate::doubles::ManualHost;
use flux_io_core::StageError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Most polls a law makes before it says that something never ends.
const MOST_POLLS: u32 = 1_000_000;

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Polls a future so many times and drops it if it is still pending. Between the polls time moves,
/// or another thread is let run. (A future that is pending once in every call would never end if
/// it were dropped at its first wait each time; the laws give it more polls by and by.)
fn poll_and_drop<T>(host: &ManualHost, polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = Box::pin(future);
    for _ in 0..polls {
        match Pin::new(&mut future).as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(x) => return Some(x),
            Poll::Pending if woken.0.swap(false, Ordering::AcqRel) || host.advance() => {}
            Poll::Pending => std::thread::yield_now(),
        }
    }
    None
}

/// Drives a future of user code to its end; time moves by itself.
fn drive<T>(host: &ManualHost, future: impl Future<Output = Result<T, StageError>>) -> T {
    match host.block_on(future) {
        Ok(Ok(x)) => x,
        other => {
            let what = other.map(|r| r.map(|_| ()).map_err(|e| flux_io_core::chain(&e)));
            broken(&format!("this call must succeed: {what:?}"))
        }
    }
}

#[expect(clippy::panic, reason = "a broken law is said by a panic")]
fn broken(what: &str) -> ! {
    panic!("{what}")
}
