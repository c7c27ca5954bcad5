//! What can go wrong in a stage, and what is done about it: classes, causes, policies, records.

use crate::batch::WrongColumn;
use crate::id::{SourceId, StageId};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How bad a failure is; policies decide by it, never by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// May succeed when tried again.
    Transient,
    /// Will fail again for this input, others may pass.
    Permanent,
    /// Nothing sensible can follow: the run stops.
    Catastrophic,
}

/// What kind of failure it is, where one is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Reported by user code.
    User,
    /// User code panicked.
    Panicked,
    /// A plan connected ports of different columns.
    Plan,
    /// Keys wait for each other or for room that nobody can free.
    CompletenessDeadlock,
    /// More keys than the limit allows.
    KeyExplosion,
    /// Spilled bytes could not be written or read back.
    SpillFailure,
    /// Bytes could not be turned into a value or back.
    Serialization,
    /// Reading or writing failed.
    Io,
    /// Nothing moves any more: found by a watchdog.
    Stuck,
    /// An engine did not begin a run: it was called from where it cannot run, or with a handle that
    /// has served another run.
    Refused,
}

/// Why a stage, source or sink gave up on a call.
#[derive(Debug)]
pub struct StageError {
    /// How bad it is.
    pub class: ErrorClass,
    /// What kind it is.
    pub kind: ErrorKind,
    /// What happened, lower case, without the cause's text.
    pub what: String,
    /// The cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl StageError {
    /// An error of this class and kind.
    pub fn new(class: ErrorClass, kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { class, kind, what: what.into(), source: None }
    }

    /// It may succeed when tried again.
    pub fn transient(what: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, ErrorKind::User, what)
    }

    /// It will fail again for this input.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self::new(ErrorClass::Permanent, ErrorKind::User, what)
    }

    /// The run must stop.
    pub fn catastrophic(what: impl Into<String>) -> Self {
        Self::new(ErrorClass::Catastrophic, ErrorKind::User, what)
    }

    /// Reading or writing failed: class by the error's kind (interrupted and timed out are
    /// transient, the rest permanent).
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let class = match source.kind() {
            K::Interrupted | K::TimedOut | K::WouldBlock => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        };
        Self::new(class, ErrorKind::Io, what).because(source)
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for StageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

impl From<WrongColumn> for StageError {
    fn from(e: WrongColumn) -> Self {
        Self::new(ErrorClass::Catastrophic, ErrorKind::Plan, e.to_string())
    }
}

/// `error` and its causes on one line, joined by ": ".
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        text.push_str(": ");
        text.push_str(&e.to_string());
        next = e.source();
    }
    text
}

/// Why an item became a dead letter. A closed list: reports and files carry these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadCause {
    /// Not readable at all (broken JSON, torn frame), or of a key whose state a panic of user code has
    /// left in an unknown condition.
    Poison,
    /// Readable, but a field has the wrong type or the variable is unknown.
    Type,
    /// Over the record limit.
    Oversize,
    /// It has no key and the policy gives it none.
    NoKey,
    /// It contradicts what its key already holds.
    Conflict,
    /// Its key is new and the limits refuse new keys.
    RefusedKey,
    /// Its key's deadline passed and the policy says dead letter.
    Expired,
    /// Its key was evicted over a limit and the policy says dead letter.
    Evicted,
    /// Its spilled bytes were lost.
    SpillFailure,
    /// The run was aborted while it was held.
    Abort,
    /// A validator refused it.
    Invalid,
    /// User code failed on it.
    Failed,
    /// User code panicked on it.
    Panicked,
}

impl DeadCause {
    /// The word used in reports and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Type => "type",
            Self::Oversize => "oversize",
            Self::NoKey => "no_key",
            Self::Conflict => "conflict",
            Self::RefusedKey => "refused_key",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::SpillFailure => "spill_failure",
            Self::Abort => "abort",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        }
    }
}

impl fmt::Display for DeadCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with one row. Any error converts into it (`?` works) with cause
/// [`DeadCause::Failed`] and class permanent; the named constructors say more.
#[derive(Debug)]
pub struct RowError {
    /// The dead letter's cause, should it become one.
    pub cause: DeadCause,
    /// Whether another attempt may succeed.
    pub class: ErrorClass,
    /// What is wrong, causes included.
    pub what: String,
}

impl RowError {
    /// A row error with this cause, permanent.
    pub fn new(cause: DeadCause, what: impl Into<String>) -> Self {
        Self { cause, class: ErrorClass::Permanent, what: what.into() }
    }

    /// The row cannot be read.
    pub fn poison(what: impl Into<String>) -> Self {
        Self::new(DeadCause::Poison, what)
    }

    /// A field has the wrong type.
    pub fn wrong_type(what: impl Into<String>) -> Self {
        Self::new(DeadCause::Type, what)
    }

    /// Another attempt may succeed.
    pub fn transient(what: impl Into<String>) -> Self {
        Self { cause: DeadCause::Failed, class: ErrorClass::Transient, what: what.into() }
    }
}

impl<E: Error> From<E> for RowError {
    fn from(e: E) -> Self {
        Self::new(DeadCause::Failed, chain(&e))
    }
}

