//! Black-box tests of the builder: what a described flow does when its stages are driven by hand.

mod kernels;
mod kit;
