//! Timers of a run: one ordered set. Tokio's own timers tick in whole milliseconds and round up: a
//! wait of one lasts up to two. So a thread sleeps until the earliest is due and no longer.
//!
//! On a lane of one worker that thread is the worker ([`Served`]). On a runtime ([`OfRuntime`]) it is
//! the one that the whole process has for it, asked by the first short wait of a run ([`Server`]);
//! beside it a task sleeps on the runtime's timers, so that a clock that is paused or moved by hand
//! is followed. Whoever comes first takes a timer out of the set, so each wakes once.

mod of_runtime;
mod served;
#[cfg(all(test, not(flux_io_loom)))]
mod tests;

pub(crate) use of_runtime::OfRuntime;
pub(crate) use served::{Server, Worker};

use flux_io_core::{Moment, TimerId};
use std::task::Waker;

/// The timers of a host.
pub(crate) enum Timers {
    /// The thread that polls the tasks serves them.
    Worker(Worker),
    /// A runtime polls the tasks.
    Runtime(OfRuntime),
}

impl Timers {
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::Worker(w) => w.now(),
            Self::Runtime(r) => r.now(),
        }
    }

    pub(crate) fn arm(&self, at: Moment, waker: &Waker) -> TimerId {
        match self {
            Self::Worker(w) => w.arm(at, waker),
            Self::Runtime(r) => r.arm(at, waker),
        }
    }

    pub(crate) fn cancel(&self, id: TimerId) {
        match self {
            Self::Worker(w) => w.cancel(id),
            Self::Runtime(r) => r.cancel(id),
        }
    }
}
