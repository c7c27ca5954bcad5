//! The environment of effects.

use super::Cancel;
use crate::sync::{Arc, Mutex, PoisonError};
use flux_io_core::{Draws, IoCx, Moment, Sleep};
use std::fmt;
use std::time::Duration;

/// What an effect may know and ask for: the engine's time and timers, chance, and whether it is
/// still wanted. Cloning it is cheap.
#[derive(Clone)]
pub struct Env {
    io: IoCx,
    cancel: Cancel,
    draws: Arc<Mutex<Draws>>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Env(at {:?}, {:?})", self.now(), self.cancel)
    }
}

impl Env {
    /// The environment of an effect that is run by hand, as in a source or sink: its time is that
    /// of `io`, its chance starts at `seed`.
    #[must_use]
    pub fn new(io: IoCx, cancel: Cancel, seed: u64) -> Self {
        Self { io, cancel, draws: Arc::new(Mutex::new(Draws(seed))) }
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.io.now()
    }

    /// Waits until `at`. Cancel-safe: dropping it disarms the timer.
    #[must_use]
    pub fn sleep_until(&self, at: Moment) -> Sleep {
        self.io.sleep_until(at)
    }

    /// Waits this long, from the call on. Cancel-safe like [`Env::sleep_until`].
    #[must_use]
    pub fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now().plus(time))
    }

    /// Whether what is done here is still wanted.
    #[must_use]
    pub const fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// 32 random bits, the same in every run with the same seed and the same order of calls.
    #[must_use]
    pub fn draw(&self) -> u32 {
        self.draws.lock().unwrap_or_else(PoisonError::into_inner).next_u32()
    }
}
