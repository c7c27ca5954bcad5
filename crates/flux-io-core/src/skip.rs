//! Checks that are taken away, to see that a bad input notices: `cargo xtask checks` builds with the
//! cfg `flux_io_mutants` and names one check in the environment. Every other build knows none.

use std::fmt;

/// Whether this check is taken away.
#[cfg(flux_io_mutants)]
#[must_use]
pub fn skips(check: fmt::Arguments<'_>) -> bool {
    // A fault is named without what it carries.
    let check = check.to_string();
    let check = check.split(['(', ' ']).next();
    std::env::var("FLUX_IO_SKIP_CHECK").is_ok_and(|name| check == Some(&name))
}

/// Whether this check is taken away: none is.
#[cfg(not(flux_io_mutants))]
#[inline(always)]
#[must_use]
pub const fn skips(_: fmt::Arguments<'_>) -> bool {
    false
}
