//! The facade as its users see it: one pipeline on every engine, stopped, inspected, extended.
#![cfg(test)]

mod accumulating;
mod control;
mod extending;
mod faults;
mod hybrid;
mod hybrid_laws;
mod parity;
