//! Demand as credits: what was requested and not yet given.

use super::Subscription;
use crate::sync::{Arc, Mutex, lock};
use std::task::{Context, Poll, Waker};

/// What a subscriber has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It takes this many more; not 0.
    More(u64),
    /// It takes nothing more.
    Cancelled,
    /// It asked for 0 items.
    Nothing,
}

#[derive(Default)]
struct State {
    credits: u64,
    cancelled: bool,
    zero: bool,
    waits: Option<Waker>,
}

/// The credits of one subscription. Requests may come from any thread, also inside `on_next`.
#[derive(Clone, Default)]
pub(super) struct Credits(Arc<Mutex<State>>);

impl Credits {
    /// What there is to do, waiting while there are no credits.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Said> {
        let mut s = lock(&self.0);
        if s.cancelled {
            return Poll::Ready(Said::Cancelled);
        }
        if s.zero {
            return Poll::Ready(Said::Nothing);
        }
        if s.credits > 0 {
            return Poll::Ready(Said::More(s.credits));
        }
        s.waits = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Uses one credit; `false` when there is none, or nothing is wanted any more.
    pub(super) fn spend(&self) -> bool {
        let mut s = lock(&self.0);
        let some = s.credits > 0 && !s.cancelled && !s.zero;
        // A demand of `u64::MAX` is one without end.
        if some && s.credits != u64::MAX {
            s.credits -= 1;
        }
        some
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut s = lock(&self.0);
        change(&mut s);
        let waits = s.waits.take();
        drop(s);
        if let Some(w) = waits {
            w.wake();
        }
    }
}

impl Subscription for Credits {
    fn request(&mut self, n: u64) {
        self.change(|s| {
            s.credits = s.credits.saturating_add(n);
            s.zero |= n == 0;
        });
    }

    fn cancel(&mut self) {
        self.change(|s| s.cancelled = true);
    }
}
