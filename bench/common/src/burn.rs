//! The CPU-heavy function of the workload `cpu`.

use crate::rng::mix;

/// Rounds of [`mix`] a number goes through: about two microseconds.
const ROUNDS: u32 = 1_000;

/// Works on a number for about two microseconds, without memory.
#[inline(never)]
pub fn burn(x: u64) -> u64 {
    (0..ROUNDS).fold(x, |x, round| mix(x ^ u64::from(round)))
}
