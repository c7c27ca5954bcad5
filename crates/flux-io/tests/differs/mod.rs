//! A random plan on each engine, within a time limit, and whether it gave what it must.

mod real;
pub(crate) mod run;
mod simulated;
