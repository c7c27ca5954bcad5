//! Black-box tests of the simulator, on pipelines written against core alone.

mod canary;
mod capacity;
mod chaos;
mod clock;
mod control;
mod determinism;
mod exhaustive;
mod golden;
mod line;
mod order;
mod parts;
mod store;
mod stuck;
