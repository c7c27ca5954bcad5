//! Random plans of the testkit, built with the facade's builder.

pub(crate) mod build;
mod closures;
mod keyed;
pub(crate) mod parts;
pub(crate) mod simulated;
