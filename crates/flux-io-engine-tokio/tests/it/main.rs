//! The tokio engine against the laws of engines.

mod laws;
