//! What becomes of rows that a join could not use.

use super::held::{Held, Origin};
use flux_io_core::{
    DeadCause, ErrorClass, ErrorKind, ErrorRecord, Original, StageCx, StageError, Timestamp, mutant,
};

/// What becomes of rows that a join could not use: those without a partner, those that came too
/// late, those that others had already stood in for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leftover {
    /// They are dropped, and counted under what made them useless.
    #[default]
    Drop,
    /// They become dead letters that hold the row.
    DeadLetter,
    /// The run fails.
    Fail,
}

impl Leftover {
    /// The word used in plans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "dropped",
            Self::DeadLetter => "dead letter",
            Self::Fail => "the run fails",
        }
    }

    /// Leaves a row behind; `cause` is the word it is counted under.
    pub(super) fn leave<T: Send + 'static>(
        self,
        held: Held<T>,
        cause: &'static str,
        cx: &mut StageCx<'_>,
    ) -> Result<(), StageError> {
        let Held { row, at } = held;
        match self {
            Self::Drop => cx.dropped(cause, u64::from(!mutant!(LeftoverNotCounted))),
            Self::DeadLetter => {
                let record = letter(cause, at, Original::value(row), cx);
                cx.dead(record);
            }
            Self::Fail => {
                let what = format!(
                    "stage `{}` cannot use row {} of {} ({cause}); say `Leftover::Drop` or \
                     `Leftover::DeadLetter`",
                    cx.home().name,
                    at.seq,
                    at.source
                );
                return Err(StageError::new(ErrorClass::Catastrophic, ErrorKind::User, what));
            }
        }
        Ok(())
    }
}

fn letter(cause: &str, at: Origin, original: Original, cx: &StageCx<'_>) -> ErrorRecord {
    ErrorRecord {
        stage: cx.home().id,
        source: at.source,
        seq: at.seq,
        context: at.context,
        original,
        ..ErrorRecord::new(DeadCause::Invalid, cause)
    }
}

/// The event time of what goes out without what it waited for: no watermark has passed it.
pub(super) fn lifted(time: Timestamp, watermark: Timestamp) -> Timestamp {
    time.max(Timestamp(watermark.0.saturating_add(1)))
}
