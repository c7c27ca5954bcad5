//! Calls of user code about one row: a panic costs that row, and is told of it.

use super::held::{Held, Origin};
use crate::drive::{Failed, panic_text};
use flux_io_core::{DeadCause, Meta, OnError, Original, RowError, Seq, StageCx, StageError};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `f` says of a row; `None` when it panicked and the row went the way of `on`.
pub(super) fn guarded<T: Send + 'static, R>(
    held: Held<T>,
    on: OnError,
    cx: &mut StageCx<'_>,
    f: impl FnOnce(&T, &Origin) -> R,
) -> Result<Option<(Held<T>, R)>, StageError> {
    match catch_unwind(AssertUnwindSafe(|| f(&held.row, &held.at))) {
        Ok(r) => Ok(Some((held, r))),
        Err(panic) => {
            give_up(held, panic.as_ref(), on, cx)?;
            Ok(None)
        }
    }
}

/// A row on which user code panicked goes where the policy says.
pub(super) fn give_up<T: Send + 'static>(
    held: Held<T>,
    panic: &(dyn Any + Send),
    on: OnError,
    cx: &mut StageCx<'_>,
) -> Result<(), StageError> {
    let Held { row, at: Origin { source, seq, context, .. } } = held;
    let meta = Meta { source, seq: Seq::Run(seq), context, ..Meta::default() };
    let name = cx.home().name.clone();
    let failed = Failed { part: "stage", name: &name, meta: &meta, row: 0, attempts: 1 };
    let error = RowError::new(DeadCause::Panicked, panic_text(panic));
    failed.go(on, error, Original::value(row), cx)
}