/// The data of a failure: what, where, why. What the item was stands beside it in
/// [`ErrorRecord::original`] when it could be kept.
#[derive(Debug)]
pub struct ErrorRecord {
    /// The stage that failed.
    pub stage: StageId,
    /// Its name; filled in by the driver.
    pub stage_name: String,
    /// The source the item came from.
    pub source: SourceId,
    /// Its sequence number there.
    pub seq: u64,
    /// Why.
    pub cause: DeadCause,
    /// The text of it.
    pub what: String,
    /// The key's bytes, where it is known.
    pub key: Option<Vec<u8>>,
    /// How many fragments this record stands for (1, or all of a key).
    pub items: u64,
    /// Attempts made before it was given up.
    pub attempts: u32,
    /// Correlation headers of the item.
    pub context: Option<std::sync::Arc<crate::context::Context>>,
    /// The item, if it could be kept.
    pub original: Original,
}

impl ErrorRecord {
    /// A record of one item without key, original or context.
    pub fn new(cause: DeadCause, what: impl Into<String>) -> Self {
        Self {
            stage: StageId::default(),
            stage_name: String::new(),
            source: SourceId::default(),
            seq: 0,
            cause,
            what: what.into(),
            key: None,
            items: 1,
            attempts: 1,
            context: None,
            original: Original::None,
        }
    }
}

/// What a failed item was.
#[derive(Default)]
pub enum Original {
    /// It could not be kept: a by-value closure had consumed it.
    #[default]
    None,
    /// Its bytes as read, possibly cut to the sample limit.
    Bytes(Vec<u8>),
    /// The value itself.
    Value(Box<dyn Any + Send>),
}

impl Original {
    /// Keeps a value.
    pub fn value<T: Send + 'static>(v: T) -> Self {
        Self::Value(Box::new(v))
    }

    /// The value, if it is a `T`; otherwise `self` comes back.
    ///
    /// # Errors
    /// The original as it was.
    pub fn downcast<T: 'static>(self) -> Result<T, Self> {
        match self {
            Self::Value(v) => v.downcast().map(|b| *b).map_err(Self::Value),
            other => Err(other),
        }
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bytes(b) => write!(f, "Bytes({})", b.len()),
            Self::Value(_) => f.write_str("Value"),
        }
    }
}

/// A failed item with the data of its failure, typed.
#[derive(Debug)]
pub struct DeadLetter<T> {
    /// What, where, why. Its `original` is empty: it is beside it.
    pub record: ErrorRecord,
    /// The item.
    pub original: T,
}

impl ErrorRecord {
    /// As a typed dead letter, when the original is a `T`.
    ///
    /// # Errors
    /// The record unchanged when the original was not kept or is of another type.
    pub fn into_dead_letter<T: 'static>(mut self) -> Result<DeadLetter<T>, Box<Self>> {
        match std::mem::take(&mut self.original).downcast::<T>() {
            Ok(original) => Ok(DeadLetter { record: self, original }),
            Err(kept) => {
                self.original = kept;
                Err(Box::new(self))
            }
        }
    }
}

/// What a stage does with what fails in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The run ends with the first failing row named.
    #[default]
    Fail,
    /// The row goes to the dead letters, the rest goes on.
    DeadLetter,
    /// The row is dropped and counted as `skip`, the rest goes on.
    Skip,
    /// A transient failure is tried again, then `then` applies; others go to `then` at once.
    Retry {
        /// How often and how long between.
        retry: Retry,
        /// What follows the last attempt.
        then: GiveUp,
    },
}

/// What follows the last attempt of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The run ends.
    Fail,
    /// Dead letter.
    DeadLetter,
    /// Dropped and counted as `skip`.
    Skip,
}

impl OnError {
    /// What happens to a row that will not be tried (again).
    #[must_use]
    pub const fn finally(self) -> GiveUp {
        match self {
            Self::Fail => GiveUp::Fail,
            Self::DeadLetter => GiveUp::DeadLetter,
            Self::Skip => GiveUp::Skip,
            Self::Retry { then, .. } => then,
        }
    }

    /// The wait before attempt `attempt + 1`, when a failure of `class` after `attempt` attempts
    /// is to be tried again. `unit` is a uniform draw in `0..=u32::MAX` for the jitter.
    #[must_use]
    pub fn retry_after(self, class: ErrorClass, attempt: u32, unit: u32) -> Option<Duration> {
        match self {
            Self::Retry { retry, .. } if class == ErrorClass::Transient => {
                (attempt < retry.attempts).then(|| retry.delay(attempt, unit))
            }
            _ => None,
        }
    }
}

/// Exponential backoff with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// Wait before the second attempt.
    pub first: Duration,
    /// Each wait is this many times the one before; at least 1.
    pub factor: u32,
    /// No wait is longer than this.
    pub longest: Duration,
    /// A wait is shortened by up to this many percent, at random ("full jitter" at 100).
    pub jitter_percent: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            first: Duration::from_millis(100),
            factor: 2,
            longest: Duration::from_secs(10),
            jitter_percent: 50,
        }
    }
}

impl Retry {
    /// The wait after `attempt` attempts (1 = after the first):
    /// `min(first * factor^(attempt-1), longest) * (1 - jitter * unit)`, in integers.
    #[must_use]
    pub fn delay(&self, attempt: u32, unit: u32) -> Duration {
        let mut d = self.first;
        // A wait that grows has reached the longest there is after less than 100 doublings.
        let grows = self.factor > 1 && !d.is_zero();
        for _ in 1..attempt.min(if grows { 100 } else { 1 }) {
            d = d.saturating_mul(self.factor);
            if d >= self.longest {
                break;
            }
        }
        let ns = d.min(self.longest).as_nanos();
        let cut = ns * u128::from(self.jitter_percent.min(100)) * u128::from(unit)
            / (100 * u128::from(u32::MAX));
        Duration::from_nanos(u64::try_from(ns - cut).unwrap_or(u64::MAX))
    }
}
