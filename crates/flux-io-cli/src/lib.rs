//! What the `flux-io` program is made of, as a library, so that its parts are tested without a
//! process. Today: the pipeline file ([`config`]).
#![forbid(unsafe_code)]

pub mod config;
