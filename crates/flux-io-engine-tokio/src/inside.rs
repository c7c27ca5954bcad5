//! From where a run may begin.

use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::panic::catch_unwind;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::coop::poll_proceed;

fn refused(what: &str) -> StageError {
    StageError::new(ErrorClass::Catastrophic, ErrorKind::Refused, what)
}

/// The runtime of whoever calls.
///
/// # Errors
/// When there is none, or it has no time.
pub(crate) fn runtime() -> Result<Handle, StageError> {
    let handle = Handle::try_current().map_err(|e| {
        let what = "a run on tokio is awaited on a tokio runtime, and there is none here; use \
                    `run_blocking`";
        refused(what).because(e)
    })?;
    // A runtime does not say whether it has time; only a sleep cannot be made without. What it
    // panics with is shown by the panic hook, as every panic.
    let timed = catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO)));
    timed.map_err(|_| {
        refused("this tokio runtime has no time; build it with `enable_time` or `enable_all`")
    })?;
    Ok(handle)
}

/// More steps than a task is given before it must yield (tokio's budget is 128).
const STEPS: u32 = 1_000;

/// Whether the caller is inside a task of a runtime, where blocking is not allowed. A thread of
/// `spawn_blocking` has a runtime too and may block; tokio gives its work no budget of steps, as it
/// does each task. What is used up here is given back at the task's next poll.
pub(crate) fn a_task() -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    Handle::try_current().is_ok()
        && (0..STEPS).any(|_| match poll_proceed(&mut cx) {
            Poll::Ready(step) => {
                step.made_progress();
                false
            }
            Poll::Pending => true,
        })
}

/// The refusal of a call that would block a task.
pub(crate) fn blocks() -> StageError {
    refused(
        "this call would block a task of a tokio runtime until the run ends; await `run`, or call \
         it from `spawn_blocking`",
    )
}
