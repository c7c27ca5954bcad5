//! The tokio engine against the laws of engines, and what it promises beside them.
#![cfg(test)]

mod dataflow;
mod laws;
mod runtime;
