//! The closures of random plans: what fails, what panics, what takes its time.

use flux_io::core::{DeadCause, GiveUp, OnError, Retry, RowError};
use flux_io::flow::{Calls, Hedge, effect};
use flux_io_testkit::dag::{Answers, CallsOf, Lose, Luck, Op, OpKind, Row};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// A panic that is meant: past the hook that would print it.
pub(super) fn planned() -> ! {
    std::panic::resume_unwind(Box::new("a planned panic"))
}

/// Panics on poison, where the closure does that.
pub(super) fn hurt(poison: bool, salt: u64, row: &Row) {
    if poison && row.is_poison(salt) {
        planned();
    }
}

pub(super) const fn on_error(lose: Lose) -> OnError {
    match lose {
        Lose::Letter => OnError::DeadLetter,
        Lose::Drop => OnError::Skip,
    }
}

/// So many attempts, so far apart.
pub(super) const fn retried(attempts: u32, micros: u64, lose: Lose) -> OnError {
    let first = Duration::from_micros(micros);
    let retry = Retry { attempts, first, factor: 1, longest: first, jitter_percent: 0 };
    let then = match lose {
        Lose::Letter => GiveUp::DeadLetter,
        Lose::Drop => GiveUp::Skip,
    };
    OnError::Retry { retry, then }
}

/// The policy of an operator.
pub(super) const fn policy(op: Op) -> OnError {
    match op.kind {
        OpKind::Try(attempts, micros) => retried(attempts, micros, op.lose),
        _ => on_error(op.lose),
    }
}

fn never() -> RowError {
    RowError::new(DeadCause::Failed, "never")
}

/// A `try_map`: which row was tried last, and how often it failed.
#[derive(Clone, Default)]
pub(super) struct Tried {
    failed: u32,
}

impl Tried {
    pub(super) fn ask(&mut self, op: Op, row: &Row) -> Result<Row, RowError> {
        hurt(op.poison, op.salt, row);
        let OpKind::Try(attempts, _) = op.kind else { return Ok(*row) };
        match row.luck(op.salt) {
            Luck::Never => Err(never()),
            Luck::After(n) if self.failed < n => {
                self.failed += 1;
                if self.failed == attempts {
                    // It is given up; the next row is another one, perhaps equal.
                    self.failed = 0;
                }
                Err(RowError::transient("not yet"))
            }
            Luck::Well | Luck::After(_) => {
                self.failed = 0;
                Ok(row.changed(op.salt))
            }
        }
    }
}

/// The closure in front of an error flow.
pub(super) fn refused(salt: u64, row: &Row) -> Result<Row, RowError> {
    match row.luck(salt) {
        Luck::Never => Err(never()),
        _ => Ok(row.changed(salt)),
    }
}

/// Not there for so many polls.
pub(crate) struct Later(pub(crate) u64);

impl Future for Later {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// How often the calls for a row have failed; calls for equal rows share it.
#[derive(Clone, Default)]
pub(super) struct Failures(Arc<Mutex<BTreeMap<Row, u32>>>);

impl Failures {
    /// Whether one more call fails in a way that passes.
    fn again(&self, row: Row, most: u32) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = all.entry(row).or_default();
        *failed += 1;
        *failed <= most
    }
}

/// What `async_map` is told.
pub(super) fn calls(c: CallsOf) -> Calls {
    let calls = Calls::limit(c.limit);
    let calls = if c.ordered { calls } else { calls.unordered() };
    // Longer than any sleep of a simulated machine.
    let calls = if c.timeout { calls.timeout(Duration::from_secs(1 << 28)) } else { calls };
    let hedge = Hedge { after: Duration::from_micros(60), extra: 1 };
    if c.hedge { calls.hedge(hedge) } else { calls }
}

/// A call for a row.
pub(super) fn call(
    c: CallsOf,
    salt: u64,
    failures: &Failures,
    row: Row,
) -> impl effect::Call<Value = Result<Row, RowError>> + Send + use<> {
    let failures = failures.clone();
    let poison = c.poison && row.is_poison(salt);
    if poison && salt.is_multiple_of(2) {
        planned();
    }
    effect::of(move |env| async move {
        match c.answers {
            Answers::Now => {}
            Answers::Yields => Later(row.pick(salt, 4)).await,
            Answers::Sleeps if row.pick(salt, 4) == 0 => {
                env.sleep(Duration::from_micros(50 + row.pick(salt, 250))).await;
            }
            Answers::Sleeps => {}
        }
        if poison {
            planned();
        }
        let luck = if c.attempts > 0 { row.luck(salt) } else { Luck::Well };
        match luck {
            Luck::Never => Err(RowError::poison("no such thing")),
            // One that is given up must fail however many equal rows share its count.
            Luck::After(n) if n >= c.attempts => Err(RowError::transient("not in time")),
            Luck::After(n) if failures.again(row, n) => Err(RowError::transient("not yet")),
            _ => Ok(row.changed(salt)),
        }
    })
}
