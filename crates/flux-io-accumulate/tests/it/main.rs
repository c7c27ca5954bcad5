//! Black-box tests of keyed accumulation.

mod cases;
mod model;
mod properties;
mod subject;
