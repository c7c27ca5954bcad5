//! Black-box tests of the kit.

mod doubles;
mod published;
mod reference_jobs;
mod reference_laws;
mod reference_rules;
