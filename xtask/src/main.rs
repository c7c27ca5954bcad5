//! `cargo xtask`: everything the project checks, measures and ships.
fn main() {}
