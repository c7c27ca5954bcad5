//! The laws of every contract of `flux-io-core`, as functions.
//!
//! Whoever implements a contract calls its laws from a test: `key::laws(&keys)`,
//! `engine::laws(&engine)`. A law panics with what it saw when it is broken.
#![expect(
    clippy::missing_panics_doc,
    reason = "every law panics when it is broken; that is what it is for"
)]

pub mod engine;
