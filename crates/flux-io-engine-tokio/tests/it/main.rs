//! The tokio engine against the laws of engines, and what it promises beside them.
#![cfg(test)]

mod dataflow;
mod lanes;
mod laws;
mod runtime;
