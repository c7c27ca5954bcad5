//! Black-box tests of the builder: what a described flow does when its stages are driven by hand,
//! and what is said about flows that cannot run.

mod builder;
mod catalogue;
mod drawings;
mod faults;
mod graphs;
mod kernels;
mod kit;
mod marks;
mod running;
#[cfg(feature = "spec")]
mod specs;
mod stages;
