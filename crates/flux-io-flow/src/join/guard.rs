//! Calls of user code about one row: a panic costs that row, and is told of it.

use super::held::{Held, Origin};
use crate::drive::panic_text;
use flux_io_core::{
    DeadCause, ErrorClass, ErrorKind, ErrorRecord, GiveUp, OnError, Original, StageCx, StageError,
};
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
            give_up(held, &panic_text(panic.as_ref()), on, cx)?;
            Ok(None)
        }
    }
}

/// A row on which user code panicked.
pub(super) fn give_up<T: Send + 'static>(
    held: Held<T>,
    what: &str,
    on: OnError,
    cx: &mut StageCx<'_>,
) -> Result<(), StageError> {
    let Held { row, at } = held;
    match on.finally() {
        GiveUp::Fail => {
            let name = &cx.home().name;
            let what =
                format!("stage `{name}` panicked at row {} of {}: {what}", at.seq, at.source);
            return Err(StageError::new(ErrorClass::Permanent, ErrorKind::Panicked, what));
        }
        GiveUp::Skip => cx.dropped("skip", 1),
        GiveUp::DeadLetter => cx.dead(ErrorRecord {
            stage: cx.home().id,
            source: at.source,
            seq: at.seq,
            context: at.context,
            original: Original::value(row),
            ..ErrorRecord::new(DeadCause::Panicked, what)
        }),
    }
    Ok(())
}
