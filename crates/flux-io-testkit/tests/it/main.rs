//! Black-box tests of the kit.

mod published;
