//! The tokio engine against the laws of engines, and what it promises beside them.

mod laws;
mod runtime;
