//! What the `flux-io` program is made of, as a library, so that its parts are tested without a
//! process: the pipeline file ([`config`]), the job it describes ([`job`]), and the commands.
#![forbid(unsafe_code)]

mod cli;
mod command;
pub mod config;
mod console;
mod expr;
pub mod job;
mod json;
mod load;
mod support;

pub use command::program;
pub use expr::checks;
