//! The sync engine against the laws of engines.

mod laws;
