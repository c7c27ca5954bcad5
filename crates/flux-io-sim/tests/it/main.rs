//! Black-box tests of the simulator, on pipelines written against core alone.

mod canary;
mod chaos;
mod clock;
mod determinism;
mod exhaustive;
mod line;
mod order;
mod parts;
mod stuck;
