//! The sync engine against the laws of engines, plain and under seeds.

mod laws;
mod schedulers;
mod seeds;
