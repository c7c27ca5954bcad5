//! The rayon engine against the laws of engines.

mod laws;
mod workers;
