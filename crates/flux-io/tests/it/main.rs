//! The facade as its users see it: one pipeline on every engine, stopped, inspected, extended.
#![cfg(test)]

mod accumulating;
mod branching;
mod calls;
mod control;
mod effects;
mod extending;
mod faults;
mod graphs;
mod hybrid;
mod hybrid_laws;
mod joining;
mod parity;
mod watching;
