//! Faults by call number: what goes wrong in a flaky source or sink, and when.

use super::YieldOnce;
use flux_io_core::{ErrorClass, ErrorKind, StageError};
use std::collections::BTreeMap;
use std::future::pending;

/// What goes wrong in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error of class transient.
    Transient,
    /// An error of class permanent.
    Permanent,
    /// An error of class catastrophic.
    Catastrophic,
    /// A panic.
    Panic,
    /// The future is pending once before it goes on.
    Late,
    /// The future is pending for ever.
    Hang,
    /// So many rows are handled, then an error of class transient comes.
    After(usize),
}

impl Fault {
    /// Carries the fault out; `Ok` when the call is to go on.
    ///
    /// # Errors
    /// The error the fault stands for.
    ///
    /// # Panics
    /// For [`Fault::Panic`].
    #[expect(clippy::panic, reason = "a flaky double panics when it is told to")]
    pub async fn strike(self, who: &str, call: u32) -> Result<(), StageError> {
        let class = match self {
            Self::Transient | Self::After(_) => ErrorClass::Transient,
            Self::Permanent => ErrorClass::Permanent,
            Self::Catastrophic => ErrorClass::Catastrophic,
            Self::Panic => panic!("{who} panics in call {call}"),
            Self::Late => {
                YieldOnce::default().await;
                return Ok(());
            }
            Self::Hang => {
                pending::<()>().await;
                return Ok(());
            }
        };
        Err(StageError::new(class, ErrorKind::User, format!("{who} fails in call {call}")))
    }
}

/// Faults by call, counted from 0.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    by_call: BTreeMap<u32, Fault>,
    always: Option<Fault>,
    calls: u32,
}

impl Faults {
    /// No fault ever.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These faults in these calls.
    #[must_use]
    pub fn at(faults: impl IntoIterator<Item = (u32, Fault)>) -> Self {
        Self { by_call: faults.into_iter().collect(), always: None, calls: 0 }
    }

    /// This fault in every call.
    #[must_use]
    pub const fn always(fault: Fault) -> Self {
        Self { by_call: BTreeMap::new(), always: Some(fault), calls: 0 }
    }

    /// The number of the call that begins now, and its fault.
    pub fn begin(&mut self) -> (u32, Option<Fault>) {
        let call = self.calls;
        self.calls += 1;
        (call, self.by_call.get(&call).copied().or(self.always))
    }
}
